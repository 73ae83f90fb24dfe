"""Timestamps to one rate."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgebci.errors import InputError
from edgebci.recordings.timebase import Grid, fit_grid, regular_pieces

RATE_HZ = 1000.0


def placed(times: NDArray[np.float64], grid: Grid, cuts: list[int]) -> NDArray[np.float64]:
    """The index of the source sample at every grid point, NaN in gaps, by way of blocks cut at `cuts`."""
    points = grid.place(times)
    out = np.full(int(points[-1]) + 1, np.nan)
    edges, previous = sorted({0, len(times), *cuts}), -1
    for start, stop in itertools.pairwise(edges):
        stored = np.arange(start, stop, dtype=np.float64)[:, None]
        following = int(points[stop]) if stop < len(points) else int(points[-1]) + 1
        for first, piece in regular_pieces(stored, points[start:stop], previous, following):
            assert np.isnan(out[first : first + len(piece)]).all()
            out[first : first + len(piece)] = piece[:, 0]
        previous = int(points[stop - 1])
    return out


@settings(max_examples=60)
@given(
    st.lists(st.integers(1, 12), min_size=20, max_size=150),
    st.integers(0, 2**32 - 1),
    st.lists(st.integers(1, 100), max_size=4),
)
def test_every_sample_stands_at_its_nearest_grid_point_for_any_cut(
    steps: list[int], seed: int, cuts: list[int]
) -> None:
    points = np.cumsum([0, *steps])
    jitter = np.random.default_rng(seed).uniform(-0.4, 0.4, len(points))
    times = 3.0 + (points + jitter) / RATE_HZ
    out = placed(times, Grid(RATE_HZ, 3.0), [cut for cut in cuts if cut < len(times)])
    assert np.array_equal(out[points[points < len(out)]], np.arange(len(points))[points < len(out)])
    for i, step in enumerate(steps):
        hole = out[points[i] + 1 : points[i + 1]]
        # Holes of one or two samples repeat the sample before; longer ones are a gap.
        assert np.all(hole == i) if step <= 3 else np.isnan(hole).all()


def test_where_two_samples_share_a_grid_point_the_first_stays() -> None:
    times = np.array([0.0, 1.0, 1.3, 2.0, 3.0]) / RATE_HZ
    assert placed(times, Grid(RATE_HZ, 0.0), []).tolist() == [0, 1, 3, 4]


@pytest.mark.parametrize("rate_hz", [250.0, 1000.0, 30000.0])
def test_a_clock_50_ppm_off_is_read_at_its_nominal_rate_and_loses_no_time(rate_hz: float) -> None:
    times = np.arange(200_000) / (rate_hz * (1 + 50e-6))
    grid = fit_grid(times, "lfp")
    assert grid.rate_hz == rate_hz
    # The nearest grid point is at most half a sample away, also at the end.
    assert np.abs(grid.place(times) / rate_hz - times).max() <= 0.5 / rate_hz + 1e-9


def test_pauses_do_not_change_the_rate() -> None:
    times = np.concatenate([np.arange(1000), 5000 + np.arange(1000), 90000 + np.arange(1000)]) / RATE_HZ
    assert fit_grid(times, "lfp").rate_hz == RATE_HZ


def test_a_rate_that_is_not_whole_is_kept() -> None:
    assert fit_grid(np.arange(5000) / 1017.253, "lfp").rate_hz == pytest.approx(1017.253, rel=1e-9)


def test_irregular_timestamps_are_refused_in_one_sentence() -> None:
    times = np.cumsum(np.random.default_rng(0).exponential(1e-3, 5000))
    with pytest.raises(InputError, match=r"timestamps of lfp are irregular: \d+ % of the intervals.*resample it first"):
        fit_grid(times, "lfp")


@pytest.mark.parametrize("spoil", [lambda t: t[::-1], lambda t: np.where(np.arange(len(t)) == 50, np.nan, t)])
def test_timestamps_that_do_not_ascend_are_refused(spoil: object) -> None:
    assert callable(spoil)
    with pytest.raises(InputError, match="timestamps of lfp do not ascend"):
        fit_grid(spoil(np.arange(100) / RATE_HZ), "lfp")


def test_one_timestamp_is_no_rate() -> None:
    with pytest.raises(InputError, match="lfp has 1 timestamps"):
        fit_grid(np.zeros(1), "lfp")
