"""From what a float rollout saw to scales: the parts that every operator's quantization is made of."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from pydantic import Field

from edgebci.arithmetic import F32, I8
from edgebci.documents import Document
from edgebci.operators.cell import F64
from edgebci.operators.dense import QuantizedDense

INT8_MAX, INT16_MAX = 127, 32767


class QuantizationRecipe(Document):
    """What may be chosen about quantization."""

    state_headroom: float = Field(default=4.0, ge=1.0, le=64.0)
    """Range of a state over its largest value in calibration: later data go further than training data.

    With 1.5, random decoders saturated now and then on frames of the same kind; from 1 to 8 the loss does not change.
    """
    activation_samples: int = Field(default=1 << 18, ge=1024)
    """Values of each activation that the search for its scale looks at."""
    activation_candidates: int = Field(default=40, ge=2)
    smallest_clip: float = Field(default=0.3, gt=0.0, lt=1.0)
    """The search tries ranges from this share of the largest magnitude to all of it."""


@dataclass
class Ranges:
    """What the tap of a float rollout saw: the largest magnitude of each element of a state, samples of the rest."""

    row_stride: int
    samples: dict[str, list[F32]] = field(default_factory=dict)
    largest: dict[str, F64] = field(default_factory=dict)
    """By the state's name."""

    def __call__(self, name: str, values: F64) -> None:
        """Take one chunk (T, ...)."""
        if name.endswith(".next"):
            state, seen = name.removesuffix(".next"), np.abs(values).max(axis=0)
            self.largest[state] = np.maximum(self.largest.get(state, np.float64(0.0)), seen)
        else:
            self.samples.setdefault(name, []).append(values[:: self.row_stride].astype(np.float32))

    def scales(self, recipe: QuantizationRecipe) -> dict[str, F32]:
        """The int8 scale of each activation."""
        return {name: activation_scale(np.concatenate(parts), recipe) for name, parts in self.samples.items()}

    def states(self, layer: int) -> dict[str, F64]:
        """The largest magnitudes in one layer's states, by their names in its cell."""
        end = f".{layer}"
        return {name.removesuffix(end): seen for name, seen in self.largest.items() if name.endswith(end)}


def quantize_weight(weight: F64) -> tuple[I8, F32]:
    """Round (rows, columns) to int8 in [-127, 127]: returns the integers and one scale per row."""
    scale = scale_of(np.abs(weight).max(axis=1), INT8_MAX)
    integers = np.rint(weight / scale[:, None].astype(np.float64))
    return np.clip(integers, -INT8_MAX, INT8_MAX).astype(np.int8), scale


def quantize_dense(weight: F64, bias: F64 | None, act_scale: F32) -> QuantizedDense:
    """The dense layer with `weight` (rows, columns); without a bias it gets one of zeros."""
    integers, scale = quantize_weight(weight)
    offsets = np.zeros(len(weight)) if bias is None else bias
    return QuantizedDense(integers, act_scale, scale, offsets.astype(np.float32))


def activation_scale(samples: F32, recipe: QuantizationRecipe) -> F32:
    """() scale of int8 that gives the least mean squared error on `samples`."""
    values = np.abs(samples.astype(np.float64)).ravel()
    largest = values.max()
    shares = np.linspace(recipe.smallest_clip, 1.0, recipe.activation_candidates)
    candidates = [scale_of(np.asarray(share * largest), INT8_MAX) for share in shares]
    errors = [_squared_error(values, float(scale)) for scale in candidates]
    return candidates[int(np.argmin(errors))]


def _squared_error(magnitudes: F64, scale: float) -> float:
    rounded = np.minimum(np.rint(magnitudes / scale), INT8_MAX) * scale
    return float(np.mean((rounded - magnitudes) ** 2))


def scale_of(largest: F64, count: int) -> F32:
    """The step at which `largest` is `count` steps; what was always zero gets the range 1."""
    return np.asarray(np.where(largest > 0.0, largest, 1.0) / count, np.float32)
