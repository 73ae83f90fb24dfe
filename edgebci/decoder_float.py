"""The decoder in floating point, in NumPy: what training means, computed without torch.

It is the oracle of the float ONNX graph and runs the decoder over training frames when the quantizer looks for the
ranges that states really reach. Shapes are those of `edgebci.decoder_spec`; T is the number of frames. What a cell or
a tokenizer computes is written in its module of `edgebci.operators`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgebci.decoder_spec import DecoderSpec
from edgebci.operators.cell import F64 as F64
from edgebci.operators.cell import Tap, layer_tap, within
from edgebci.operators.cell import silu as silu
from edgebci.operators.stack import STACK, stacked

F32 = NDArray[np.float32]
Parameters = Mapping[str, NDArray[np.floating]]
States = dict[str, F64]

CHUNK = 512


def no_tap(name: str, values: NDArray[Any]) -> None:
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

        `tap` sees the input of each quantizer by name (`frame`; for each layer `layers.{i}.norm` and what its cell
        shows; `norm`), and every state as `{state}.next`, of a window the newest column only.
        """
        weights, following, cell = self.parameters, dict(states), self.spec.layer
        x, after = self.spec.entry.run(weights, np.asarray(frames, np.float64), states, tap)
        following |= after
        for i, own in enumerate(self._layers):
            normed = self._rms_norm(x, f"layers.{i}.norm")
            tap(f"layers.{i}.norm", normed)
            before = {name: states[f"{name}.{i}"] for name in cell.state_shapes()}
            mixed, after = cell.run(own, normed, before, layer_tap(tap, i))
            following |= {f"{name}.{i}": values for name, values in after.items()}
            x = x + mixed
        normed = self._rms_norm(x, "norm")
        tap("norm", normed)
        if self.spec.readout_lags:
            normed, stack = stacked(states[STACK], normed)
            tap(f"{STACK}.next", stack)
            following[STACK] = stack[-1]
        return normed @ weights["readout.weight"].T + weights["readout.bias"], following

    @cached_property
    def _layers(self) -> list[dict[str, F64]]:
        return [within(self.parameters, f"layers.{i}.mixer") for i in range(self.spec.n_layers)]

    def _rms_norm(self, x: F64, name: str) -> F64:
        root = np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + self.spec.norm_epsilon)
        result: F64 = x / root * self.parameters[f"{name}.weight"]
        return result
