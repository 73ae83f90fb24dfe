"""Pieces of function bodies that the float and the quantized step share, and the float functions themselves.

The letters are those of `edgebci.decoder_float`; every tensor is one step of one stream, without a batch axis:
p (d_in_proj,), x (n_heads, headdim), B and C (d_state,), h (n_heads, headdim, d_state).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from edgebci.decoder_spec import DecoderSpec
from edgebci.export.graph_builder import Builder, formal


@dataclass(frozen=True)
class Projection:
    """What in_proj gives, apart."""

    z: ir.Value  # (d_inner,) gate
    xbc: ir.Value  # (conv_dim,) input of the convolution
    dt_raw: ir.Value  # (n_heads,)


@dataclass(frozen=True)
class Discretised:
    """What one step puts into the state and keeps of it."""

    x: ir.Value  # (n_heads, headdim)
    B: ir.Value  # (d_state,)
    C: ir.Value  # (d_state,)
    dx: ir.Value  # (n_heads, headdim), dt x
    decay: ir.Value  # (n_heads, 1, 1), exp(dt A)


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


def mamba2_step_function(spec: DecoderSpec) -> ir.Function:
    """Mamba2Step(p, conv_state, ssm_state, conv_weight, conv_bias, dt_bias, A, D) -> g, conv_next, ssm_next."""
    body = Builder()
    inputs = formal("p", "conv_state", "ssm_state", "conv_weight", "conv_bias", "dt_bias", "A", "D")
    p, conv_state, ssm_state, conv_weight, conv_bias, dt_bias, A, D = inputs
    parts = split_projection(body, spec, p)
    window, conv_next = slide(body, conv_state, parts.xbc)
    sums = tap_sums(body, window, conv_weight)
    u = silu(body, body.node("Add", [sums, conv_bias], "conv"), "u")
    now = discretise(body, spec, u, parts.dt_raw, dt_bias, A)
    injected = body.node("Mul", [unsqueeze(body, now.dx, 2, "dx_column"), now.B], "injected")
    kept = body.node("Mul", [ssm_state, now.decay], "kept")
    ssm_next = body.node("Add", [kept, injected], "ssm_next")
    y = body.node("Add", [read_state(body, ssm_next, now.C), skip(body, D, now.x)], "y")
    return body.function("Mamba2Step", inputs, [gate(body, spec, y, parts.z), conv_next, ssm_next])


def split_projection(body: Builder, spec: DecoderSpec, p: ir.Value) -> Projection:
    """Cut p into z, xbc and dt."""
    sizes = body.constant("projection_sizes", [spec.d_inner, spec.conv_dim, spec.n_heads], np.int64)
    return Projection(*body.call("Split", [p, sizes], "split_projection", ["z", "xbc", "dt_raw"], {"axis": 0}))


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


def discretise(
    body: Builder, spec: DecoderSpec, u: ir.Value, dt_raw: ir.Value, dt_bias: ir.Value, A: ir.Value
) -> Discretised:
    """dt = softplus(dt + dt_bias); decay = exp(dt A); dt x."""
    sizes = body.constant("u_sizes", [spec.d_inner, spec.d_state, spec.d_state], np.int64)
    flat, B, C = body.call("Split", [u, sizes], "split_u", ["x_flat", "B", "C"], {"axis": 0})
    x = body.node("Reshape", [flat, body.constant("x_shape", [spec.n_heads, spec.headdim], np.int64)], "x")
    dt = body.node("Softplus", [body.node("Add", [dt_raw, dt_bias], "dt_biased")], "dt")
    decays = body.node("Exp", [body.node("Mul", [dt, A], "dt_A")], "decays")
    decay = body.node("Reshape", [decays, body.constant("decay_shape", [spec.n_heads, 1, 1], np.int64)], "decay")
    dx = body.node("Mul", [unsqueeze(body, dt, 1, "dt_column"), x], "dx")
    return Discretised(x, B, C, dx, decay)


def read_state(body: Builder, h: ir.Value, C: ir.Value) -> ir.Value:
    """C h: (n_heads, headdim)."""
    read = body.node("Mul", [C, h], "read")
    return body.node("ReduceSum", [read, body.constant("state_axis", [2], np.int64)], "read_sums", {"keepdims": 0})


def skip(body: Builder, D: ir.Value, x: ir.Value) -> ir.Value:
    """D x: (n_heads, headdim)."""
    return body.node("Mul", [unsqueeze(body, D, 1, "D_column"), x], "skip")


def gate(body: Builder, spec: DecoderSpec, y: ir.Value, z: ir.Value) -> ir.Value:
    """Y silu(z): (d_inner,)."""
    flat = body.node("Reshape", [y, body.constant("y_shape", [spec.d_inner], np.int64)], "y_flat")
    return body.node("Mul", [flat, silu(body, z, "z_silu")], "g")


def unsqueeze(body: Builder, value: ir.Value, axis: int, name: str) -> ir.Value:
    """Give `value` one more axis of length 1."""
    return body.node("Unsqueeze", [value, body.constant(f"{name}_axis", [axis], np.int64)], name)
