"""The quantized decoder, bit for bit: what the host twin and the emulated cores must equal.

int8 weights (one scale per output row) and activations (one scale per tensor), int32 sums, int16 states (one scale per
convolution channel and per head), float32 for what stands between two quantizers. Every operation is one of
`edgebci.arithmetic`, in the order written here; q() is `quantize_int8` with the reciprocal scale, rounded to float32:

    x = dense(q(frame), input)
    for each layer:
        g, conv, ssm = mamba2_step(dense(q(rms_norm(x)), in_proj), conv, ssm)
        x = x + dense(q(rms_norm(g)), out_proj)
    output = dense(q(rms_norm(x)), readout)

`run` takes many frames at once: what does not depend on the previous step is computed for all of them together, element
by element the same, so any chunking of a stream gives the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgebci import arithmetic
from edgebci.arithmetic import F32, I8, I16, I32
from edgebci.checkpoint import read_tensors, write_tensors
from edgebci.decoder_float import segments
from edgebci.decoder_spec import DecoderSpec
from edgebci.documents import Document

CHUNK = 256

QuantizedStates = dict[str, I16]
QuantizedTap = Callable[[str, NDArray[Any]], None]
"""Sees the output of each quantizer, (T, ...), by name."""


class QuantizedHeader(Document):
    """Header of the file of a quantized decoder."""

    schema_version: Literal["edgebci.quantized_decoder/1"] = "edgebci.quantized_decoder/1"
    spec: DecoderSpec


def no_tap(name: str, values: NDArray[Any]) -> None:
    """Look at nothing."""


@dataclass(frozen=True)
class QuantizedDense:
    """y = float32(W q) * (act_scale * weight_scale) + bias."""

    weight: I8  # (out, in), in [-127, 127]
    act_scale: F32  # (), one count of the input
    weight_scale: F32  # (out,)
    bias: F32  # (out,)

    @cached_property
    def inverse_act_scale(self) -> np.float32:
        """What the quantizer in front of this layer multiplies by."""
        return np.float32(1.0 / self.act_scale)

    @cached_property
    def scale(self) -> F32:
        """(out,): one count of the integer sum, rounded once."""
        return self.act_scale * self.weight_scale

    def __call__(self, q: I8) -> F32:
        """(T, in) int8 to (T, out) float32."""
        return self._sums(q).astype(np.float32) * self.scale + self.bias

    @cached_property
    def _columns(self) -> NDArray[np.float64]:
        return self.weight.T.astype(np.float64)

    def _sums(self, q: I8) -> I32:
        # Integers below 2^53 add exactly in float64, in any order, and BLAS has no integer product.
        return (q.astype(np.float64) @ self._columns).astype(np.int32)


@dataclass(frozen=True)
class QuantizedBlock:
    """One layer: norm, Mamba-2 mixer."""

    norm_weight: F32  # (d_model,)
    in_proj: QuantizedDense
    conv_weight: I8  # (conv_dim, d_conv)
    conv_weight_scale: F32  # (conv_dim,)
    conv_scale: F32  # (conv_dim,), one count of the convolution's input and state
    conv_bias: F32  # (conv_dim,)
    dt_bias: F32  # (n_heads,)
    A: F32  # (n_heads,), -exp(A_log)
    D: F32  # (n_heads,)
    ssm_scale: F32  # (n_heads,), one count of h
    mixer_norm_weight: F32  # (d_inner,)
    out_proj: QuantizedDense


@dataclass(frozen=True)
class QuantizedDecoder:
    """Integer weights, scales and the spec they belong to."""

    spec: DecoderSpec
    input: QuantizedDense
    blocks: tuple[QuantizedBlock, ...]
    norm_weight: F32
    readout: QuantizedDense

    def initial_states(self) -> QuantizedStates:
        """All zero: the state at power-on and after a reset."""
        return {name: np.zeros(shape, np.int16) for name, shape in self.spec.state_shapes().items()}

    def step(self, frame: F32, states: QuantizedStates) -> tuple[F32, QuantizedStates]:
        """Decode one frame (n_inputs,): returns the output (n_outputs,) and the next states."""
        outputs, states = self.run(frame[None], states)
        return outputs[0], states

    def stream(self, frames: F32, reset_before: NDArray[np.bool_] | None = None, tap: QuantizedTap = no_tap) -> F32:
        """Decode (T, n_inputs) from zero states, which `reset_before` (T,) restores: returns (T, n_outputs)."""
        outputs = np.zeros((len(frames), self.spec.n_outputs), np.float32)
        states = self.initial_states()
        for start, stop, reset in segments(len(frames), reset_before, CHUNK):
            states = self.initial_states() if reset else states
            outputs[start:stop], states = self.run(frames[start:stop], states, tap)
        return outputs

    def run(self, frames: F32, states: QuantizedStates, tap: QuantizedTap = no_tap) -> tuple[F32, QuantizedStates]:
        """Decode frames (T, n_inputs) that follow each other, from `states` on.

        `tap` sees what each quantizer gave: `frame_q`; for each layer `layers.{i}.norm_q`, `conv.{i}.next` (T,
        conv_dim, d_conv - 1), `ssm.{i}.next` (T, n_heads, headdim, d_state), `layers.{i}.gated_q`; and `norm_q`.
        """
        following = dict(states)
        q = arithmetic.quantize_int8(frames.astype(np.float32), self.input.inverse_act_scale)
        tap("frame_q", q)
        x = self.input(q)
        for i, block in enumerate(self.blocks):
            q = self._norm(x, block.norm_weight, block.in_proj)
            tap(f"layers.{i}.norm_q", q)
            gate, conv, ssm = mamba2_steps(block, block.in_proj(q), states[f"conv.{i}"], states[f"ssm.{i}"])
            following |= {f"conv.{i}": conv[-1].copy(), f"ssm.{i}": ssm[-1].copy()}
            tap(f"conv.{i}.next", conv)
            tap(f"ssm.{i}.next", ssm)
            q = self._norm(gate, block.mixer_norm_weight, block.out_proj)
            tap(f"layers.{i}.gated_q", q)
            x = x + block.out_proj(q)
        q = self._norm(x, self.norm_weight, self.readout)
        tap("norm_q", q)
        return self.readout(q), following

    def _norm(self, x: F32, gamma: F32, following: QuantizedDense) -> I8:
        return rms_norm_quantize(x, gamma, np.float32(self.spec.norm_epsilon), following.inverse_act_scale)

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Every array by the name that it has in the ONNX graph and in the file."""
        tensors = _dense_tensors("input", self.input)
        for i, block in enumerate(self.blocks):
            tensors |= {f"layers.{i}.{name}": values for name, values in _block_tensors(block).items()}
        return tensors | {"norm.weight": self.norm_weight} | _dense_tensors("readout", self.readout)

    @classmethod
    def from_tensors(cls, spec: DecoderSpec, tensors: Mapping[str, NDArray[Any]]) -> QuantizedDecoder:
        """Build from what `tensors` gave."""
        blocks = tuple(_block(tensors, f"layers.{i}") for i in range(spec.n_layers))
        return cls(spec, _dense(tensors, "input"), blocks, tensors["norm.weight"], _dense(tensors, "readout"))

    def save(self, path: Path) -> None:
        """Write a safetensors file; the same decoder gives the same bytes."""
        write_tensors(path, self.tensors(), QuantizedHeader(spec=self.spec))

    @classmethod
    def load(cls, path: Path) -> QuantizedDecoder:
        """Read what `save` wrote.

        Raises:
            InputError: the file is missing, damaged or of another kind.
        """
        tensors, header = read_tensors(path, QuantizedHeader)
        return cls.from_tensors(header.spec, tensors)


def inverse(scale: F32) -> F32:
    """1 / scale, rounded once."""
    result: F32 = np.float32(1.0) / scale
    return result


def rms_norm_quantize(x: F32, gamma: F32, epsilon: np.float32, inverse_scale: np.float32) -> I8:
    """q((x * r) * gamma) with r = 1 / sqrt(sum(x^2) * (1/n) + epsilon); (T, n) float32 to (T, n) int8."""
    mean = arithmetic.lane_sum(x * x) * np.float32(1.0 / x.shape[-1])
    r = arithmetic.reciprocal_sqrt(mean + epsilon)
    return arithmetic.quantize_int8((x * r[..., None]) * gamma, inverse_scale)


def mamba2_steps(block: QuantizedBlock, p: F32, conv: I16, ssm: I16) -> tuple[F32, I16, I16]:
    """Steps of the SSM for p (T, d_in_proj), one after another.

    Returns g (T, d_inner), the state of the convolution after each step (T, conv_dim, d_conv - 1) and that of the SSM
    after each step (T, n_heads, headdim, d_state).
    """
    n_heads, headdim, d_state = ssm.shape
    d_inner = n_heads * headdim
    z, xbc, dt_raw = np.split(p, [d_inner, d_inner + len(conv)], axis=-1)
    u, conv_states = _convolution(block, xbc, conv)
    x, B, C = np.split(u, [d_inner, d_inner + d_state], axis=-1)
    x = x.reshape(-1, n_heads, headdim)
    dt = arithmetic.softplus(dt_raw + block.dt_bias)
    dxs = (dt[..., None] * x) * inverse(block.ssm_scale)[:, None]
    ssm_states = _scan(arithmetic.exp(dt * block.A), dxs, B, ssm)
    s = arithmetic.lane_sum(C[:, None, None, :] * ssm_states.astype(np.float32))
    y = s * block.ssm_scale[:, None] + block.D[:, None] * x
    return y.reshape(-1, d_inner) * arithmetic.silu(z), conv_states, ssm_states


def _convolution(block: QuantizedBlock, xbc: F32, conv: I16) -> tuple[F32, I16]:
    """u = silu(float32(w . window) * (conv_scale * weight_scale) + bias), windows oldest first."""
    xq = arithmetic.quantize_int16(xbc, inverse(block.conv_scale))
    taps = block.conv_weight.shape[1]
    padded = np.concatenate([conv, xq.T], axis=1)
    windows = np.lib.stride_tricks.sliding_window_view(padded, taps, axis=1).transpose(1, 0, 2)
    sums = (windows.astype(np.int32) * block.conv_weight.astype(np.int32)).sum(axis=-1, dtype=np.int32)
    scale = block.conv_scale * block.conv_weight_scale
    return arithmetic.silu(sums.astype(np.float32) * scale + block.conv_bias), windows[..., 1:]


def _scan(decay: F32, dxs: F32, B: F32, ssm: I16) -> I16:
    """h = q16(float32(h) * decay + dxs * B), step after step; counts of ssm_scale."""
    unit = np.float32(1.0)
    injected = dxs[..., None] * B[:, None, None, :]
    states = np.empty(injected.shape, np.int16)
    for t in range(len(states)):
        ssm = arithmetic.quantize_int16(ssm.astype(np.float32) * decay[t, :, None, None] + injected[t], unit)
        states[t] = ssm
    return states


_MIXER_TENSORS = {
    "mixer.conv1d.weight": "conv_weight",
    "mixer.conv1d.weight_scale": "conv_weight_scale",
    "mixer.conv1d.scale": "conv_scale",
    "mixer.conv1d.bias": "conv_bias",
    "mixer.dt_bias": "dt_bias",
    "mixer.A": "A",
    "mixer.D": "D",
    "mixer.ssm_scale": "ssm_scale",
    "mixer.norm.weight": "mixer_norm_weight",
}


def _dense_tensors(name: str, dense: QuantizedDense) -> dict[str, NDArray[Any]]:
    return {f"{name}.{part}": getattr(dense, part) for part in ("weight", "act_scale", "weight_scale", "bias")}


def _dense(tensors: Mapping[str, NDArray[Any]], name: str) -> QuantizedDense:
    return QuantizedDense(*(tensors[f"{name}.{part}"] for part in ("weight", "act_scale", "weight_scale", "bias")))


def _block_tensors(block: QuantizedBlock) -> dict[str, NDArray[Any]]:
    mixer = {name: getattr(block, field) for name, field in _MIXER_TENSORS.items()}
    projections = _dense_tensors("mixer.in_proj", block.in_proj) | _dense_tensors("mixer.out_proj", block.out_proj)
    return {"norm.weight": block.norm_weight} | projections | mixer


def _block(tensors: Mapping[str, NDArray[Any]], name: str) -> QuantizedBlock:
    return QuantizedBlock(
        norm_weight=tensors[f"{name}.norm.weight"],
        in_proj=_dense(tensors, f"{name}.mixer.in_proj"),
        out_proj=_dense(tensors, f"{name}.mixer.out_proj"),
        **{field: tensors[f"{name}.{tensor}"] for tensor, field in _MIXER_TENSORS.items()},
    )
