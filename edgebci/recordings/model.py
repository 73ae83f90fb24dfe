"""What a recording consists of, as plain values: what `edgebci data info` prints and what the stages hand on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgebci.documents import Document

F64 = NDArray[np.float64]
F32 = NDArray[np.float32]

QUALITY_LABELS = ("stimulation", "rail", "dropout")


class BehaviorInfo(Document):
    """One behaviour series; `rate_hz` is None where its timestamps are irregular."""

    name: str
    unit: str
    rate_hz: float | None
    n_samples: int
    n_dims: int
    start_s: float
    end_s: float


class IntervalInfo(Document):
    """A named set of intervals: train, valid, test, stimulation, rail, dropout or the file's own."""

    name: str
    count: int
    total_s: float


class RecordingInfo(Document):
    """What a recording holds, without its samples."""

    subject_id: str
    session_id: str
    lfp_rate_hz: float
    n_channels: int
    n_samples: int
    start_s: float
    duration_s: float
    channel_names: tuple[str, ...]
    good_channels: tuple[bool, ...]
    behavior: tuple[BehaviorInfo, ...]
    n_units: int
    intervals: tuple[IntervalInfo, ...]
    notes: tuple[str, ...] = ()

    @property
    def end_s(self) -> float:
        """One sampling interval after the last sample."""
        return self.start_s + self.duration_s

    @property
    def behavior_names(self) -> tuple[str, ...]:
        """Names that `Recording.behavior` takes."""
        return tuple(series.name for series in self.behavior)


class NwbOptions(Document):
    """Which series to take: the LFP's name (needed where there are several), and the behaviours' (all if none)."""

    lfp: str | None = None
    behavior: tuple[str, ...] = ()


@dataclass(frozen=True)
class Behavior:
    """A behaviour series: timestamps_s (N,), values (N, D) in `unit`."""

    timestamps_s: F64
    values: F64
    unit: str
    axis_names: tuple[str, ...]


@dataclass(frozen=True)
class Spikes:
    """Spike times of all sorted units, ascending: times_s (S,), unit_index (S,) in [0, n_units)."""

    times_s: F64
    unit_index: NDArray[np.int64]
    n_units: int
