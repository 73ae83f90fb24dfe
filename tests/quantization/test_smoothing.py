"""Smoothing moves ranges from activations to weights and leaves the float decoder as it was, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebci.decoder_float import FloatDecoder
from edgebci.decoder_spec import DecoderSpec
from edgebci.example_decoder import random_frames, random_parameters
from edgebci.export.quantization import QuantizationRecipe, quantize
from edgebci.export.smoothing import ChannelRanges, migrated, migrations, smooth
from edgebci.operators.cells import CellKind

CELLS: tuple[CellKind, ...] = ("mamba2", "s4d", "gru")


def small(cell: CellKind, lags: int = 0) -> DecoderSpec:
    return DecoderSpec(
        n_inputs=8,
        output_names=("x",),
        output_unit="cm/s",
        d_model=16,
        d_state=8,
        headdim=8,
        cell=cell,
        readout_lags=lags,
    )


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("lags", [0, 2])
@pytest.mark.parametrize("strength", [0.3, 1.0])
def test_the_smoothed_decoder_is_the_same_function_bit_for_bit(cell: CellKind, lags: int, strength: float) -> None:
    spec = small(cell, lags)
    parameters, frames = random_parameters(spec, 1), random_frames(spec, 200, 2)
    for one in migrations(spec):
        parameters[one.gamma][3] *= 40  # an outlier channel
    smoothed = smooth(spec, parameters, frames, strength)
    changed = [name for name, values in smoothed.items() if not np.array_equal(values, parameters[name])]
    assert {one.gamma for one in migrations(spec)} <= set(changed)
    expected = FloatDecoder.of(spec, parameters).stream(frames)
    np.testing.assert_array_equal(FloatDecoder.of(spec, smoothed).stream(frames), expected)


@pytest.mark.parametrize("cell", CELLS)
def test_full_strength_makes_the_channels_of_an_activation_equal_within_a_factor_of_two(cell: CellKind) -> None:
    spec = small(cell)
    parameters, frames = random_parameters(spec, 1), random_frames(spec, 200, 2)
    for one in migrations(spec):
        parameters[one.gamma][3] *= 40  # an outlier channel
    seen = ChannelRanges()
    FloatDecoder.of(spec, smooth(spec, parameters, frames, 1.0)).stream(frames, None, seen)
    for one in migrations(spec):
        largest = seen.largest[one.activation]
        # Rounded to powers of two, each lies within a factor of sqrt(2) of the same range.
        assert largest.max() / largest.min() < 2.0 * (1 + 1e-9), one.activation


def test_an_outlier_channel_costs_less_when_smoothed() -> None:
    spec = small("mamba2")
    parameters, frames = random_parameters(spec, 1), random_frames(spec, 1200, 2)
    for i in range(spec.n_layers):
        parameters[f"layers.{i}.norm.weight"][3] *= 60
        parameters[f"layers.{i}.mixer.in_proj.weight"][:, 3] /= 60
    exact = FloatDecoder.of(spec, parameters).stream(frames)
    errors = [
        np.mean((quantize(spec, parameters, frames, QuantizationRecipe(smoothing=s)).stream(frames) - exact) ** 2)
        for s in (0.0, 0.5)
    ]
    assert errors[1] < 0.5 * errors[0]


@given(st.integers(0, 2**32 - 1), st.floats(0.0, 1.0))
@settings(max_examples=25)
def test_numbers_are_powers_of_two_even_for_dead_channels(seed: int, strength: float) -> None:
    rng = np.random.default_rng(seed)
    activations, weights = 10.0 ** rng.uniform(-6, 6, (2, 12))
    activations[0] = weights[1] = 0.0
    mantissas, _ = np.frexp(migrated(activations, weights, strength))
    assert (mantissas == 0.5).all()
