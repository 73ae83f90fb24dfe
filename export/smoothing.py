"""Outlier smoothing: what a few channels of an activation have too much of goes into the weights behind it.

An int8 activation has one scale, so a channel ten times larger than the others takes three of their bits. Where a norm
stands before a dense layer, each channel's gamma may be divided by a number and the weights' column be multiplied by it
(SmoothQuant, Xiao et al. 2022, arXiv 2211.10438, equation 4):

    number = largest activation ^ strength / largest weight ^ (1 - strength)

rounded to a power of two: both products then change their exponents only, and the float decoder stays the same bit for
bit. Smoothed are `layers.{i}.norm`, the gated norm of Mamba-2 and the last norm. The frame is not: it has no gamma, and
its features are normalised already; nor is what an activation function stands behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgebci.arithmetic import F32
from edgebci.decoder_float import FloatDecoder, Parameters
from edgebci.decoder_spec import DecoderSpec
from edgebci.operators.cell import F64

_GREATEST_EXPONENT = 16
"""Of the powers of two: beyond 65,536 a channel is dead, not an outlier."""


@dataclass
class ChannelRanges:
    """A tap: the largest magnitude of each channel of each activation."""

    largest: dict[str, F64] = field(default_factory=dict)

    def __call__(self, name: str, values: F64) -> None:
        """Take one chunk (T, ...)."""
        if not name.endswith(".next"):
            seen = np.abs(values).max(axis=0)
            self.largest[name] = np.maximum(self.largest.get(name, np.float64(0.0)), seen)


@dataclass(frozen=True)
class Migration:
    """One gamma and the tensors behind it, whose columns (last axis, or rows for vectors of channels) take it up."""

    activation: str
    gamma: str
    columns: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()


def smooth(
    spec: DecoderSpec,
    parameters: Parameters,
    frames: F32,
    strength: float,
    reset_before: NDArray[np.bool_] | None = None,
) -> dict[str, F64]:
    """The parameters of the same decoder with its outlier channels in the weights.

    Args:
        spec: its sizes.
        parameters: float weights by their names in a checkpoint.
        frames: (T, n_inputs) calibration frames, from which the channels' ranges come.
        strength: 0 leaves ranges of activations alone, 1 makes them all equal.
        reset_before: (T,) true where an interval begins.
    """
    decoder, seen = FloatDecoder.of(spec, parameters), ChannelRanges()
    decoder.stream(frames, reset_before, seen)
    smoothed = dict(decoder.parameters)
    for one in migrations(spec):
        numbers = migrated(seen.largest[one.activation], _largest_weights(smoothed, one), strength)
        smoothed[one.gamma] = smoothed[one.gamma] / numbers
        for name in one.columns:
            repeats = smoothed[name].shape[-1] // len(numbers)
            smoothed[name] = smoothed[name] * np.tile(numbers, repeats)
        for name in one.channels:
            smoothed[name] = (smoothed[name].T * numbers).T
    return smoothed


def migrations(spec: DecoderSpec) -> list[Migration]:
    """Every place of the decoder where ranges can migrate."""
    found = [Migration("norm", "norm.weight", columns=("readout.weight",))]
    for i in range(spec.n_layers):
        place = f"layers.{i}"
        mixer, norm = f"{place}.mixer", (f"{place}.norm", f"{place}.norm.weight")
        if spec.cell == "s4d":
            # Modes and skip are linear in the input, channel by channel.
            found.append(Migration(*norm, channels=(f"{mixer}.C", f"{mixer}.D")))
        if spec.cell == "gru":
            found.append(Migration(*norm, columns=(f"{mixer}.gru.weight_ih_l0",)))
        if spec.cell == "mamba2":
            found.append(Migration(*norm, columns=(f"{mixer}.in_proj.weight",)))
            found.append(Migration(f"{place}.gated", f"{mixer}.norm.weight", columns=(f"{mixer}.out_proj.weight",)))
    return found


def migrated(activations: F64, weights: F64, strength: float) -> F64:
    """(channels,) the power of two by which each channel's activation is divided and its weights are multiplied."""
    alive = (activations > 0.0) & (weights > 0.0)
    a, w = np.where(alive, activations, 1.0), np.where(alive, weights, 1.0)
    exponents = np.rint(strength * np.log2(a) - (1.0 - strength) * np.log2(w))
    exponents = np.where(alive, exponents, 0.0)
    # Only ratios between channels matter to the scales: their middle stays where it is.
    exponents -= np.rint(np.median(exponents))
    numbers: F64 = np.exp2(np.clip(exponents, -_GREATEST_EXPONENT, _GREATEST_EXPONENT))
    return numbers


def _largest_weights(parameters: Mapping[str, F64], one: Migration) -> F64:
    """(channels,) the largest magnitude that a channel meets."""
    n = len(parameters[one.gamma])
    ranges = [np.abs(parameters[name]).reshape(-1, n).max(axis=0) for name in one.columns]
    ranges += [np.abs(parameters[name]).reshape(n, -1).max(axis=1) for name in one.channels]
    largest: F64 = np.max(ranges, axis=0)
    return largest
