"""How well a detector says whether an event is under way: AUROC, balanced accuracy, delay and false alarms.

A detector gives each frame a number, higher inside events; at or above its threshold it is *on*. Definitions:

    AUROC              chance that a frame inside an event is given more than one outside; equal numbers count half
    balanced accuracy  mean of the shares of frames inside that are on, and of frames outside that are off
    event              frames inside one after another; one that is under way when a stretch begins is not counted
    detected           the detector is on at a frame of the event, or up to `tolerance_s` after it
    delay              from the event's first frame to the first such frame; events that are missed have none
    alarm              given when the detector is on and no alarm was given for `refractory_s`
    false alarm        an alarm at a frame that is neither inside an event nor up to `tolerance_s` after one
    false alarms/hour  per hour of frames at which an alarm would be false

Intervals and verdicts: `edgebci.detection_score`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray
from pydantic import Field

from edgebci.documents import Document
from edgebci.errors import InputError

F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]
Rows = NDArray[np.int64]


class AlarmRule(Document):
    """When a detector that is on gives an alarm, and how long after an event an alarm still counts for it."""

    refractory_s: float = Field(default=1.0, ge=0)
    tolerance_s: float = Field(default=0.1, ge=0)
    """A causal detector knows of an event's last moments only after it."""


@dataclass(frozen=True, eq=False)
class Events:
    """Truth of scored frames, in order of time.

    Fields:
        inside: (T,) whether an event is under way.
        stretch: (T,) number of the unbroken stretch that each frame belongs to, not falling.
        rate_hz: frames per second.

    Raises:
        InputError: there is no frame inside an event, or none outside.
    """

    inside: Bool
    stretch: Rows
    rate_hz: float

    def __post_init__(self) -> None:
        if self.inside.all() or not self.inside.any():
            where = "inside" if self.inside.all() else "outside"
            raise InputError(
                f"every frame to be scored is {where} an event; choose a part that holds both, or record longer"
            )

    @classmethod
    def of(cls, inside: Bool, times_s: F64, rate_hz: float) -> Events:
        """Frames at ascending times (T,); a step of over 1.5 frames begins a new stretch."""
        breaks = np.diff(times_s, prepend=times_s[:1]) > 1.5 / rate_hz
        return cls(inside, np.cumsum(breaks).astype(np.int64), rate_hz)

    def runs(self) -> Rows:
        """First frame and one past the last (E, 2) of each event, those that began before their stretch left out."""
        edge = np.diff(self.stretch, prepend=-1) > 0
        begins = np.flatnonzero(self.inside & ~edge & ~np.roll(self.inside, 1))
        ends = self.inside & (np.roll(edge, -1) | ~np.roll(self.inside, -1))
        ends[-1] = self.inside[-1]
        stops = np.flatnonzero(ends) + 1
        return np.stack([begins, stops[np.searchsorted(stops, begins, side="right")]], axis=1).astype(np.int64)

    def frames(self, seconds: float) -> int:
        """The whole frames in a time."""
        return math.floor(seconds * self.rate_hz + 1e-9)

    def excused(self, tolerance_s: float) -> Bool:
        """(T,) frames inside an event or up to `tolerance_s` after one, in the same stretch."""
        last = np.where(self.inside, np.arange(len(self.inside)), -1)
        last = np.maximum.accumulate(last)
        near = np.arange(len(self.inside)) - last <= self.frames(tolerance_s)
        return np.asarray((last >= 0) & near & (self.stretch == self.stretch[last]))


def auroc(inside: Bool, given: F64) -> float:
    """Chance that a frame inside (T,) is given more than one outside, ties counting half; nan without both kinds."""
    n_inside, n_outside = int(inside.sum()), int((~inside).sum())
    if not n_inside or not n_outside:
        return float("nan")
    ranks = scipy.stats.rankdata(given)  # equals share the mean of their ranks
    return float((ranks[inside].sum() - n_inside * (n_inside + 1) / 2) / (n_inside * n_outside))


def balanced_accuracy(inside: Bool, on: Bool) -> float:
    """Mean of the share of frames inside that are on and of frames outside that are off."""
    return 0.5 * float(on[inside].mean()) + 0.5 * float((~on)[~inside].mean())


def best_threshold(inside: Bool, given: F64) -> float:
    """The given number at which balanced accuracy is highest if frames at or above it are on; of equals the lowest."""
    values, group = np.unique(given, return_inverse=True)
    hits = np.bincount(group, inside, len(values))[::-1].cumsum()[::-1] / inside.sum()
    false = np.bincount(group, ~inside, len(values))[::-1].cumsum()[::-1] / (~inside).sum()
    return float(values[int(np.argmax(hits - false))])


def delays_s(events: Events, on: Bool, rule: AlarmRule) -> F64:
    """Delay of each event (E,) in seconds; nan where it is missed."""
    excused, found = events.excused(rule.tolerance_s), []
    for start, stop in events.runs():
        later = np.flatnonzero(
            ~excused[stop:] | events.inside[stop:] | (events.stretch[stop:] != events.stretch[start])
        )
        end = stop + (int(later[0]) if len(later) else len(on) - stop)
        first = np.flatnonzero(on[start:end])
        found.append(first[0] / events.rate_hz if len(first) else np.nan)
    return np.array(found, dtype=np.float64)


def alarms(events: Events, on: Bool, refractory_s: float) -> Rows:
    """The frames at which an alarm is given."""
    least, given = max(math.ceil(refractory_s * events.rate_hz - 1e-9), 1), list[int]()
    for frame in np.flatnonzero(on):
        again = not given or frame - given[-1] >= least or events.stretch[frame] != events.stretch[given[-1]]
        if again:
            given.append(int(frame))
    return np.array(given, dtype=np.int64)


def false_alarms(events: Events, on: Bool, rule: AlarmRule) -> Rows:
    """The frames of alarms that belong to no event."""
    given = alarms(events, on, rule.refractory_s)
    return given[~events.excused(rule.tolerance_s)[given]]


@dataclass(frozen=True, eq=False)
class Detector:
    """What one seed of a detector gave the frames (T,), and its threshold."""

    given: F64
    threshold: float

    @property
    def on(self) -> Bool:
        """(T,) frames at or above the threshold."""
        return np.asarray(self.given >= self.threshold)
