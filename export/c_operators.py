"""What each operator of the quantized step graph becomes in C: constants in flash and one call of a kernel.

The kernels are in `kernels/edgebci_kernels.h`; this file fills their descriptions. To add an operator, write a
function Node -> Operation and enter it in `OPERATORS` under its ONNX name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgebci.errors import InputError
from edgebci.export.c_graph import STATE_SUFFIX, Node, StepGraph, size
from edgebci.export.c_literals import Constant, identifier, literal
from edgebci.quantized_decoder import inverse


@dataclass(frozen=True)
class Buffer:
    """A tensor that lives in work memory between two nodes."""

    tensor: str
    c_type: str  # float or int8_t
    size: int


@dataclass(frozen=True)
class Operation:
    """One call. `call` has {0}, {1} for the buffers that it reads and {out} for the one that it writes."""

    node: Node
    reads: tuple[str, ...]
    writes: Buffer
    shapes: str
    call: str
    kernel: str = ""  # definition of a kernel for this shape; operations of one shape share it
    constants: tuple[Constant, ...] = ()
    description: str = ""  # definition of the kernel's description in flash
    description_type: str = ""
    destroys: str = ""  # a tensor in `reads` that is used up
    overwrites: bool = False  # may write where it reads
    states: tuple[str, ...] = ()  # advanced in place

    @property
    def c_name(self) -> str:
        """Identifier of the node's description."""
        return c_name(self.node)


def c_name(node: Node) -> str:
    """Node names like `input` and `norm` get a prefix: they would be global names in C."""
    return f"node_{identifier(node.name)}"


def operations(graph: StepGraph) -> list[Operation]:
    """Translate every node; raises one InputError that lists all that cannot be."""
    unknown = [f"{node.name} ({node.operator})" for node in graph.nodes if node.operator not in OPERATORS]
    if unknown:
        raise InputError(
            f"no C kernel for {len(unknown)} of {len(graph.nodes)} nodes: {', '.join(unknown)}; "
            f"there are kernels for {', '.join(sorted(OPERATORS))}: quantize the decoder with edgebci export"
        )
    done: list[Operation] = []
    sizes = {graph.frame: size(graph.inputs[graph.frame])}
    for node in graph.nodes:
        done.append(OPERATORS[node.operator](node, graph, sizes))
        sizes[done[-1].writes.tensor] = done[-1].writes.size
    _check_states(graph, done)
    return done


def _quantize_linear(node: Node, graph: StepGraph, sizes: dict[str, int]) -> Operation:
    x, scale, *zero_point = node.inputs
    if zero_point and graph.constants[zero_point[0]].any():
        raise InputError(f"{node.name}: the zero point is not 0; quantize symmetrically")
    n = sizes[x]
    factor = literal(inverse(_float(graph, scale).reshape(())))
    call = f"edgebci_quantize_linear({{0}}, {factor}, {n}u, {{out}});"
    return Operation(node, (x,), Buffer(node.outputs[0], "int8_t", n), f"float32 [{n}] -> int8 [{n}]", call)


def _dense(node: Node, graph: StepGraph, sizes: dict[str, int]) -> Operation:
    q, weight_name, act_scale, weight_scale, bias = node.inputs
    weight = graph.constants[weight_name]
    rows, columns = weight.shape
    _check_columns(node, columns, sizes[q])
    name = c_name(node)
    constants = [
        Constant(f"{name}_weight", weight, f"{weight_name}: int8 [{rows}][{columns}]"),
        Constant(f"{name}_scale", _per_row(graph, act_scale, weight_scale), f"{act_scale} * {weight_scale}"),
    ]
    if _float(graph, bias).any():
        constants.append(Constant(f"{name}_bias", _float(graph, bias), bias))
    fields = [*(constant.name for constant in constants), "NULL"][:3]
    return Operation(
        node,
        reads=(q,),
        writes=Buffer(node.outputs[0], "float", rows),
        shapes=f"int8 [{columns}] -> float32 [{rows}], weight int8 [{rows}][{columns}]",
        call=f"dense_{columns}(&{name}, {{0}}, {{out}});",
        kernel=f"EDGEBCI_DEFINE_DENSE(dense_{columns}, {columns}u)",
        constants=tuple(constants),
        description=f"{{{rows}u, {', '.join(fields)}}}",
        description_type="edgebci_dense_t",
    )


def _rms_norm_quantize(node: Node, graph: StepGraph, sizes: dict[str, int]) -> Operation:
    x, gamma, out_scale = node.inputs
    n = sizes[x]
    _check_lanes(node, n)
    name = c_name(node)
    weight = Constant(f"{name}_gamma", _float(graph, gamma), f"{gamma}: float32 [{n}]")
    numbers = (1.0 / n, node.attributes["epsilon"], inverse(_float(graph, out_scale).reshape(())))
    return Operation(
        node,
        reads=(x,),
        writes=Buffer(node.outputs[0], "int8_t", n),
        shapes=f"float32 [{n}] -> int8 [{n}]",
        call=f"edgebci_rms_norm_quantize(&{name}, {{0}}, {{out}});",
        constants=(weight,),
        description=f"{{{n}u, {weight.name}, {', '.join(literal(np.float32(number)) for number in numbers)}}}",
        description_type="edgebci_rms_norm_t",
    )


def _mamba2_step(node: Node, graph: StepGraph, sizes: dict[str, int]) -> Operation:
    p, conv, ssm, *_ = node.inputs
    heads, headdim, state_size = graph.states[ssm][-3:]
    channels, past = graph.states[conv][-2:]
    _check_columns(node, heads * headdim + channels + heads, sizes[p])
    _check_lanes(node, state_size)
    name, kernel = c_name(node), f"mamba2_step_{heads}x{headdim}x{state_size}_{past + 1}"
    constants = _mamba2_constants(node, graph, name)
    return Operation(
        node,
        reads=(p,),
        writes=Buffer(node.outputs[0], "float", heads * headdim),
        shapes=f"float32 [{sizes[p]}] -> float32 [{heads * headdim}], states int16 [{channels}][{past}], "
        f"[{heads}][{headdim}][{state_size}]",
        call=f"{kernel}(&{name}, {{0}}, c->state_{identifier(conv)}, c->state_{identifier(ssm)}, {{out}});",
        kernel=f"EDGEBCI_DEFINE_MAMBA2_STEP({kernel}, {heads}u, {headdim}u, {state_size}u, {past + 1}u)",
        constants=constants,
        description=f"{{{', '.join(constant.name for constant in constants)}}}",
        description_type="edgebci_mamba2_t",
        destroys=p,
        states=(conv, ssm),
    )


def _mamba2_constants(node: Node, graph: StepGraph, name: str) -> tuple[Constant, ...]:
    """In the order of edgebci_mamba2_t."""
    conv_weight, weight_scale, conv_scale, conv_bias, dt_bias, A, D, ssm_scale = node.inputs[3:]
    arrays: list[tuple[str, NDArray[Any], str]] = [
        ("conv_weight", graph.constants[conv_weight], f"{conv_weight}: int8 [channels][taps], oldest first"),
        ("conv_inverse_scale", inverse(_float(graph, conv_scale)), f"1 / {conv_scale}"),
        ("conv_out_scale", _float(graph, conv_scale) * _float(graph, weight_scale), f"{conv_scale} * {weight_scale}"),
        ("conv_bias", _float(graph, conv_bias), conv_bias),
        ("dt_bias", _float(graph, dt_bias), dt_bias),
        ("A", _float(graph, A), A),
        ("D", _float(graph, D), D),
        ("ssm_scale", _float(graph, ssm_scale), ssm_scale),
        ("ssm_inverse_scale", inverse(_float(graph, ssm_scale)), f"1 / {ssm_scale}"),
    ]
    return tuple(Constant(f"{name}_{field}", values, comment) for field, values, comment in arrays)


def _add(node: Node, _: StepGraph, sizes: dict[str, int]) -> Operation:
    x, y = node.inputs
    n = sizes[x]
    _check_columns(node, n, sizes[y])
    call = f"edgebci_add({{0}}, {{1}}, {n}u, {{out}});"
    writes = Buffer(node.outputs[0], "float", n)
    return Operation(node, (x, y), writes, f"float32 [{n}]", call, overwrites=True)


OPERATORS: dict[str, Callable[[Node, StepGraph, dict[str, int]], Operation]] = {
    "QuantizeLinear": _quantize_linear,
    "edgebci.Dense": _dense,
    "edgebci.RmsNormQuantize": _rms_norm_quantize,
    "edgebci.Mamba2Step": _mamba2_step,
    "Add": _add,
}


def _float(graph: StepGraph, name: str) -> NDArray[np.float32]:
    return graph.constants[name].astype(np.float32, copy=False)


def _per_row(graph: StepGraph, act_scale: str, weight_scale: str) -> NDArray[np.float32]:
    """One count of the integer sum, per row, rounded once."""
    scale: NDArray[np.float32] = _float(graph, act_scale).reshape(()) * _float(graph, weight_scale)
    return scale


def _check_columns(node: Node, expected: int, got: int) -> None:
    if expected != got:
        raise InputError(f"{node.name} ({node.operator}) expects {expected} values and gets {got}; export again")


def _check_lanes(node: Node, n: int) -> None:
    if n % 4:
        raise InputError(f"{node.name} ({node.operator}) sums {n} values; the C kernels need a multiple of 4")


def _check_states(graph: StepGraph, done: list[Operation]) -> None:
    """Each state is advanced in place, once, so the graph's next state must be the operator's own output."""
    for operation in done:
        written = tuple(operation.node.outputs[1:])
        if written != tuple(state + STATE_SUFFIX for state in operation.states):
            raise InputError(f"{operation.node.name}: its states {written} are not the graph's next states")
    advanced = [state for operation in done for state in operation.states]
    if sorted(advanced) != sorted(graph.states):
        raise InputError(f"the states {sorted(graph.states)} are not each advanced by one node ({sorted(advanced)})")
