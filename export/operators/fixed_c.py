"""The operators of the fixed-point form in C: constants in flash and one call each."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgebci.errors import InputError
from edgebci.export.c_graph import Node, StepGraph
from edgebci.export.c_literals import Constant, identifier, literal
from edgebci.export.c_operation import Buffer, Operation, Translate, c_name, check_columns, check_lanes, per_row
from edgebci.export.core_kernels import GROUP, packed_rows
from edgebci.export.operators.fixed_functions import STATES, WEIGHTS

_FLOATS = ("dt_bias", "A", "skip", "state_gain", "inject")


def _quantize(node: Node, graph: StepGraph, sizes: dict[str, int]) -> Operation:
    x, inverse_scale, limit = node.inputs
    n, padded = sizes[x], _padded(sizes[x])
    scale, bits = literal(np.float32(graph.constants[inverse_scale])), int(graph.constants[limit]).bit_length() + 1
    return Operation(
        node,
        reads=(x,),
        writes=Buffer(node.outputs[0], "int16_t", padded),
        shapes=f"float32 [{n}] -> int16 [{padded}]",
        call=f"quantize_fixed_{n}({{0}}, {scale}, {{out}});",
        kernel=f"EDGEBCI_DEFINE_QUANTIZE_FIXED(quantize_fixed_{n}, {n}u, {bits})",
        headers=("edgebci_norm_fixed.h",),
    )


def _dense(node: Node, graph: StepGraph, sizes: dict[str, int]) -> Operation:
    """DenseFixed and DenseFixedAdd."""
    q, weight_name, multiplier, bias, *residual = node.inputs
    weight = graph.constants[weight_name]
    rows, columns = weight.shape
    check_columns(node, _padded(columns), sizes[q])
    name, kernel = c_name(node), f"dense_fixed_{'add_' if residual else ''}{_padded(columns)}"
    pairs = np.stack([graph.constants[multiplier], graph.constants[bias]], axis=1)
    scaling = np.pad(pairs, ((0, _padded(rows) - rows), (0, 0))).astype(np.int32)
    constants = (
        Constant(f"{name}_weight", packed_rows(weight), f"{weight_name}: int8 [{rows}][{columns}] in pairs"),
        Constant(f"{name}_scaling", scaling, f"{multiplier}, {bias}: int32 [{len(scaling)}][2]"),
    )
    return Operation(
        node,
        reads=(q, *residual),
        writes=Buffer(node.outputs[0], "int16_t", _padded(rows)),
        shapes=f"int16 [{columns}] -> int16 [{rows}], weight int8 [{rows}][{columns}]",
        call=f"{kernel}(&{name}, {{0}}, {'{1}, ' if residual else ''}{{out}});",
        kernel=f"EDGEBCI_DEFINE_DENSE_FIXED{'_ADD' if residual else ''}({kernel}, {_padded(columns)}u)",
        constants=constants,
        description=f"{{{_padded(rows)}u, {constants[0].name}, {constants[1].name}}}",
        description_type="edgebci_dense_fixed_t",
        headers=("edgebci_dense_fixed.h",),
    )


def _readout(node: Node, graph: StepGraph, sizes: dict[str, int]) -> Operation:
    q, weight_name, act_scale, weight_scale, bias = node.inputs
    weight = graph.constants[weight_name]
    rows, columns = weight.shape
    check_columns(node, columns, sizes[q])
    check_lanes(node, columns)
    name = c_name(node)
    scale = per_row(graph, act_scale, weight_scale)
    arrays = {"weight": weight, "scale": scale, "bias": graph.constants[bias]}
    constants = tuple(Constant(f"{name}_{part}", values, f"readout.{part}") for part, values in arrays.items())
    return Operation(
        node,
        reads=(q,),
        writes=Buffer(node.outputs[0], "float", rows),
        shapes=f"int16 [{columns}] -> float32 [{rows}], weight int8 [{rows}][{columns}]",
        call=f"dense_readout_{columns}(&{name}, {{0}}, {{out}});",
        kernel=f"EDGEBCI_DEFINE_DENSE_READOUT(dense_readout_{columns}, {columns}u)",
        constants=constants,
        description=f"{{{rows}u, {', '.join(constant.name for constant in constants)}}}",
        description_type="edgebci_dense_readout_t",
        headers=("edgebci_dense_readout.h",),
    )


def _norm(node: Node, graph: StepGraph, sizes: dict[str, int]) -> Operation:
    x, mean, unit = node.inputs
    n, name = sizes[x], c_name(node)
    if n % GROUP or n > 512:
        raise InputError(f"{node.name} normalises {n} values; the C kernel needs a multiple of 4, at most 512")
    numbers = (graph.constants[mean], graph.constants[unit], node.attributes["epsilon"])
    return Operation(
        node,
        reads=(x,),
        writes=Buffer(node.outputs[0], "int16_t", n),
        shapes=f"int16 [{n}] -> int16 [{n}]",
        call=f"norm_fixed_{n}(&{name}, {{0}}, {{out}});",
        kernel=f"EDGEBCI_DEFINE_NORM_FIXED(norm_fixed_{n}, {n}u)",
        description=f"{{{', '.join(literal(np.float32(number)) for number in numbers)}}}",
        description_type="edgebci_norm_fixed_t",
        headers=("edgebci_norm_fixed.h",),
    )


def _step(node: Node, graph: StepGraph, sizes: dict[str, int]) -> Operation:
    p, *rest = node.inputs
    states, weights = rest[: len(STATES)], dict(zip(WEIGHTS, rest[len(STATES) :], strict=True))
    heads, headdim, n = graph.inputs[states[1]]
    taps, channels = graph.inputs[states[0]]
    check_columns(node, _padded(heads * headdim + channels + heads), sizes[p])
    if headdim % GROUP or n % (2 * GROUP):
        raise InputError(f"{node.name} has headdim {headdim} and d_state {n}; the C kernel needs multiples of 4 and 8")
    name, kernel = c_name(node), f"mamba2_fixed_{heads}x{headdim}x{n}_{taps}"
    constants = _step_constants(graph, name, weights)
    scalars = [literal(graph.constants[weights["readout"]])]
    scalars += [f"{int(graph.constants[weights[shift]])}u" for shift in ("c_shift", "gate_shift")]
    places = ", ".join(f"c->state_{identifier(state)}" for state in states)
    return Operation(
        node,
        reads=(p,),
        writes=Buffer(node.outputs[0], "int16_t", heads * headdim),
        shapes=f"int16 [{sizes[p]}] -> int16 [{heads * headdim}], states int16 [{taps}][{channels}], "
        f"[{heads}][{headdim}][{n}], and those of four steps",
        call=f"{kernel}(&{name}, {{0}}, {places}, {{out}});",
        kernel=f"EDGEBCI_DEFINE_MAMBA2_FIXED({kernel}, {heads}u, {headdim}u, {n}u, {taps}u)",
        constants=constants,
        description=f"{{{', '.join([*(constant.name for constant in constants), *scalars])}}}",
        description_type="edgebci_mamba2_fixed_t",
        states=tuple(states),
        headers=("edgebci_mamba2_fixed.h",),
    )


def _step_constants(graph: StepGraph, name: str, weights: dict[str, str]) -> tuple[Constant, ...]:
    """In the order of edgebci_mamba2_fixed_t."""
    given: dict[str, NDArray[Any]] = {part: graph.constants[tensor] for part, tensor in weights.items()}
    arrays = {"channel": _channel_pairs(given), "silu": given["silu"]}
    arrays |= {part: given[part] for part in _FLOATS}
    return tuple(
        Constant(f"{name}_{part}", values, f"{name}: {part} {list(values.shape)}") for part, values in arrays.items()
    )


def _channel_pairs(given: dict[str, NDArray[Any]]) -> NDArray[np.int32]:
    """Of two channels, (conv_dim / 2, taps + 4): the weights of a tap in a word; multiplier and bias of each."""
    weight = given["conv_weight"].reshape(-1, 2, given["conv_weight"].shape[1]).swapaxes(1, 2)
    taps = np.ascontiguousarray(weight, "<i2").view("<i4")[..., 0]
    scaling = np.stack([given["conv_multiplier"], given["conv_bias"]], axis=1).reshape(len(taps), 4)
    return np.concatenate([taps, scaling], axis=1).astype(np.int32)


def _padded(n: int) -> int:
    return n + -n % GROUP


FIXED_OPERATORS: dict[str, Translate] = {
    "edgebci.QuantizeFixed": _quantize,
    "edgebci.DenseFixed": _dense,
    "edgebci.DenseFixedAdd": _dense,
    "edgebci.DenseFixedReadout": _readout,
    "edgebci.RmsNormFixed": _norm,
    "edgebci.Mamba2StepFixed": _step,
}
