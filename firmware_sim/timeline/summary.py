"""The figures of a timeline, counted in a histogram so that they need no more memory for a day than for a minute."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgebci.documents import Document
from edgebci.firmware_sim.timeline.records import PARTS, Fate

F64 = NDArray[np.float64]

RESOLUTION_S = 10e-6
LONGEST_S = 10.0
"""Latencies above are counted as this one; `worst_ms` is exact."""
BUDGET_MS = 100.0
"""From neural activity to its effect: transport and effective lag together (Willett 2013, DOI
10.1088/1741-2560/10/2/026011, saw users get worse from 100 ms on).
"""


class TransportLatency(Document):
    """Last sample used to output delivered, of frames that arrived, in ms; `jitter_ms` is its standard deviation."""

    p50_ms: float
    p99_ms: float
    p999_ms: float
    worst_ms: float
    mean_ms: float
    jitter_ms: float


class TimelineSummary(Document):
    """A timeline in a few figures, all of them modelled.

    Fields:
        transport: None if no frame arrived.
        delivered, lost_on_air, queue_full, overrun: frames by their fate. missed: steps not done at the next frame.
        core_utilization: share of the time in which the core is awake. radio_utilization: and the radio not idle.
        on_air_share: share in which the implant sends, for the duty that a rule allows.
        mean_power_uw: by part.
        disconnections: of a BLE connection whose other side was silent for too long.
    """

    duration_s: float
    frames: int
    transport: TransportLatency | None
    delivered: int
    lost_on_air: int
    queue_full: int
    overrun: int
    missed: int
    core_utilization: float
    radio_utilization: float
    on_air_share: float
    mean_power_uw: dict[str, float]
    disconnections: int


class TotalLag(Document):
    """Transport and effective lag against the budget of the loop, in ms."""

    transport_ms: float
    effective_lag_ms: float
    total_ms: float
    budget_ms: float
    within_budget: bool


def total_lag(summary: TimelineSummary, effective_lag_ms: float, budget_ms: float = BUDGET_MS) -> TotalLag | None:
    """What the budget applies to: the sum of both, transport at its 99th percentile; None if nothing arrived.

    Args:
        effective_lag_ms: of the decoded movement at the moment of each frame's last sample
            (`edgebci.metrics.effective_lag_s`); below 0 where neural activity leads movement.
    """
    if summary.transport is None:
        return None
    total_ms = summary.transport.p99_ms + effective_lag_ms
    return TotalLag(
        transport_ms=summary.transport.p99_ms,
        effective_lag_ms=effective_lag_ms,
        total_ms=total_ms,
        budget_ms=budget_ms,
        within_budget=total_ms <= budget_ms,
    )


class Tally:
    """Counts of latencies and fates, and sums of power."""

    def __init__(self) -> None:
        self._counts = np.zeros(round(LONGEST_S / RESOLUTION_S) + 1, dtype=np.int64)
        self._fates = np.zeros(len(Fate), dtype=np.int64)
        self._missed = 0
        self._worst_s, self._sum_s, self._squares_s2 = 0.0, 0.0, 0.0
        self._energy_uj = np.zeros(len(PARTS))

    def add(self, transport_s: F64, fate: NDArray[np.int8], missed: NDArray[np.bool_], power_uw: F64) -> None:
        """Count (N,) frames and (S, P) seconds."""
        arrived = transport_s[fate == Fate.DELIVERED]
        bins = np.minimum(np.ceil(arrived / RESOLUTION_S - 1e-6), len(self._counts) - 1).astype(np.int64)
        # Not bincount: it would make a new histogram of full length for each part.
        np.add.at(self._counts, bins, 1)
        self._fates += np.bincount(fate, minlength=len(Fate))
        self._missed += int(missed.sum())
        if len(arrived):
            self._worst_s = max(self._worst_s, float(arrived.max()))
        self._sum_s += float(arrived.sum())
        self._squares_s2 += float((arrived**2).sum())
        self._energy_uj += power_uw.sum(axis=0)

    def summary(self, state_s: dict[str, float], duration_s: float, disconnections: int) -> TimelineSummary:
        """The figures of everything that was added."""
        busy_radio_s = state_s["radio_tx"] + state_s["radio_rx"] + state_s["radio_ramp"]
        return TimelineSummary(
            duration_s=duration_s,
            frames=int(self._fates.sum()),
            transport=self._transport(),
            delivered=int(self._fates[Fate.DELIVERED]),
            lost_on_air=int(self._fates[Fate.LOST_ON_AIR]),
            queue_full=int(self._fates[Fate.QUEUE_FULL]),
            overrun=int(self._fates[Fate.OVERRUN]),
            missed=self._missed,
            core_utilization=min(1.0, (state_s["core_run"] + state_s["core_wake"]) / duration_s),
            radio_utilization=min(1.0, busy_radio_s / duration_s),
            on_air_share=min(1.0, state_s["radio_tx"] / duration_s),
            mean_power_uw=dict(zip(PARTS, (self._energy_uj / duration_s).tolist(), strict=True)),
            disconnections=disconnections,
        )

    def _transport(self) -> TransportLatency | None:
        arrived = int(self._fates[Fate.DELIVERED])
        if arrived == 0:
            return None
        mean_s = self._sum_s / arrived
        return TransportLatency(
            p50_ms=self._percentile_ms(0.5),
            p99_ms=self._percentile_ms(0.99),
            p999_ms=self._percentile_ms(0.999),
            worst_ms=1e3 * self._worst_s,
            mean_ms=1e3 * mean_s,
            jitter_ms=1e3 * max(0.0, self._squares_s2 / arrived - mean_s**2) ** 0.5,
        )

    def _percentile_ms(self, share: float) -> float:
        """The shortest latency, rounded up to the resolution, that at least this share of frames keeps to."""
        seen = np.cumsum(self._counts)
        bin_s = float(np.searchsorted(seen, share * seen[-1])) * RESOLUTION_S
        return 1e3 * min(bin_s, self._worst_s)
