"""The operators of the float step in the device's arithmetic: what the float32 C computes, bit for bit.

float32 throughout, each operation rounded once; sums over more than a few terms have the four lanes of
`arithmetic.lane_sum`, a last group that is not full adding to its first lanes alone; sums over taps, neighbours and
features go from the first to the last. What a state keeps below 1e-20 becomes zero, so that silence ends in zeros and
never in subnormal numbers. One step of one stream; shapes are those of the float ONNX graph.

The C twin is `export/kernels/edgebci_float.h`, and for the tokenizer `edgebci_float_tokenizer.h`.
"""

from __future__ import annotations

import numpy as np

from edgebci import arithmetic
from edgebci.arithmetic import F32, LANES, flush
from edgebci.operators import activations

_ONE = np.float32(1.0)


def lane_sum(values: F32) -> F32:
    """`arithmetic.lane_sum` of the last axis, of any length: -0 fills the last group, and -0 + v is v."""
    missing = -values.shape[-1] % LANES
    if not missing:
        return arithmetic.lane_sum(values)
    filled = np.full((*values.shape[:-1], values.shape[-1] + missing), np.float32(-0.0))
    filled[..., : values.shape[-1]] = values
    return arithmetic.lane_sum(filled)


def dense(x: F32, weight: F32, bias: F32) -> F32:
    """weight x + bias: (columns,) to (rows,)."""
    return lane_sum(weight * x) + bias


def rms_norm(x: F32, gamma: F32, epsilon: np.float32) -> F32:
    """(x * r) * gamma with r = 1 / sqrt(sum(x^2) * (1/n) + epsilon)."""
    mean = lane_sum(x * x) * np.float32(1.0 / len(x))
    return (x * arithmetic.reciprocal_sqrt(mean + epsilon)) * gamma


def mamba2_step(
    p: F32, conv: F32, ssm: F32, conv_weight: F32, conv_bias: F32, dt_bias: F32, A: F32, D: F32
) -> tuple[F32, F32, F32]:
    """`edgebci.operators.mamba2`'s step with float states: gated (d_inner,), conv and ssm after it."""
    heads, headdim, n = ssm.shape
    inner = heads * headdim
    z, xbc, dt_raw = np.split(p, [inner, inner + len(conv)])
    window = np.concatenate([conv, xbc[:, None]], axis=1)
    u = arithmetic.silu(_in_order(window * conv_weight) + conv_bias)
    x, B, C = np.split(u, [inner, inner + n])
    x = x.reshape(heads, headdim)
    dt = arithmetic.softplus(dt_raw + dt_bias)
    decay = arithmetic.exp(dt * A)
    h = flush(ssm * decay[:, None, None] + (dt[:, None] * x)[..., None] * B)
    y = lane_sum(C * h) + D[:, None] * x
    return y.reshape(-1) * arithmetic.silu(z), window[:, 1:], h


def s4d_step(
    u: F32, modes: F32, decay_real: F32, decay_imag: F32, inject: F32, read: F32, skip: F32
) -> tuple[F32, F32]:
    """`edgebci.operators.s4d`'s step with float modes (width, 2 modes): active (width,), and the modes after it."""
    real, imag = np.split(modes, 2, axis=1)
    next_real = flush((decay_real * real - decay_imag * imag) + inject * u[:, None])
    next_imag = flush(decay_imag * real + decay_real * imag)
    after = np.concatenate([next_real, next_imag], axis=1)
    return activations.gelu(lane_sum(read * after) + skip * u), after


def glu(p: F32) -> F32:
    """The first half, opened by the sigmoid of the second: (2 n,) to (n,)."""
    value, gate = np.split(p, 2)
    result: F32 = value * activations.sigmoid(gate)
    return result


def gru_step(p: F32, s: F32, h: F32) -> F32:
    """`edgebci.operators.gru`'s step with a float state: h after it (n,)."""
    p_reset, p_update, p_new = np.split(p, 3)
    s_reset, s_update, s_new = np.split(s, 3)
    new = activations.tanh(p_new + activations.sigmoid(p_reset + s_reset) * s_new)
    update = activations.sigmoid(p_update + s_update)
    return flush(new + update * (h - new))


def tokenizer_step(
    activation: str,
    frame: F32,
    conv: F32,
    mean: F32,
    weight: F32,
    conv_weight: F32,
    conv_bias: F32,
    attention: F32,
    keep: F32,
) -> tuple[F32, F32, F32, F32]:
    """`edgebci.operators.tokenizer`'s step with float states: gated (C E,), then conv, mean and weight after it."""
    window = np.concatenate([conv, frame[:, None]], axis=1)
    sums = _in_order(window[:, None] * conv_weight) + conv_bias
    values = activations.gelu(sums) if activation == "gelu" else arithmetic.silu(sums)
    weight = keep * weight + _ONE
    x = _in_order(values) * np.float32(1.0 / values.shape[-1])
    mean = flush(mean + (x - mean) * (_ONE / weight))
    around = len(attention) // 2
    padded, total = np.pad(mean, around), np.zeros_like(mean)
    for k in range(len(attention)):
        total = total + attention[k] * padded[k : k + len(mean)]
    gated = values * activations.sigmoid(total)[:, None]
    return gated.reshape(-1), window[:, 1:], mean, weight


def stack(newest: F32, before: F32) -> tuple[F32, F32]:
    """`edgebci.operators.stack`: rows side by side ((lags + 1) H,), and the state after it (lags, H)."""
    rows = np.concatenate([newest[None], before])
    return rows.reshape(-1), rows[:-1]


def _in_order(values: F32) -> F32:
    """Sum of the last axis from its first element to its last."""
    total = values[..., 0]
    for k in range(1, values.shape[-1]):
        total = total + values[..., k]
    return total
