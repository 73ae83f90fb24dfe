"""Dense layers with weights of 4 and of 16 bits, in ONNX and in C.

    edgebci.DenseInt4(q, weight, act_scale, weight_scale, bias)                      -> y float32, weight of ONNX's INT4
    edgebci.DenseInt16(q, weight, act_scale, weight_scale, bias)                     -> y float32

In C two int4 weights lie in a byte, each plus 8, the even column in its low half, each row on words of its own. In
ONNX int16 weights are 256 high + low, both in eight bits: each of the two sums is below 2^24 (up to 1,024 columns) and
thus exact in float32, and their own sum is rounded once, as the reference rounds its int32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edgebci.export.c_graph import Node, StepGraph
from edgebci.export.c_literals import Constant
from edgebci.export.c_operation import Buffer, Operation, Translate, c_name, check_columns, floats, per_row
from edgebci.export.graph_builder import formal
from edgebci.export.writers import INT8, INT16, CountingBody

_INPUTS = ("q", "weight", "act_scale", "weight_scale", "bias")


def dense_int4_function() -> ir.Function:
    """DenseInt4: as Dense."""
    body, inputs = CountingBody(), formal(*_INPUTS)
    # A cast: ONNX Runtime fuses a DequantizeLinear of INT4 with what follows, and then refuses its own graph.
    weight = body.node("Cast", [inputs[1]], "weight_counts", {"to": ir.DataType.FLOAT.value})
    return body.function("DenseInt4", inputs, [_scaled(body, inputs, _sums(body, inputs[0], weight, ""))])


def dense_int16_function() -> ir.Function:
    """DenseInt16: the sums of both halves of the weights, together."""
    body, inputs = CountingBody(), formal(*_INPUTS)
    counts = body.counts(inputs[1], INT16, "weight_counts")
    unit = body.constant("unit", 256.0, np.float32)
    shifted = body.node("Add", [counts, body.constant("half", 128.0, np.float32)], "shifted")
    high = body.node("Floor", [body.node("Div", [shifted, unit], "quotient")], "high")
    low = body.node("Sub", [counts, body.node("Mul", [high, unit], "high_part")], "low")
    upper = body.node("Mul", [_sums(body, inputs[0], high, "high_"), unit], "upper")
    # Sum, not Add: ONNX Runtime makes a Gemm of MatMul and Add, quantizes it, and then refuses its own graph.
    sums = body.node("Sum", [upper, _sums(body, inputs[0], low, "low_")], "sums")
    return body.function("DenseInt16", inputs, [_scaled(body, inputs, sums)])


def _sums(body: CountingBody, q: ir.Value, weight: ir.Value, prefix: str) -> ir.Value:
    columns = body.node("Transpose", [weight], f"{prefix}columns", {"perm": [1, 0]})
    return body.node("MatMul", [body.counts(q, INT8, f"{prefix}q_counts"), columns], f"{prefix}products")


def _scaled(body: CountingBody, inputs: list[ir.Value], sums: ir.Value) -> ir.Value:
    scale = body.node("Mul", inputs[2:4], "scale")
    return body.node("Add", [body.node("Mul", [sums, scale], "scaled"), inputs[4]], "y")


DENSE_FUNCTIONS = {"DenseInt4": dense_int4_function, "DenseInt16": dense_int16_function}


def packed_int4(weight: NDArray[np.signedinteger]) -> NDArray[np.uint8]:
    """(rows, columns) in [-8, 7] as (rows, bytes): each weight plus 8, even columns low, zeros up to whole words."""
    rows, columns = weight.shape
    halves = np.full((rows, -(-columns // 8) * 8), 8, np.uint8)
    halves[:, :columns] += weight.astype(np.uint8)  # which wraps, as it should
    packed: NDArray[np.uint8] = halves[:, ::2] | (halves[:, 1::2] << 4)
    return packed


@dataclass(frozen=True)
class _DenseForm:
    """How one width is written in C."""

    bits: int

    def __call__(self, node: Node, graph: StepGraph, sizes: dict[str, int]) -> Operation:
        """Translate one node."""
        q, weight_name, act_scale, weight_scale, bias = node.inputs
        weight = graph.constants[weight_name]
        rows, columns = weight.shape
        check_columns(node, columns, sizes[q])
        name, kind = c_name(node), f"int{self.bits}"
        values: NDArray[Any] = weight
        if self.bits == 4:
            values = packed_int4(weight.astype(np.int8))
        constants = [
            Constant(f"{name}_weight", values, f"{weight_name}: {kind} [{rows}][{columns}]"),
            Constant(f"{name}_scale", per_row(graph, act_scale, weight_scale), f"{act_scale} * {weight_scale}"),
        ]
        if floats(graph, bias).any():
            constants.append(Constant(f"{name}_bias", floats(graph, bias), bias))
        fields = [*(constant.name for constant in constants), "NULL"][:3]
        kernel = f"dense_{kind}_{columns}"
        return Operation(
            node,
            reads=(q,),
            writes=Buffer(node.outputs[0], "float", rows),
            shapes=f"int8 [{columns}] -> float32 [{rows}], weight {kind} [{rows}][{columns}]",
            call=f"{kernel}(&{name}, {{0}}, {{out}});",
            kernel=f"EDGEBCI_DEFINE_DENSE_{kind.upper()}({kernel}, {columns}u)",
            constants=tuple(constants),
            description=f"{{{rows}u, {', '.join(fields)}}}",
            description_type=f"edgebci_dense_{kind}_t",
            headers=(f"edgebci_dense_{kind}.h", "edgebci_dsp.h"),
        )


C_OPERATORS: dict[str, Translate] = {"edgebci.DenseInt4": _DenseForm(4), "edgebci.DenseInt16": _DenseForm(16)}
