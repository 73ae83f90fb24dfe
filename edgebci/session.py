"""A recording session as multi-session training sees it: frames with targets, and what sorted neurons did meanwhile."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgebci.decoding_data import DecodingData, Floats
from edgebci.errors import InputError


@dataclass(frozen=True, eq=False)
class SpikeEvents:
    """Spikes of sorted units, in order of time.

    Raises:
        InputError: lengths disagree, a unit is out of range, or times go backwards.
    """

    times_s: NDArray[np.float64]
    """When each spike was (S,), on the clock of the frames."""
    unit: NDArray[np.int64]
    """Which unit it was (S,), from 0."""
    n_units: int

    def __post_init__(self) -> None:
        if len(self.times_s) != len(self.unit):
            raise InputError(f"{len(self.times_s)} spike times but {len(self.unit)} units; give one unit for each")
        if len(self.unit) and not 0 <= self.unit.min() <= self.unit.max() < self.n_units:
            raise InputError(f"a spike names unit {self.unit.max()} of {self.n_units}; count units from 0")
        if np.any(np.diff(self.times_s) < 0):
            raise InputError("spike times go backwards; sort the spikes by time")

    def between(self, start_s: float, stop_s: float) -> SpikeEvents:
        """The spikes in (start_s, stop_s]."""
        first, last = np.searchsorted(self.times_s, (start_s, stop_s), side="right")
        return SpikeEvents(self.times_s[first:last], self.unit[first:last], self.n_units)


@dataclass(frozen=True, eq=False)
class Session:
    """One recording of one subject."""

    name: str
    subject: str
    data: DecodingData
    spikes: SpikeEvents | None = None

    def spike_counts(self) -> Floats:
        """Spikes of each unit (K, U) in the time of each frame: after the frame before it, up to its own time.

        Where the frames' clock jumps, only the last frame period counts.

        Raises:
            InputError: the session has no sorted spikes.
        """
        if self.spikes is None:
            raise InputError(f"session {self.name} has no sorted spikes; choose one that has, or train on LFP alone")
        times_s, period_s = self.data.times_s, 1 / self.data.frame_rate_hz
        counts = np.zeros((len(times_s), self.spikes.n_units), dtype=np.float32)
        frame = np.searchsorted(times_s, self.spikes.times_s, side="left")
        inside = frame < len(times_s)
        # Half a percent of slack: frame times are sums of floats.
        inside[inside] &= times_s[frame[inside]] - self.spikes.times_s[inside] < 1.005 * period_s
        np.add.at(counts, (frame[inside], self.spikes.unit[inside]), 1)
        return counts
