"""What is decoded, at any time: a behaviour that is followed, or whether an event is under way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgebci.errors import InputError
from edgebci.pipeline.configuration import RecordingConfig
from edgebci.recordings import Behavior, Recording

F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]

LOG_ODDS = "log odds"
"""Unit of a detector's output."""


@dataclass(frozen=True)
class Target:
    """What a recording says is to be decoded.

    Fields:
        axis_names: one for each axis, D of them.
        unit: of what is decoded.
        at: ascending times (K,) in seconds to values (K, D) and whether they are known (K,).
    """

    axis_names: tuple[str, ...]
    unit: str
    at: Callable[[F64], tuple[F64, Bool]]


def target_of(recording: Recording, source: RecordingConfig) -> Target:
    """Find the target that `source` names.

    Raises:
        InputError: the recording has no behaviour, or no intervals, of that name, or no event at all.
    """
    if source.task == "detection":
        events_s = recording.intervals(source.target)
        if not len(events_s):
            raise InputError(f"{recording.path} holds no event in {source.target!r}; choose intervals that occur")
        return Target((source.target,), LOG_ODDS, lambda times_s: _inside_events(events_s, times_s))
    behavior = recording.behavior(source.target)
    return Target(behavior.axis_names, behavior.unit, lambda times_s: _interpolated(behavior, times_s))


def inside(intervals_s: F64, times_s: F64) -> Bool:
    """Which of the ascending times (K,) lie in any of the intervals (N, 2), ends included."""
    found = np.zeros(len(times_s), dtype=bool)
    for start_s, stop_s in intervals_s:
        found[np.searchsorted(times_s, start_s) : np.searchsorted(times_s, stop_s, side="right")] = True
    return found


def _inside_events(events_s: F64, times_s: F64) -> tuple[F64, Bool]:
    return inside(events_s, times_s).astype(np.float64)[:, None], np.ones(len(times_s), dtype=bool)


def _interpolated(behavior: Behavior, times_s: F64) -> tuple[F64, Bool]:
    """The behaviour (K, D), and where it is known: finite, and no hole of over two samples."""
    sampled_s = behavior.timestamps_s
    period_s = float(np.median(np.diff(sampled_s)))
    after = np.clip(np.searchsorted(sampled_s, times_s), 1, len(sampled_s) - 1)
    values = np.stack([np.interp(times_s, sampled_s, column) for column in behavior.values.T], axis=1)
    known = np.isfinite(values).all(axis=1) & (sampled_s[after] - sampled_s[after - 1] <= 2.5 * period_s)
    return np.where(known[:, None], values, 0.0), known
