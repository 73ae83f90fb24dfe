"""The decoder in floating point, in NumPy: what training means, computed without torch.

It is the oracle of the float ONNX graph and runs the decoder over training frames when the quantizer looks for the
ranges that states really reach. Shapes and letters are those of `edgebci.decoder_spec`; T is the number of frames.

One block, for the normalised residual stream n (Dao & Gu 2024, arXiv 2405.21060):

    z, xbc, dt = split(W_in n)           xbc = silu(causal_conv(xbc))         x, B, C = split(xbc)
    dt = softplus(dt + dt_bias)          h = exp(dt A) h + (dt x) B^T         y = C h + D x
    out = W_out rms_norm(y silu(z))
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgebci.decoder_spec import DecoderSpec

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Parameters = Mapping[str, NDArray[np.floating]]
States = dict[str, F64]
Tap = Callable[[str, F64], None]
"""Sees a named intermediate tensor (T, ...) of each chunk that runs."""

CHUNK = 512


def no_tap(name: str, values: F64) -> None:
    """Look at nothing."""


def segments(
    n_frames: int, reset_before: NDArray[np.bool_] | None, longest: int = CHUNK
) -> Iterator[tuple[int, int, bool]]:
    """Cut [0, n_frames) where the state resets and at most `longest` frames apart: yields (start, stop, reset)."""
    resets = np.zeros(n_frames, bool) if reset_before is None else reset_before
    start = 0
    while start < n_frames:
        later = np.flatnonzero(resets[start + 1 : start + longest])
        stop = start + 1 + int(later[0]) if later.size else min(start + longest, n_frames)
        yield start, stop, bool(resets[start])
        start = stop


@dataclass(frozen=True)
class FloatDecoder:
    """A decoder with float64 weights, by their names in the checkpoint."""

    spec: DecoderSpec
    parameters: dict[str, F64]

    @classmethod
    def of(cls, spec: DecoderSpec, parameters: Parameters) -> FloatDecoder:
        """Take the weights of a checkpoint in any floating type."""
        return cls(spec, {name: np.asarray(parameters[name], np.float64) for name in spec.parameter_shapes()})

    def initial_states(self) -> States:
        """All zero: the state at power-on and after a reset."""
        return {name: np.zeros(shape) for name, shape in self.spec.state_shapes().items()}

    def step(self, frame: F32, states: States) -> tuple[F64, States]:
        """Decode one frame (n_inputs,): returns the output (n_outputs,) and the next states."""
        outputs, states = self.run(frame[None], states)
        return outputs[0], states

    def stream(self, frames: F32, reset_before: NDArray[np.bool_] | None = None, tap: Tap = no_tap) -> F64:
        """Decode (T, n_inputs) from zero states, which `reset_before` (T,) restores: returns (T, n_outputs)."""
        outputs = np.zeros((len(frames), self.spec.n_outputs))
        states = self.initial_states()
        for start, stop, reset in segments(len(frames), reset_before):
            states = self.initial_states() if reset else states
            outputs[start:stop], states = self.run(frames[start:stop], states, tap)
        return outputs

    def run(self, frames: F32, states: States, tap: Tap = no_tap) -> tuple[F64, States]:
        """Decode frames (T, n_inputs) that follow each other, from `states` on.

        `tap` sees, by name: `frame`; for each layer `layers.{i}.norm`, `layers.{i}.xbc` (before the convolution),
        `ssm.{i}` (every state), `layers.{i}.gated`; and `norm`.
        """
        weights, following = self.parameters, dict(states)
        inputs = np.asarray(frames, np.float64)
        tap("frame", inputs)
        x = inputs @ weights["input.weight"].T + weights["input.bias"]
        for i in range(self.spec.n_layers):
            normed = self._rms_norm(x, f"layers.{i}.norm")
            tap(f"layers.{i}.norm", normed)
            x = x + self._mixer(i, normed, following, tap)
        normed = self._rms_norm(x, "norm")
        tap("norm", normed)
        return normed @ weights["readout.weight"].T + weights["readout.bias"], following

    def _rms_norm(self, x: F64, name: str) -> F64:
        root = np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + self.spec.norm_epsilon)
        result: F64 = x / root * self.parameters[f"{name}.weight"]
        return result

    def _mixer(self, i: int, normed: F64, states: States, tap: Tap) -> F64:
        """One Mamba-2 mixer over (T, d_model); replaces its two entries of `states`."""
        spec, name = self.spec, f"layers.{i}.mixer"
        projected = normed @ self.parameters[f"{name}.in_proj.weight"].T
        z, xbc, dt = np.split(projected, [spec.d_inner, spec.d_inner + spec.conv_dim], axis=-1)
        tap(f"layers.{i}.xbc", xbc)
        convolved, states[f"conv.{i}"] = self._convolution(name, xbc, states[f"conv.{i}"])
        y, hidden = self._scan(name, convolved, dt, states[f"ssm.{i}"])
        states[f"ssm.{i}"] = hidden[-1]
        tap(f"ssm.{i}", hidden)
        gated = self._rms_norm(y * silu(z), f"{name}.norm")
        tap(f"layers.{i}.gated", gated)
        result: F64 = gated @ self.parameters[f"{name}.out_proj.weight"].T
        return result

    def _convolution(self, name: str, xbc: F64, state: F64) -> tuple[F64, F64]:
        """Causal depthwise convolution and SiLU of (T, conv_dim), with the last inputs in `state`."""
        kernel = self.parameters[f"{name}.conv1d.weight"][:, 0]
        padded = np.concatenate([state, xbc.T], axis=1)
        windows = np.lib.stride_tricks.sliding_window_view(padded, self.spec.d_conv, axis=1)
        summed = np.einsum("ctk,ck->tc", windows, kernel) + self.parameters[f"{name}.conv1d.bias"]
        return silu(summed), padded[:, -(self.spec.d_conv - 1) :]

    def _scan(self, name: str, xbc: F64, dt_raw: F64, state: F64) -> tuple[F64, F64]:
        """The recurrence: returns y (T, d_inner) and every state (T, n_heads, headdim, d_state)."""
        spec = self.spec
        x, B, C = np.split(xbc, [spec.d_inner, spec.d_inner + spec.d_state], axis=-1)
        x = x.reshape(-1, spec.n_heads, spec.headdim)
        dt = np.logaddexp(0.0, dt_raw + self.parameters[f"{name}.dt_bias"])
        decay = np.exp(dt * -np.exp(self.parameters[f"{name}.A_log"]))
        hidden = (dt[..., None] * x)[..., None] * B[:, None, None, :]
        for t in range(len(hidden)):
            state = decay[t, :, None, None] * state + hidden[t]
            hidden[t] = state
        y = np.einsum("thpn,tn->thp", hidden, C) + self.parameters[f"{name}.D"][:, None] * x
        return y.reshape(-1, spec.d_inner), hidden


def silu(x: F64) -> F64:
    """x / (1 + e^-x), without overflow."""
    result: F64 = x * 0.5 * (1.0 + np.tanh(0.5 * x))
    return result
