"""What each operator of a step graph becomes in C: constants in flash and one call of a kernel.

The kernels of the operators that every step has are in `kernels/edgebci_kernels.h`; this file fills their descriptions.
Those of a cell or of an entry are translated in its module of `edgebci.export.operators`, under their ONNX names.
"""

from __future__ import annotations

import numpy as np

from edgebci.errors import InputError
from edgebci.export.c_float_operators import FLOAT_OPERATORS, is_float_step
from edgebci.export.c_graph import STATE_SUFFIX, Node, StepGraph, size
from edgebci.export.c_literals import Constant, literal
from edgebci.export.c_operation import Buffer, Operation, Translate, c_name, check_columns, check_lanes, floats, per_row
from edgebci.export.core_kernels import PORTABLE, for_core
from edgebci.export.operators.fixed_c import FIXED_OPERATORS
from edgebci.export.operators.forms import C_OPERATORS
from edgebci.operators.dense import inverse


def operations(graph: StepGraph, core: str = PORTABLE) -> list[Operation]:
    """Translate every node, with the kernels of `core`; raises one InputError that lists all that cannot be."""
    known = OPERATORS
    if is_float_step(graph):
        known, core = OPERATORS | FLOAT_OPERATORS, PORTABLE
    unknown = [f"{node.name} ({node.operator})" for node in graph.nodes if node.operator not in known]
    if unknown:
        raise InputError(
            f"no C kernel for {len(unknown)} of {len(graph.nodes)} nodes: {', '.join(unknown)}; "
            f"there are kernels for {', '.join(sorted(known))}: quantize the decoder with edgebci export"
        )
    done: list[Operation] = []
    sizes = {graph.frame: size(graph.inputs[graph.frame])}
    for node in graph.nodes:
        done.append(for_core(known[node.operator](node, graph, sizes), graph, core))
        sizes[done[-1].writes.tensor] = done[-1].writes.size
    _check_states(graph, done)
    return done


def _quantize_linear(node: Node, graph: StepGraph, sizes: dict[str, int]) -> Operation:
    x, scale, *zero_point = node.inputs
    if zero_point and graph.constants[zero_point[0]].any():
        raise InputError(f"{node.name}: the zero point is not 0; quantize symmetrically")
    n = sizes[x]
    factor = literal(inverse(floats(graph, scale).reshape(())))
    call = f"edgebci_quantize_linear({{0}}, {factor}, {n}u, {{out}});"
    return Operation(node, (x,), Buffer(node.outputs[0], "int8_t", n), f"float32 [{n}] -> int8 [{n}]", call)


def _dense(node: Node, graph: StepGraph, sizes: dict[str, int]) -> Operation:
    q, weight_name, act_scale, weight_scale, bias = node.inputs
    weight = graph.constants[weight_name]
    rows, columns = weight.shape
    check_columns(node, columns, sizes[q])
    name = c_name(node)
    constants = [
        Constant(f"{name}_weight", weight, f"{weight_name}: int8 [{rows}][{columns}]"),
        Constant(f"{name}_scale", per_row(graph, act_scale, weight_scale), f"{act_scale} * {weight_scale}"),
    ]
    if floats(graph, bias).any():
        constants.append(Constant(f"{name}_bias", floats(graph, bias), bias))
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
    check_lanes(node, n)
    name = c_name(node)
    weight = Constant(f"{name}_gamma", floats(graph, gamma), f"{gamma}: float32 [{n}]")
    numbers = (1.0 / n, node.attributes["epsilon"], inverse(floats(graph, out_scale).reshape(())))
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


def _add(node: Node, _: StepGraph, sizes: dict[str, int]) -> Operation:
    x, y = node.inputs
    n = sizes[x]
    check_columns(node, n, sizes[y])
    call = f"edgebci_add({{0}}, {{1}}, {n}u, {{out}});"
    writes = Buffer(node.outputs[0], "float", n)
    return Operation(node, (x, y), writes, f"float32 [{n}]", call, overwrites=True)


OPERATORS: dict[str, Translate] = {
    "QuantizeLinear": _quantize_linear,
    "edgebci.Dense": _dense,
    "edgebci.RmsNormQuantize": _rms_norm_quantize,
    "Add": _add,
    **C_OPERATORS,
    **FIXED_OPERATORS,
}


def _check_states(graph: StepGraph, done: list[Operation]) -> None:
    """Each state is advanced in place, once, so the graph's next state must be the operator's own output."""
    for operation in done:
        written = tuple(name for name in operation.node.outputs if name.removesuffix(STATE_SUFFIX) in graph.states)
        if written != tuple(state + STATE_SUFFIX for state in operation.states):
            raise InputError(f"{operation.node.name}: its states {written} are not the graph's next states")
    advanced = [state for operation in done for state in operation.states]
    if sorted(advanced) != sorted(graph.states):
        raise InputError(f"the states {sorted(graph.states)} are not each advanced by one node ({sorted(advanced)})")
