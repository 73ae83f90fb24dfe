"""A design in time: when each frame's last sample has become an output, what was lost, and what each second drew.

    simulate_timeline(design, duration_s, seed)  everything, in arrays
    timeline_parts(design, duration_s, seed)     minute by minute, in memory that does not grow
    long_summary(design, duration_s, seed)       only the figures, likewise

Transport latency counts from a frame's last sample to its output at the receiver: queue, step and radio. How late the
decoded movement itself is (`edgebci.metrics.effective_lag_s`) comes on top: see `total_lag`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgebci.errors import InputError
from edgebci.firmware_sim.design import Design
from edgebci.firmware_sim.timeline.machine import Device
from edgebci.firmware_sim.timeline.plan import Plan, TimelineSettings, plan
from edgebci.firmware_sim.timeline.records import PARTS, Fate, Frame, Records, Span
from edgebci.firmware_sim.timeline.summary import Tally, TimelineSummary

F64 = NDArray[np.float64]
PART_S = 60
"""Seconds in a part."""
DRAIN_S = 10.0
"""How long outputs may still arrive after the last sample."""


@dataclass(frozen=True, eq=False)
class TimelinePart:
    """Frames in order and seconds in order; times count from power-on.

    Fields:
        frame_s: (N,) of each frame's last sample. decoded_s, delivered_s: (N,) nan where it never came to that.
        fate: (N,) values of `Fate`. missed: (N,) the step was not done when the next frame was.
        power_uw: (S, P) of each second by part.
    """

    frame_s: F64
    decoded_s: F64
    delivered_s: F64
    fate: NDArray[np.int8]
    missed: NDArray[np.bool_]
    power_uw: F64

    @property
    def lost(self) -> NDArray[np.bool_]:
        """(N,) frames whose output never arrived."""
        return np.not_equal(self.fate, Fate.DELIVERED)

    @property
    def transport_s(self) -> F64:
        """(N,) from last sample to delivered output; nan where lost."""
        return self.delivered_s - self.frame_s


@dataclass(frozen=True, eq=False)
class Timeline(TimelinePart):
    """A whole run.

    Fields:
        parts: names of the P columns of power_uw. state_s: seconds in each state of core and radio.
        summary: its figures.
    """

    parts: tuple[str, ...]
    state_s: dict[str, float]
    summary: TimelineSummary


def simulate_timeline(
    design: Design, duration_s: float, seed: int, settings: TimelineSettings | None = None
) -> Timeline:
    """Run a design for `duration_s` (whole seconds, more than none).

    Raises:
        InputError: the duration or a setting is impossible, or the link's standard does not allow its connection.
    """
    run = _Run(design, duration_s, seed, settings or TimelineSettings())
    parts = list(run.parts())
    return Timeline(
        frame_s=np.concatenate([part.frame_s for part in parts]),
        decoded_s=np.concatenate([part.decoded_s for part in parts]),
        delivered_s=np.concatenate([part.delivered_s for part in parts]),
        fate=np.concatenate([part.fate for part in parts]),
        missed=np.concatenate([part.missed for part in parts]),
        power_uw=np.concatenate([part.power_uw for part in parts]),
        parts=PARTS,
        state_s=run.state_s(),
        summary=run.summary(),
    )


def timeline_parts(
    design: Design, duration_s: float, seed: int, settings: TimelineSettings | None = None
) -> Iterator[TimelinePart]:
    """The same minute by minute; raises InputError as `simulate_timeline` does."""
    yield from _Run(design, duration_s, seed, settings or TimelineSettings()).parts()


def long_summary(
    design: Design, duration_s: float, seed: int, settings: TimelineSettings | None = None
) -> TimelineSummary:
    """Only the figures of a run; raises InputError as `simulate_timeline` does."""
    run = _Run(design, duration_s, seed, settings or TimelineSettings())
    for _ in run.parts():
        pass
    return run.summary()


def timeline_spans(
    design: Design, duration_s: float, seed: int, settings: TimelineSettings | None = None
) -> tuple[list[Span], TimelinePart]:
    """What core and radio did when, for a picture of a few frames; raises InputError as `simulate_timeline` does."""
    run = _Run(design, duration_s, seed, settings or TimelineSettings(), draw_until_s=duration_s)
    part = next(run.parts())
    return run.records.spans, part


class _Run:
    """A device with its records and tally."""

    def __init__(
        self, design: Design, duration_s: float, seed: int, settings: TimelineSettings, draw_until_s: float = 0.0
    ) -> None:
        if not math.isfinite(duration_s) or duration_s < 1 or duration_s != int(duration_s):
            raise InputError(f"a timeline of {duration_s:g} s; give a whole number of seconds from 1 on")
        self._duration_s = int(duration_s)
        self._plan = plan(design, settings)
        n_frames = math.floor(duration_s / self._plan.period_s + 1e-9)
        if n_frames == 0:
            raise InputError(
                f"a timeline of {duration_s:g} s ends before the first frame of {self._plan.period_s:g} s; lengthen it"
            )
        self.records = Records(self._plan, draw_until_s)
        self._device = Device(self._plan, self.records, n_frames, np.random.SeedSequence(seed))
        self._tally = Tally()

    def parts(self) -> Iterator[TimelinePart]:
        """Run on, part by part."""
        for start_s in range(0, self._duration_s, PART_S):
            stop_s = min(start_s + PART_S, self._duration_s)
            self._device.env.run(until=stop_s)
            power_uw = self.records.take_power(stop_s)
            last = stop_s == self._duration_s
            if last:
                self._device.env.run(until=stop_s + DRAIN_S)
            part = _part(self.records.take_frames(all_of_them=last), power_uw, self._plan)
            self._tally.add(part.transport_s, part.fate, part.missed, power_uw)
            yield part

    def state_s(self) -> dict[str, float]:
        """Seconds in each state; the rest of the time the core slept and the radio idled."""
        busy = self.records.state_s
        return busy | {
            "core_sleep": max(0.0, self._duration_s - busy["core_run"] - busy["core_wake"]),
            "radio_idle": max(0.0, self._duration_s - busy["radio_tx"] - busy["radio_rx"] - busy["radio_ramp"]),
        }

    def summary(self) -> TimelineSummary:
        """The figures of what was run."""
        return self._tally.summary(self.state_s(), self._duration_s, self.records.disconnections)


def _part(frames: list[Frame], power_uw: F64, made: Plan) -> TimelinePart:
    frame_s = np.array([frame.last_sample_s for frame in frames])
    decoded_s = np.array([frame.decoded_s for frame in frames])
    return TimelinePart(
        frame_s=frame_s,
        decoded_s=decoded_s,
        delivered_s=np.array([frame.delivered_s for frame in frames]),
        fate=np.array([frame.fate for frame in frames], dtype=np.int8),
        missed=~(decoded_s <= frame_s + made.period_s),
        power_uw=power_uw,
    )
