"""Attention over the spikes of a chunk in ONNX and in C.

    edgebci.TokenAttention(tokens, score, share, value, value_scale, latent)                     -> x (dim,)

without shares and scale in the float step. tokens (N, 2) int32 of (unit, time step), absent where the unit is -1.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir

from edgebci.export.c_graph import Node, StepGraph
from edgebci.export.c_literals import Constant, literal
from edgebci.export.c_operation import Buffer, Operation, c_name, floats
from edgebci.export.calibration import INT8_MAX, INT16_MAX, scale_of
from edgebci.export.graph_builder import DOMAIN, Builder, formal
from edgebci.export.writers import INT32, FloatWriter, QuantizedWriter
from edgebci.operators.cell import F64
from edgebci.operators.token_attention import SCORE_SCALE, SHARES, QuantizedTokenAttention

_WEIGHTS = ("score", "share", "value", "value_scale", "latent")


def quantize_token_attention(weights: Mapping[str, F64]) -> QuantizedTokenAttention:
    """Scores in their fixed scale, saturated; values with one scale, from their largest magnitude."""
    value_scale = scale_of(np.abs(weights["value"]).max(), INT8_MAX)
    return QuantizedTokenAttention(
        score=np.clip(np.rint(weights["score"] / SCORE_SCALE), -INT16_MAX, INT16_MAX).astype(np.int16),
        share=SHARES,
        value=np.rint(weights["value"] / value_scale.astype(np.float64)).astype(np.int8),
        value_scale=value_scale,
        latent=weights["latent"].astype(np.float32),
    )


def float_token_attention(writer: FloatWriter, tokens: ir.Value) -> ir.Value:
    """Write the node of the float step."""
    weights = [writer.weight(name) for name in ("score", "value", "latent")]
    return writer.graph.node("TokenAttention", [tokens, *weights], "tokens", domain=DOMAIN)


def quantized_token_attention(writer: QuantizedWriter, tokens: ir.Value) -> ir.Value:
    """Write the node of the quantized step."""
    weights = [writer.tensor(f"tokens.{name}") for name in _WEIGHTS]
    return writer.graph.node("TokenAttention", [tokens, *weights], "tokens", domain=DOMAIN)


def looked_up(body: Builder, tokens: ir.Value, score: ir.Value, value: ir.Value) -> tuple[ir.Value, ir.Value, ir.Value]:
    """Of each token: whether it is there (N,) bool, its score (N,), its value (N, dim)."""
    sizes = body.constant("columns", [1, 1], np.int64)
    unit_column, time_column = body.call("Split", [tokens, sizes], "split", ["unit_column", "time_column"], {"axis": 1})
    axis, zero = body.constant("column_axis", [1], np.int64), body.constant("zero", 0, np.int32)
    unit = body.node("Squeeze", [unit_column, axis], "unit")
    there = body.node("GreaterOrEqual", [unit, zero], "there")
    row = body.node("Max", [unit, zero], "row")
    row_column = body.node("Unsqueeze", [row, axis], "row_column")
    place = body.node("Concat", [row_column, time_column], "place", {"axis": 1})
    wide = body.node("Cast", [place], "wide_place", {"to": ir.DataType.INT64.value})
    return there, body.node("GatherND", [score, wide], "scores"), body.node("Gather", [value, row], "values")


def float_function() -> ir.Function:
    """TokenAttention of the float step."""
    body, inputs = Builder(), formal("tokens", "score", "value", "latent")
    tokens, score, value, latent = inputs
    there, scores, values = looked_up(body, tokens, score, value)
    masked = body.node("Where", [there, scores, body.constant("least", -1e30, np.float32)], "masked")
    shares = body.node("Softmax", [masked], "shares", {"axis": 0})
    x = body.node("Add", [latent, body.node("MatMul", [shares, values], "mixed")], "x")
    return body.function("TokenAttention", inputs, [x])


def quantized_function() -> ir.Function:
    """TokenAttention of the quantized step."""
    body, inputs = Builder(), formal("tokens", *_WEIGHTS)
    tokens, score, share, value, value_scale, latent = inputs
    there, scores, values = looked_up(body, tokens, score, value)
    counts = body.node("Cast", [scores], "score_counts", {"to": INT32.value})
    masked = body.node("Where", [there, counts, body.constant("least", -32768, np.int32)], "masked")
    axis = body.constant("token_axis", [0], np.int64)
    largest = body.node("ReduceMax", [masked, axis], "largest", {"keepdims": 1})
    last = body.constant("last", len(SHARES) - 1, np.int32)
    below = body.node("Min", [body.node("Sub", [largest, masked], "below"), last], "below_or_last")
    found = body.node("Gather", [share, body.node("Where", [there, below, last], "place_of_share")], "found")
    shares = body.node("Cast", [found], "shares", {"to": ir.DataType.FLOAT.value})
    value_counts = body.node("Cast", [values], "value_counts", {"to": ir.DataType.FLOAT.value})
    sums = body.node("MatMul", [shares, value_counts], "sums")
    total = body.node("ReduceSum", [shares, axis], "total", {"keepdims": 1})
    scaled = body.node("Mul", [sums, body.node("Div", [value_scale, total], "unit_value")], "mixed")
    return body.function("TokenAttention", inputs, [body.node("Add", [latent, scaled], "x")])


def _c_attention(node: Node, graph: StepGraph, _: dict[str, int]) -> Operation:
    tokens, score, share, value, value_scale, latent = node.inputs
    (rows, steps), dim, name = graph.constants[score].shape, graph.constants[value].shape[1], c_name(node)
    most = graph.inputs[tokens][0]
    constants = (
        Constant(f"{name}_score", graph.constants[score], f"{score}: int16 [{rows}][{steps}]"),
        Constant(f"{name}_share", graph.constants[share], f"{share}: by counts below the largest score"),
        Constant(f"{name}_value", graph.constants[value], f"{value}: int8 [{rows}][{dim}]"),
        Constant(f"{name}_latent", floats(graph, latent), latent),
    )
    numbers = [f"{graph.constants[share].size}u", literal(floats(graph, value_scale).reshape(()))]
    return Operation(
        node,
        reads=(tokens,),
        writes=Buffer(node.outputs[0], "float", dim),
        shapes=f"at most {most} tokens -> float32 [{dim}]",
        call=f"token_attention_{dim}(&{name}, {{0}}, {{out}});",
        kernel=f"EDGEBCI_DEFINE_TOKEN_ATTENTION(token_attention_{dim}, {most}u, {steps}u, {dim}u)",
        constants=constants,
        description=f"{{{', '.join([*(constant.name for constant in constants), *numbers])}}}",
        description_type="edgebci_token_attention_t",
        headers=("edgebci_attention.h",),
    )


C_OPERATORS = {"edgebci.TokenAttention": _c_attention}
