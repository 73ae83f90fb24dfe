"""Pieces of function bodies that several operators share, and the functions that every step has.

Every tensor is one step of one stream, without a batch axis.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgebci.export.graph_builder import Builder, formal
from edgebci.export.writers import INT8, CountingBody


def dense_function() -> ir.Function:
    """Dense(x, weight, bias) = weight x + bias."""
    body = Builder()
    x, weight, bias = formal("x", "weight", "bias")
    columns = body.node("Transpose", [weight], "columns", {"perm": [1, 0]})
    product = body.node("MatMul", [x, columns], "product")
    return body.function("Dense", [x, weight, bias], [body.node("Add", [product, bias], "y")])


def rms_norm_function() -> ir.Function:
    """RmsNorm(x, gamma) = x / sqrt(mean(x^2) + epsilon) * gamma."""
    body = Builder()
    x, gamma = formal("x", "gamma")
    return body.function("RmsNorm", [x, gamma], [rms_norm(body, x, gamma)], [EPSILON])


def quantized_dense_function() -> ir.Function:
    """Dense(q, weight, act_scale, weight_scale, bias) = (weight q) * (act_scale * weight_scale) + bias."""
    body = CountingBody()
    inputs = formal("q", "weight", "act_scale", "weight_scale", "bias")
    q, weight, act_scale, weight_scale, bias = inputs
    columns = body.node("Transpose", [body.counts(weight, INT8, "weight_counts")], "columns", {"perm": [1, 0]})
    sums = body.node("MatMul", [body.counts(q, INT8, "q_counts"), columns], "sums")
    scale = body.node("Mul", [act_scale, weight_scale], "scale")
    return body.function("Dense", inputs, [body.node("Add", [body.node("Mul", [sums, scale], "scaled"), bias], "y")])


def rms_norm_quantize_function() -> ir.Function:
    """RmsNormQuantize(x, gamma, out_scale): the norm, in counts of out_scale."""
    body = CountingBody()
    inputs = formal("x", "gamma", "out_scale")
    x, gamma, out_scale = inputs
    normed = rms_norm(body, x, gamma)
    counts = body.node("Mul", [normed, body.node("Reciprocal", [out_scale], "inverse_scale")], "counts")
    return body.function("RmsNormQuantize", inputs, [body.quantize(counts, INT8, "q")], [EPSILON])


EPSILON = ir.Attr("epsilon", ir.AttributeType.FLOAT, None)


def rms_norm(body: Builder, x: ir.Value, gamma: ir.Value) -> ir.Value:
    """(x * r) * gamma with r = 1 / sqrt(mean(x^2) + epsilon), epsilon being the function's attribute."""
    axis = body.constant("axis", [0], np.int64)
    attribute = ir.RefAttr("value_float", "epsilon", ir.AttributeType.FLOAT)
    epsilon = body.node("Constant", [], "epsilon_value", {"value_float": attribute})
    square = body.node("Mul", [x, x], "square")
    mean = body.node("ReduceMean", [square, axis], "mean", {"keepdims": 1})
    root = body.node("Sqrt", [body.node("Add", [mean, epsilon], "mean_epsilon")], "root")
    r = body.node("Reciprocal", [root], "r")
    return body.node("Mul", [body.node("Mul", [x, r], "unit"), gamma], "normed")


def slide(body: Builder, conv_state: ir.Value, newest: ir.Value) -> tuple[ir.Value, ir.Value]:
    """Append (conv_dim,) to the last inputs: the window (conv_dim, d_conv), oldest first, and the next state."""
    column = unsqueeze(body, newest, 1, "newest")
    window = body.node("Concat", [conv_state, column], "window", {"axis": 1})
    bounds = [body.constant(name, [value], np.int64) for name, value in (("from", 1), ("to", 1 << 30), ("along", 1))]
    return window, body.node("Slice", [window, *bounds], "conv_next")


def tap_sums(body: Builder, window: ir.Value, conv_weight: ir.Value) -> ir.Value:
    """Sum over taps of weight * window: (conv_dim,)."""
    taps = body.node("Mul", [window, conv_weight], "taps")
    return body.node("ReduceSum", [taps, body.constant("tap_axis", [1], np.int64)], "tap_sums", {"keepdims": 0})


def silu(body: Builder, x: ir.Value, name: str) -> ir.Value:
    """x * sigmoid(x)."""
    return body.node("Mul", [x, body.node("Sigmoid", [x], f"{name}_sigmoid")], name)


def unsqueeze(body: Builder, value: ir.Value, axis: int, name: str) -> ir.Value:
    """Give `value` one more axis of length 1."""
    return body.node("Unsqueeze", [value, body.constant(f"{name}_axis", [axis], np.int64)], name)


def gelu(body: Builder, x: ir.Value, name: str) -> ir.Value:
    """x (1 + erf(x / sqrt(2))) / 2."""
    root = body.constant(f"{name}_root", np.sqrt(0.5), np.float32)
    one, half = body.constant(f"{name}_one", 1.0, np.float32), body.constant(f"{name}_half", 0.5, np.float32)
    error = body.node("Erf", [body.node("Mul", [x, root], f"{name}_scaled")], f"{name}_erf")
    share = body.node("Mul", [body.node("Add", [error, one], f"{name}_raised"), half], f"{name}_share")
    return body.node("Mul", [x, share], name)
