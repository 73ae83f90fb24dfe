"""Cutting a recording into training, validation and test parts, far enough from each other.

All intervals are in frames, counted from the first frame of the usable time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from edgebci.errors import InputError
from edgebci.metrics import F64
from edgebci.pipeline.configuration import PreparationConfig

SHORTEST_PART_S = 10.0


@dataclass(frozen=True)
class Parts:
    """Frames [start, stop) of each part."""

    train: tuple[int, int]
    validation: tuple[int, int]
    test: tuple[int, int]


def gap_reasons_s(config: PreparationConfig) -> dict[str, float]:
    """Why two parts must not touch: the longest of these is the gap, in seconds."""
    ridge = config.training.ridge
    return {
        "least gap": config.split.least_gap_s,
        "feature memory to 1 %": config.features.memory_s,
        "lag window": (ridge.lags - 1) * ridge.lag_s,
        "half the target's smoothing": config.recording.target_half_smoothing_s,
    }


def cut(n_frames: int, config: PreparationConfig) -> Parts:
    """Cut n_frames into the three parts.

    Raises:
        InputError: a part would be shorter than 10 s.
    """
    rate_hz = config.features.frame_rate_hz
    gap = math.ceil(max(gap_reasons_s(config).values()) * rate_hz)
    usable = n_frames - 2 * gap
    n_train = math.floor(usable * config.split.train)
    n_validation = math.floor(usable * config.split.validation)
    parts = Parts(
        train=(0, n_train),
        validation=(n_train + gap, n_train + gap + n_validation),
        test=(n_train + n_validation + 2 * gap, n_frames),
    )
    shortest_s = min(stop - start for start, stop in (parts.train, parts.validation, parts.test)) / rate_hz
    if shortest_s < SHORTEST_PART_S:
        raise InputError(
            f"{n_frames / rate_hz:.0f} s of recording with two gaps of {gap / rate_hz:.1f} s leave a part of only "
            f"{max(shortest_s, 0):.1f} s; every part needs {SHORTEST_PART_S:g} s: give a longer recording"
        )
    return parts


def autocorrelation_time_s(residual: F64, rate_hz: float) -> float:
    """Time after which the autocorrelation of a residual (T, D) first falls below 1/e; the longest over axes."""
    longest = 0
    for axis in (residual - residual.mean(axis=0)).T:
        spectrum = np.abs(np.fft.rfft(axis, 2 * len(axis))) ** 2
        correlation = np.fft.irfft(spectrum)[: len(axis)]
        below = np.flatnonzero(correlation < correlation[0] / math.e)
        longest = max(longest, int(below[0]) if len(below) else len(axis))
    return longest / rate_hz
