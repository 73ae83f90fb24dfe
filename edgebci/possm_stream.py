"""POSSM's step over a stream of chunks, in float64: as `edgebci.possm_float`, and showing what the quantizer must see.

A chunk is an array (N, 2) of tokens, each (unit, time_step) or absent, as `edgebci.operators.token_attention` has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgebci.decoder_float import States, no_tap, segments
from edgebci.operators.cell import F64, Tap, layer_tap, silu, within
from edgebci.operators.cells import cell_of
from edgebci.operators.memory_attention import memory_attention
from edgebci.operators.stack import stacked
from edgebci.operators.token_attention import Tokens, token_attention
from edgebci.possm_spec import PossmStepSpec


@dataclass(frozen=True, eq=False)
class ChunkStream:
    """Chunks in order of time; fields share their first axis, T."""

    chunks: Tokens
    """(T, N, 2)."""
    reset_before: NDArray[np.bool_]
    """(T,) true where the states start from zero."""
    truth: F64 | None = None
    """(T, n_outputs) behaviour in its own unit, where it is known."""


GRU_NAMES = {
    "gru.weight_ih_l0": "weight_ih",
    "gru.weight_hh_l0": "weight_hh",
    "gru.bias_ih_l0": "bias_ih",
    "gru.bias_hh_l0": "bias_hh",
}
"""Names of a layer's tensors in its cell, and in the step's file."""


def layer_weights(spec: PossmStepSpec, parameters: Mapping[str, F64], layer: int) -> dict[str, F64]:
    """The tensors of one layer by their names in its cell."""
    if spec.backbone == "gru":
        return {name: parameters[f"layers.{layer}.{own}"] for name, own in GRU_NAMES.items()}
    return within(parameters, f"layers.{layer}.mixer")


@dataclass(frozen=True)
class FloatPossmStream:
    """A step with float64 weights, by their names in `PossmStepSpec.parameter_shapes()`."""

    spec: PossmStepSpec
    parameters: dict[str, F64]

    @classmethod
    def of(cls, spec: PossmStepSpec, parameters: Mapping[str, NDArray[np.floating]]) -> FloatPossmStream:
        """Take the weights of a file in any floating type."""
        return cls(spec, {name: np.asarray(parameters[name], np.float64) for name in spec.parameter_shapes()})

    def initial_states(self) -> States:
        """All zero: the state at power-on and after a reset."""
        return {name: np.zeros(shape) for name, shape in self.spec.state_shapes().items()}

    def stream(self, chunks: Tokens, reset_before: NDArray[np.bool_] | None = None, tap: Tap = no_tap) -> F64:
        """Decode (T, N, 2) from zero states, which `reset_before` (T,) restores: returns (T, n_outputs)."""
        outputs, states = np.zeros((len(chunks), self.spec.n_outputs)), self.initial_states()
        for start, stop, reset in segments(len(chunks), reset_before):
            states = self.initial_states() if reset else states
            outputs[start:stop], states = self.run(chunks[start:stop], states, tap)
        return outputs

    def run(self, chunks: Tokens, states: States, tap: Tap = no_tap) -> tuple[F64, States]:
        """Decode chunks (T, N, 2) that follow each other, from `states` on; `tap` is that of `FloatDecoder.run`."""
        following = dict(states)
        x = self._feed_forward(token_attention(self.parameters, chunks), "encoder", tap)
        m = self._rms(self._backbone(x, following, tap), "memory.norm")
        tap("memory.norm", m)
        rows, memory = stacked(states["memory"], m)
        tap("memory.next", memory)
        c = memory_attention(self.parameters["age"], rows)
        following["memory"] = memory[-1]
        tap("context", c)
        q = self.parameters["query"] + c @ self.parameters["context.weight"].T
        q = self._feed_forward(q, "decoder", tap)
        tap("readout", q)
        return self._dense(q, "readout"), following

    def _backbone(self, x: F64, states: States, tap: Tap) -> F64:
        """All layers; replaces their entries of `states`."""
        cell, residual = cell_of(self.spec.backbone, self.spec.block), self.spec.backbone != "gru"
        if residual:
            tap("input", x)
            x = self._dense(x, "input")
        for i in range(self.spec.n_layers):
            u = self._rms(x, f"layers.{i}.norm") if residual else x
            tap(f"layers.{i}.norm", u)
            before = {name: states[f"{name}.{i}"] for name in cell.state_shapes()}
            y, after = cell.run(layer_weights(self.spec, self.parameters, i), u, before, layer_tap(tap, i))
            states |= {f"{name}.{i}": values for name, values in after.items()}
            x = x + y if residual else y
        return x

    def _feed_forward(self, x: F64, name: str, tap: Tap) -> F64:
        normed = self._rms(x, f"{name}.norm")
        tap(f"{name}.norm", normed)
        hidden = silu(self._dense(normed, f"{name}.up"))
        tap(f"{name}.hidden", hidden)
        return x + self._dense(hidden, f"{name}.down")

    def _dense(self, x: F64, name: str) -> F64:
        result: F64 = x @ self.parameters[f"{name}.weight"].T + self.parameters[f"{name}.bias"]
        return result

    def _rms(self, x: F64, name: str) -> F64:
        root = np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + self.spec.norm_epsilon)
        result: F64 = x / root * self.parameters[f"{name}.weight"]
        return result
