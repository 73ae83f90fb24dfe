"""How long each part of a state remembers, in frames, on a given stream.

    Mamba-2   one per head: 1 / mean(dt |A|), dt = softplus(W_dt u + dt_bias) as the stream drives it
    S4D       one per mode: 1 / (exp(dt_log) exp(A_log)), whatever the stream
    GRU       one per unit: 1 / mean(-log z), z the update gate as the stream drives it

A state keeps exp(-1) of itself over its time constant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgebci.decoder_spec import DecoderSpec
from edgebci.operators.cell import F64, Tap, sigmoid, within

_LONGEST_FRAMES = 1e12


@dataclass
class Forgetting:
    """A tap that averages what each layer forgets per frame, in nats.

    Fields:
        spec, parameters: of the float decoder that is tapped.
        total: (groups,) or (channels, modes), summed over frames, by layer.
        frames: how many were seen, by layer.
    """

    spec: DecoderSpec
    parameters: Mapping[str, F64]
    total: dict[int, F64] = field(default_factory=dict)
    frames: dict[int, int] = field(default_factory=dict)
    _hidden: dict[int, F64] = field(default_factory=dict)
    _normed: dict[int, F64] = field(default_factory=dict)

    def __call__(self, name: str, values: NDArray[Any]) -> None:
        """Take one chunk (T, ...) of what the float decoder shows."""
        parts = name.split(".")
        if len(parts) != 3 or parts[0] != "layers":
            return
        layer = int(parts[1])
        if parts[2] == "norm":
            self._normed[layer] = values
        seen = {"mamba2": "norm", "s4d": "norm", "gru": "hidden"}[self.spec.cell]
        if parts[2] == seen:
            self._add(layer, self._rates(layer, values))

    def _rates(self, layer: int, values: F64) -> F64:
        """(T, groups) nats that each frame forgets."""
        weights, normed = within(self.parameters, f"layers.{layer}.mixer"), self._normed[layer]
        if self.spec.cell == "mamba2":
            raw = normed @ weights["in_proj.weight"][-self.spec.n_heads :].T + weights["dt_bias"]
            rates: F64 = np.logaddexp(0.0, raw) * np.exp(weights["A_log"])
            return rates
        if self.spec.cell == "gru":
            keep = slice(self.spec.d_model, 2 * self.spec.d_model)
            gate = normed @ weights["gru.weight_ih_l0"][keep].T + weights["gru.bias_ih_l0"][keep]
            gate = gate + values @ weights["gru.weight_hh_l0"][keep].T + weights["gru.bias_hh_l0"][keep]
            return -np.log(np.maximum(sigmoid(gate), np.finfo(float).tiny))
        steady = np.exp(weights["dt_log"])[:, None] * np.exp(weights["A_log"])
        return np.broadcast_to(steady, (len(normed), *steady.shape))

    def _add(self, layer: int, rates: F64) -> None:
        self.total[layer] = self.total.get(layer, np.float64(0.0)) + rates.sum(axis=0)
        self.frames[layer] = self.frames.get(layer, 0) + len(rates)

    def time_constants(self, layer: int) -> F64:
        """(groups,) frames; for S4D (channels, modes)."""
        rates = self.total[layer] / self.frames[layer]
        frames: F64 = 1.0 / np.maximum(rates, 1.0 / _LONGEST_FRAMES)
        return frames


def grouped(spec: DecoderSpec, state: F64, reduce: Callable[..., F64]) -> F64:
    """A state's elements (..., shape of the state) reduced to its groups, which share a time constant and a scale.

    Mamba-2 (..., heads, headdim, d_state) to (..., heads); S4D (..., channels, 2 modes) to (..., channels, modes), both
    parts of a mode together; GRU (..., units) stays.
    """
    if spec.cell == "mamba2":
        return reduce(state, axis=(-2, -1))
    if spec.cell == "s4d":
        return reduce(state.reshape(*state.shape[:-1], 2, -1), axis=-2)
    return state


def both(first: Tap, second: Tap) -> Tap:
    """A tap that shows two others what it sees."""

    def seen(name: str, values: NDArray[Any]) -> None:
        first(name, values)
        second(name, values)

    return seen
