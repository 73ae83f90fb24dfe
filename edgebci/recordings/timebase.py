"""From the timestamps of a file to samples at one rate.

Every sample goes to the nearest point of a regular grid. One or two points that stay empty repeat the sample before,
more of them are a gap; where two samples fall on one point the first stays. So jitter, a slowly drifting clock and
pauses of the recorder need no separate treatment.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import h5py
import numpy as np
from numpy.typing import NDArray

from edgebci.errors import InputError
from edgebci.recordings.model import F64

BLOCK = 1 << 20
NOMINAL_WITHIN = 1e-4
NOMINAL_STEPS_HZ = (1000.0, 100.0, 50.0, 10.0, 5.0, 1.0)
ODD_AT_MOST = 0.05
# Holes of up to this many samples come from jitter and drift of a clock; the sample before fills them.
HELD_SAMPLES = 2
Timestamps: TypeAlias = h5py.Dataset | F64
Samples: TypeAlias = NDArray[np.generic]


@dataclass(frozen=True)
class Grid:
    """Sampling rate in Hz and time of the first sample in seconds."""

    rate_hz: float
    start_s: float

    def place(self, timestamps_s: F64) -> NDArray[np.int64]:
        """Nearest grid point of each timestamp (N,)."""
        return np.rint((timestamps_s - self.start_s) * self.rate_hz).astype(np.int64)


def regular_pieces(
    stored: Samples, points: NDArray[np.int64], previous: int, following: int
) -> Iterator[tuple[int, Samples]]:
    """Cut a block (T, C) at its gaps, and yield each piece with the grid point of its first sample.

    Args:
        stored: samples of the block.
        points: their grid points (T,), not descending.
        previous: last grid point that an earlier block filled.
        following: grid point of the sample after the block.
    """
    kept = np.flatnonzero(np.diff(points, prepend=previous) > 0)
    if not len(kept):
        return
    steps = np.diff(points[kept], append=max(following, int(points[kept[-1]]) + 1))
    repeats = np.where(steps <= 1 + HELD_SAMPLES, steps, 1)
    rows = np.repeat(kept, repeats)
    place = np.repeat(points[kept] - np.cumsum(repeats) + repeats, repeats) + np.arange(len(rows))
    for piece in np.split(np.arange(len(rows)), np.flatnonzero(np.diff(place) != 1) + 1):
        yield int(place[piece[0]]), stored[rows[piece]]


def fit_grid(timestamps: Timestamps, name: str) -> Grid:
    """Find the rate of ascending timestamps (N,) in seconds, reading them block by block.

    A rate within 100 ppm of a round number of hertz is taken as that number: a clock is that good, and a front end
    is specified for it.

    Raises:
        InputError: fewer than two timestamps, not ascending, not finite, or more than 5 % of the intervals odd.
    """
    if len(timestamps) < 2:
        raise InputError(f"{name} has {len(timestamps)} timestamps; at least two are needed to know its rate")
    usual = float(np.median(np.diff(np.asarray(timestamps[:BLOCK]))))
    summed, counted, odd = 0.0, 0, 0
    for start, block in _blocks(timestamps):
        steps = np.diff(block)
        _refuse_disorder(steps, start, block, name)
        regular = (steps > 0.5 * usual) & (steps < 1.5 * usual)
        summed, counted = summed + float(steps[regular].sum()), counted + int(regular.sum())
        odd += int(np.sum(~regular))
    if odd > ODD_AT_MOST * (odd + counted):
        raise InputError(
            f"the timestamps of {name} are irregular: {100 * odd / (odd + counted):.0f} % of the intervals differ from "
            f"the usual {1e3 * usual:g} ms by more than half; LFP must be sampled at one rate: resample it first"
        )
    return Grid(_nominal(counted / summed), float(timestamps[0]))


def _blocks(timestamps: Timestamps) -> Iterator[tuple[int, F64]]:
    """Blocks that share one sample with the next, so that no interval is missed."""
    for start in range(0, len(timestamps) - 1, BLOCK):
        yield start, np.asarray(timestamps[start : start + BLOCK + 1], dtype=np.float64)


def _refuse_disorder(steps: F64, start: int, block: F64, name: str) -> None:
    wrong = np.flatnonzero(~(steps > 0))
    if len(wrong):
        i = int(wrong[0])
        raise InputError(
            f"the timestamps of {name} do not ascend (number {start + i + 1} is {block[i + 1]:g} s, after "
            f"{block[i]:g} s); correct them in the NWB file"
        )


def _nominal(rate_hz: float) -> float:
    """The roundest number of hertz within the error of a clock, or the rate itself."""
    for step in NOMINAL_STEPS_HZ:
        round_hz = step * round(rate_hz / step)
        if round_hz and abs(rate_hz / round_hz - 1.0) < NOMINAL_WITHIN:
            return round_hz
    return rate_hz
