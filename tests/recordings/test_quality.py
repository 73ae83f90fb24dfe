"""Finding rails, dropouts and dead channels in stored samples."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgebci.recordings.quality import Quality, QualityScan

RATE_HZ = 100.0
FLAT = 50  # half a second at 100 Hz
Samples = NDArray[np.generic]


def scanned(stored: Samples, cuts: list[int] | None = None) -> Quality:
    scan = QualityScan(RATE_HZ, stored.shape[1])
    edges = sorted({0, len(stored), *(cuts or [])})
    for start, stop in itertools.pairwise(edges):
        scan.push(start, stored[start:stop])
    return scan.finish()


def random_walk(n_samples: int, n_channels: int, seed: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(0, 100, (n_samples, n_channels))


@st.composite
def faulty(draw: st.DrawFn) -> NDArray[np.float64]:
    """Noise with stretches of NaN, one value, and clipping."""
    stored = random_walk(600, 2, draw(st.integers(0, 1000)))
    for _ in range(draw(st.integers(0, 4))):
        start, length = draw(st.integers(0, 599)), draw(st.integers(1, 120))
        stored[start : start + length, draw(st.integers(0, 1))] = draw(st.sampled_from([np.nan, 0.0, 7.0]))
    if draw(st.booleans()):
        stored = np.clip(stored, -90, 90)
    return np.round(stored) if draw(st.booleans()) else stored


@settings(max_examples=60)
@given(faulty(), st.lists(st.integers(1, 599), max_size=6))
def test_quality_does_not_depend_on_how_the_stream_is_cut(stored: NDArray[np.float64], cuts: list[int]) -> None:
    whole, cut = scanned(stored), scanned(stored, cuts)
    assert np.array_equal(whole.rail, cut.rail)
    assert np.array_equal(whole.dropout, cut.dropout)
    assert np.array_equal(whole.good, cut.good)


@settings(max_examples=40)
@given(st.integers(0, 540), st.integers(2, 200), st.sampled_from([0.0, np.nan]))
def test_a_stretch_of_one_value_is_a_dropout_from_half_a_second_and_nan_always(
    start: int, length: int, value: float
) -> None:
    stored = random_walk(600, 2, seed=1)
    stored[start : start + length, 0] = value
    stop = min(600, start + length)
    dropout = scanned(stored).dropout
    if np.isnan(value) or stop - start >= FLAT:
        assert dropout.tolist() == [[start, stop]]
    else:
        assert len(dropout) == 0


@pytest.mark.parametrize(("low", "high"), [(-128, 127), (-2048, 2047), (-32768, 32767)])
def test_samples_at_a_converters_limit_are_at_the_rail(low: int, high: int) -> None:
    scale = high / 200.0
    stored = np.clip(random_walk(600, 1, seed=2) * scale, low, high).astype(np.int16)
    at_limit = np.flatnonzero((stored[:, 0] == low) | (stored[:, 0] == high))
    rail = scanned(stored).rail
    assert len(at_limit) > 5
    assert all(any(start <= i < stop for start, stop in rail) for i in at_limit)


def test_an_unsigned_recorder_rails_at_zero_and_at_full_scale() -> None:
    stored = np.clip(random_walk(600, 1, seed=2) + 128, 0, 255).astype(np.uint8)
    assert (stored == 0).sum() > 5
    assert len(scanned(stored).rail) > 0


def test_floats_that_are_clipped_again_and_again_are_at_the_rail() -> None:
    wave = 100 * np.sin(np.arange(2000) / 15.0) + np.random.default_rng(0).normal(0, 1, 2000)
    clipped = np.clip(wave, -80, 80)[:, None]
    rail = scanned(clipped).rail
    covered = np.zeros(2000, dtype=bool)
    for start, stop in rail.astype(int):
        covered[start:stop] = True
    assert covered[np.abs(clipped[:, 0]) == 80].all()
    assert not len(scanned(wave[:, None]).rail)


def test_the_largest_sample_of_a_sound_recording_is_not_a_rail() -> None:
    stored = random_walk(5000, 3, seed=3).astype(np.int16)
    assert len(scanned(stored).rail) == 0


def test_a_dead_channel_is_reported_and_does_not_spoil_the_others() -> None:
    stored = random_walk(600, 3, seed=4)
    stored[:, 1] = 5.0
    stored[:400, 2] = np.nan
    quality = scanned(stored)
    assert quality.good.tolist() == [True, False, False]
    assert len(quality.dropout) == 0


def test_a_long_pause_of_every_channel_kills_none() -> None:
    stored = random_walk(600, 2, seed=5)
    stored[50:550] = np.nan
    quality = scanned(stored)
    assert quality.good.all()
    assert quality.dropout.tolist() == [[50, 550]]


def test_a_recording_without_any_signal_has_no_good_channel() -> None:
    assert not scanned(np.zeros((600, 2))).good.any()
    assert not scanned(np.full((600, 2), np.nan)).good.any()


def test_samples_that_were_never_recorded_are_a_dropout() -> None:
    scan = QualityScan(RATE_HZ, 2)
    stored = random_walk(300, 2, seed=6)
    scan.push(0, stored[:100])
    scan.push(250, stored[100:])
    assert scan.finish().dropout.tolist() == [[100, 250]]
