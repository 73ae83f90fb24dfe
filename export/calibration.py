"""From what a float rollout saw to scales: the parts that every operator's quantization is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from edgebci.arithmetic import F32, I8
from edgebci.device_reference import FrontEndForm
from edgebci.documents import Document
from edgebci.export.observers import INT4_MAX as INT4_MAX
from edgebci.export.observers import INT8_MAX as INT8_MAX
from edgebci.export.observers import INT16_MAX as INT16_MAX
from edgebci.export.observers import OBSERVERS, ObserverName
from edgebci.export.observers import scale_of as scale_of
from edgebci.operators.cell import F64, Integers
from edgebci.operators.dense import QuantizedDense, WeightBits
from edgebci.targets import Arithmetic

Width = Literal[4, 8, 16]

_LATER = ("observer", "percentile", "smoothing", "int8_state_headroom", "widths", "arithmetic", "front_end")
"""Fields that the first manifests lack: left out where they have their default, so that old bundles keep theirs."""


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
    observer: ObserverName = "mse"
    """How the range of an activation is chosen; see `edgebci.export.observers`."""
    percentile: float = Field(default=99.99, gt=50.0, le=100.0)
    """Percent of an activation's samples within its range, for the observer of that name."""
    smoothing: float = Field(default=0.0, ge=0.0, le=1.0)
    """Share of the outlier channels' range that moves from activations into weights; see `edgebci.export.smoothing`."""
    int8_state_headroom: float = Field(default=1.0, ge=1.0, le=16.0)
    """As `state_headroom`, for states in int8: they have no bit to spare, and saturating now and then costs less."""
    widths: dict[str, Width] = Field(default_factory=dict)
    """Bits of a dense layer's weights (4, 8, 16) or of a state (8, 16) by its name, where they are not 8 and 16."""
    arithmetic: Arithmetic = "int8"
    """Of the decoder: `edgebci.quantized_decoder`, or `edgebci.fixed_decoder` for Mamba-2 on a core."""
    front_end: FrontEndForm = "float32"
    """Of the features in C: `edgebci.features.device`, or `edgebci.features.fixed_device` for bands alone."""

    @model_serializer(mode="wrap")
    def _without_later_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = handler(self)
        fields = type(self).model_fields
        defaults = {name: fields[name].get_default(call_default_factory=True) for name in _LATER}
        return {name: value for name, value in written.items() if name not in _LATER or value != defaults[name]}

    def within(self, place: str, layer: int) -> Self:
        """The recipe of one layer: widths by the names that dense layers and states have within its cell."""
        dense = {name.removeprefix(f"{place}."): bits for name, bits in self.widths.items() if f"{place}." in name}
        end = f".{layer}"
        states = {n.removesuffix(end): b for n, b in self.widths.items() if n.endswith(end) and n.count(".") == 1}
        return self.model_copy(update={"widths": dense | states})

    def weight_bits(self, name: str) -> WeightBits:
        """Of the weights of a dense layer."""
        return self.widths.get(name, 8)

    def state_scale(self, name: str, largest: F64) -> F32:
        """One count of a state whose elements reached `largest` in calibration."""
        if self.widths.get(name, 16) == 8:
            return scale_of(largest * self.int8_state_headroom, INT8_MAX)
        return scale_of(largest * self.state_headroom, INT16_MAX)


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


def weight_levels(columns: int, bits: WeightBits) -> int:
    """Counts to the largest magnitude: 7, 127, or in 16 bits as many as leave room for an int32 sum over `columns`."""
    if bits == 16:
        return min(INT16_MAX, (2**31 - 1) // (128 * columns))
    return INT4_MAX if bits == 4 else INT8_MAX


def quantize_weight(weight: F64) -> tuple[I8, F32]:
    """Round (rows, columns) to int8 in [-127, 127]: returns the integers and one scale per row."""
    integers, scale = round_weight(weight, 8)
    return integers.astype(np.int8), scale


def round_weight(weight: F64, bits: WeightBits) -> tuple[Integers, F32]:
    """Round (rows, columns) to symmetric integers of so many bits: returns them and one scale per row."""
    levels = weight_levels(weight.shape[1], bits)
    scale = scale_of(np.abs(weight).max(axis=1), levels)
    integers = np.clip(np.rint(weight / scale[:, None].astype(np.float64)), -levels, levels)
    return integers.astype(np.int16 if bits == 16 else np.int8), scale


def quantize_dense(weight: F64, bias: F64 | None, act_scale: F32, bits: WeightBits = 8) -> QuantizedDense:
    """The dense layer with `weight` (rows, columns); without a bias it gets one of zeros."""
    integers, scale = round_weight(weight, bits)
    offsets = np.zeros(len(weight)) if bias is None else bias
    return QuantizedDense(integers, act_scale, scale, offsets.astype(np.float32), bits)


def activation_scale(samples: F32, recipe: QuantizationRecipe) -> F32:
    """() scale of int8 that the recipe's observer gives for `samples`."""
    magnitudes = np.abs(samples.astype(np.float64)).ravel()
    return scale_of(np.asarray(OBSERVERS[recipe.observer](magnitudes, recipe)), INT8_MAX)
