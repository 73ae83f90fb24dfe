"""The Mamba-2 cell (Dao & Gu 2024, arXiv 2405.21060), for the normalised residual stream n:

    z, xbc, dt = split(W_in n)           xbc = silu(causal_conv(xbc))         x, B, C = split(xbc)
    dt = softplus(dt + dt_bias)          h = exp(dt A) h + (dt x) B^T         y = C h + D x
    out = W_out rms_norm(y silu(z))

Quantized: int8 projections, int16 states with one scale per convolution channel and per head, float32 between. h may be
int8 where the decay report shows that it holds. dt is float32 in the log domain of its bias (softplus of a float32 sum)
and decay = exp(dt A) is float32, computed anew at each step: neither is ever rounded to integers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edgebci import arithmetic
from edgebci.arithmetic import F32, I8, I16
from edgebci.block_spec import Shape
from edgebci.operators.cell import F64, Cell, Costs, Integers, QuantizedCell, Tap, silu
from edgebci.operators.dense import QuantizedDense, dense_of, dense_tensors, inverse, rms_norm_quantize
from edgebci.operators.state_width import quantize_state

_INT8, _FLOAT32 = 1, 4


@dataclass(frozen=True)
class QuantizedMamba2(QuantizedCell):
    """q -> in_proj -> step -> q(rms_norm) -> out_proj."""

    in_proj: QuantizedDense
    conv_weight: I8  # (conv_dim, d_conv)
    conv_weight_scale: F32  # (conv_dim,)
    conv_scale: F32  # (conv_dim,), one count of the convolution's input and state
    conv_bias: F32  # (conv_dim,)
    dt_bias: F32  # (n_heads,)
    A: F32  # (n_heads,), -exp(A_log)
    D: F32  # (n_heads,)
    ssm_scale: F32  # (n_heads,), one count of h
    norm_weight: F32  # (d_inner,)
    out_proj: QuantizedDense
    norm_epsilon: float

    @property
    def act_scale(self) -> F32:
        """() one count of the input."""
        return self.in_proj.act_scale

    def run(self, q: I8, states: Mapping[str, Integers], tap: Tap) -> tuple[F32, dict[str, Integers]]:
        """See `QuantizedCell.run`; `tap` sees `conv.next`, `ssm.next` and `gated_q`."""
        gate, conv, ssm = mamba2_steps(self, self.in_proj(q), states["conv"], states["ssm"])
        tap("conv.next", conv)
        tap("ssm.next", ssm)
        epsilon = np.float32(self.norm_epsilon)
        gated = rms_norm_quantize(gate, self.norm_weight, epsilon, self.out_proj.inverse_act_scale)
        tap("gated_q", gated)
        return self.out_proj(gated), {"conv": conv[-1].copy(), "ssm": ssm[-1].copy()}

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Every array by its name within the layer's `mixer`."""
        own = {name: getattr(self, field) for name, field in _TENSORS.items()}
        return dense_tensors("in_proj", self.in_proj) | dense_tensors("out_proj", self.out_proj) | own


class Mamba2Cell(Cell):
    """Mamba-2 as `mamba_ssm` has it; see `BlockSpec` for the letters."""

    input_scale: ClassVar[str] = "in_proj.act_scale"

    def parameter_shapes(self) -> dict[str, Shape]:
        """Names and shapes of `mamba_ssm.Mamba2`."""
        return self.block.parameter_shapes()

    def state_shapes(self) -> dict[str, Shape]:
        """`conv` holds the last inputs of the convolution, oldest first; `ssm` is h."""
        block = self.block
        return {"conv": (block.conv_dim, block.d_conv - 1), "ssm": (block.n_heads, block.headdim, block.d_state)}

    def costs(self) -> Costs:
        """Of the recurrence, three MACs per element of h: decay, injection, readout."""
        block = self.block
        # Taps; two scales and a bias per channel; dt_bias, A, D and a scale per head; the gated norm.
        taps = _INT8 * block.conv_dim * block.d_conv
        floats = 3 * block.conv_dim + 4 * block.n_heads + block.d_inner
        return Costs(
            dense=((block.d_in_proj, block.d_model), (block.d_model, block.d_inner)),
            conv_macs=block.conv_dim * block.d_conv,
            state_macs=3 * block.d_inner * block.d_state,
            vector_bytes=taps + _FLOAT32 * floats,
        )

    def run(
        self, weights: Mapping[str, F64], u: F64, states: Mapping[str, F64], tap: Tap
    ) -> tuple[F64, dict[str, F64]]:
        """See `Cell.run`; `tap` sees `conv.next` (the newest column), `ssm.next` and `gated`."""
        block = self.block
        z, xbc, dt = np.split(u @ weights["in_proj.weight"].T, [block.d_inner, block.d_inner + block.conv_dim], axis=-1)
        tap("conv.next", xbc)
        convolved, conv = self._convolution(weights, xbc, states["conv"])
        y, hidden = self._scan(weights, convolved, dt, states["ssm"])
        tap("ssm.next", hidden)
        gated = y * silu(z)
        root = np.sqrt(np.mean(gated * gated, axis=-1, keepdims=True) + block.norm_epsilon)
        normed = gated / root * weights["norm.weight"]
        tap("gated", normed)
        return normed @ weights["out_proj.weight"].T, {"conv": conv, "ssm": hidden[-1]}

    def _convolution(self, weights: Mapping[str, F64], xbc: F64, state: F64) -> tuple[F64, F64]:
        """Causal depthwise convolution and SiLU of (T, conv_dim), with the last inputs in `state`."""
        taps = self.block.d_conv
        padded = np.concatenate([state, xbc.T], axis=1)
        windows = np.lib.stride_tricks.sliding_window_view(padded, taps, axis=1)
        summed = np.einsum("ctk,ck->tc", windows, weights["conv1d.weight"][:, 0]) + weights["conv1d.bias"]
        return silu(summed), padded[:, -(taps - 1) :]

    def _scan(self, weights: Mapping[str, F64], xbc: F64, dt_raw: F64, state: F64) -> tuple[F64, F64]:
        """The recurrence: returns y (T, d_inner) and every state (T, n_heads, headdim, d_state)."""
        block = self.block
        x, B, C = np.split(xbc, [block.d_inner, block.d_inner + block.d_state], axis=-1)
        x = x.reshape(-1, block.n_heads, block.headdim)
        dt = np.logaddexp(0.0, dt_raw + weights["dt_bias"])
        decay = np.exp(dt * -np.exp(weights["A_log"]))
        hidden = (dt[..., None] * x)[..., None] * B[:, None, None, :]
        for t in range(len(hidden)):
            state = decay[t, :, None, None] * state + hidden[t]
            hidden[t] = state
        y = np.einsum("thpn,tn->thp", hidden, C) + weights["D"][:, None] * x
        return y.reshape(-1, block.d_inner), hidden

    def quantized(self, tensors: Mapping[str, NDArray[Any]]) -> QuantizedMamba2:
        """Build from what `QuantizedMamba2.tensors` gave."""
        return QuantizedMamba2(
            in_proj=dense_of(tensors, "in_proj"),
            out_proj=dense_of(tensors, "out_proj"),
            norm_epsilon=self.block.norm_epsilon,
            **{field: tensors[name] for name, field in _TENSORS.items()},
        )


def mamba2_steps(cell: QuantizedMamba2, p: F32, conv: Integers, ssm: Integers) -> tuple[F32, I16, Integers]:
    """Steps of the SSM for p (T, d_in_proj), one after another.

    Returns g (T, d_inner), the state of the convolution after each step (T, conv_dim, d_conv - 1) and that of the SSM
    after each step (T, n_heads, headdim, d_state).
    """
    n_heads, headdim, d_state = ssm.shape
    d_inner = n_heads * headdim
    z, xbc, dt_raw = np.split(p, [d_inner, d_inner + len(conv)], axis=-1)
    u, conv_states = _convolution(cell, xbc, conv)
    x, B, C = np.split(u, [d_inner, d_inner + d_state], axis=-1)
    x = x.reshape(-1, n_heads, headdim)
    dt = arithmetic.softplus(dt_raw + cell.dt_bias)
    dxs = (dt[..., None] * x) * inverse(cell.ssm_scale)[:, None]
    ssm_states = _scan(arithmetic.exp(dt * cell.A), dxs, B, ssm)
    s = arithmetic.lane_sum(C[:, None, None, :] * ssm_states.astype(np.float32))
    y = s * cell.ssm_scale[:, None] + cell.D[:, None] * x
    return y.reshape(-1, d_inner) * arithmetic.silu(z), conv_states, ssm_states


def _convolution(cell: QuantizedMamba2, xbc: F32, conv: Integers) -> tuple[F32, I16]:
    """u = silu(float32(w . window) * (conv_scale * weight_scale) + bias), windows oldest first."""
    xq = arithmetic.quantize_int16(xbc, inverse(cell.conv_scale))
    taps = cell.conv_weight.shape[1]
    padded = np.concatenate([conv, xq.T], axis=1)
    windows = np.lib.stride_tricks.sliding_window_view(padded, taps, axis=1).transpose(1, 0, 2)
    sums = (windows.astype(np.int32) * cell.conv_weight.astype(np.int32)).sum(axis=-1, dtype=np.int32)
    scale = cell.conv_scale * cell.conv_weight_scale
    return arithmetic.silu(sums.astype(np.float32) * scale + cell.conv_bias), windows[..., 1:]


def _scan(decay: F32, dxs: F32, B: F32, ssm: Integers) -> Integers:
    """h = q(float32(h) * decay + dxs * B), step after step; counts of ssm_scale, in the type of `ssm`."""
    unit = np.float32(1.0)
    injected = dxs[..., None] * B[:, None, None, :]
    states = np.empty(injected.shape, ssm.dtype)
    for t in range(len(states)):
        ssm = quantize_state(ssm.astype(np.float32) * decay[t, :, None, None] + injected[t], unit, ssm.dtype)
        states[t] = ssm
    return states


_TENSORS = {
    "conv1d.weight": "conv_weight",
    "conv1d.weight_scale": "conv_weight_scale",
    "conv1d.scale": "conv_scale",
    "conv1d.bias": "conv_bias",
    "dt_bias": "dt_bias",
    "A": "A",
    "D": "D",
    "ssm_scale": "ssm_scale",
    "norm.weight": "norm_weight",
}
