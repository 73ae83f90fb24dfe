"""How long each disturbance is felt: until the decoder's output, and its own word for it, are as they were before.

The same recording is played through the same front end with and without the events, the same noise in both; what
differs is their doing. A decoder whose normalisation runs may learn an event as if it were brain, and be off for long:
the same decoder with held statistics tells that apart from filters and states.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgebci.documents import Document
from edgebci.firmware_sim.electronics.events import AnyEvent
from edgebci.metrics import F64
from edgebci.pipeline.simulation.playing import Played

TOLERANCE = 0.25
"""Deviation, over the output's standard deviation, that is not felt any more: it alone would cost some 0.06 of R2."""
QUIET_S = 0.5
"""It must stay below that for this long."""


@dataclass(frozen=True)
class Pair:
    """The same decoder on the recording with and without its events."""

    disturbed: Played
    undisturbed: Played

    def deviation(self) -> F64:
        """(K,) how far the outputs are apart, in the undisturbed output's standard deviation."""
        spread = self.undisturbed.held()[self.undisturbed.valid].std(axis=0)
        apart = np.linalg.norm(self.disturbed.held() - self.undisturbed.held(), axis=1)
        return np.asarray(apart / max(float(np.linalg.norm(spread)), 1e-12))


class Recovery(Document):
    """What one event did; None where the recording ends, or the next event begins, before the output is back."""

    kind: str
    at_s: float
    end_s: float
    largest_deviation_sd: float
    """Of the output, in its standard deviations over the undisturbed recording."""
    output_s: float | None
    """From the event's end until the output is back within a quarter of a standard deviation, for half a second."""
    held_statistics_s: float | None
    """The same of a decoder whose normalisation learns nothing; None also where the shipped one learns nothing."""
    left_sd: float
    """Mean deviation over the last half second before the next event, or the recording's end."""
    why: str | None
    """Why the output is not back; None where it is."""
    invalid_s: float
    """Time that the device itself called invalid because of the event."""


def recoveries(
    events: Sequence[AnyEvent], times_s: F64, shipped: Pair, held: Pair | None, tau_s: float, start_s: float
) -> tuple[Recovery, ...]:
    """Judge every event.

    Args:
        events: in seconds from the recording's first sample. times_s: (K,) of the frames, of which the first sample is
            at start_s.
        held: with statistics of the normalisation held; None where they are. tau_s: time constant of those that run.
    """
    ordered = sorted(events, key=lambda event: event.at_s)
    lost = shipped.undisturbed.valid & ~shipped.disturbed.valid
    felt = _Felt(times_s - start_s, shipped.deviation(), None if held is None else held.deviation(), lost, tau_s)
    ends = [*(event.at_s for event in ordered[1:]), math.inf]
    return tuple(felt.recovery(event, until_s) for event, until_s in zip(ordered, ends, strict=True))


@dataclass(frozen=True, eq=False)
class _Felt:
    """Deviations (K,) at seconds (K,), frames (K,) lost to the events, and the time constant of running statistics."""

    seconds: F64
    deviation: F64
    with_held: F64 | None
    lost: NDArray[np.bool_]
    tau_s: float

    def recovery(self, event: AnyEvent, until_s: float) -> Recovery:
        """Judge one event, which is followed until the next begins."""
        felt = (self.seconds >= event.at_s) & (self.seconds < until_s)
        after = felt & (self.seconds >= event.end_s)
        period_s = float(self.seconds[1] - self.seconds[0]) if len(self.seconds) > 1 else 1.0
        back_s = _quiet_after_s(self.deviation[after], period_s)
        held_s = None if self.with_held is None else _quiet_after_s(self.with_held[after], period_s)
        left_sd = float(self.deviation[after][-_frames_of_quiet(period_s) :].mean()) if after.any() else 0.0
        return Recovery(
            kind=event.kind,
            at_s=event.at_s,
            end_s=event.end_s,
            largest_deviation_sd=float(self.deviation[felt].max(initial=0.0)),
            output_s=back_s,
            held_statistics_s=held_s,
            left_sd=left_sd,
            why=self._why(float(after.sum()) * period_s, held_s, left_sd) if back_s is None else None,
            invalid_s=float(self.lost[felt].sum()) * period_s,
        )

    def _why(self, followed_s: float, held_s: float | None, left_sd: float) -> str:
        if followed_s < QUIET_S:
            return f"only {followed_s:.2g} s follow before the next event or the end, {QUIET_S:g} s are needed to tell"
        left = f"{left_sd:.2f} sd are left after {followed_s:.3g} s"
        if held_s is not None:
            return (
                f"{left}: the running normalisation (time constant {self.tau_s:g} s) has learnt the event as if it "
                f"were brain; with its statistics held the output is back after {held_s:.2f} s"
            )
        if self.with_held is None:
            return f"{left}, and the normalisation learns nothing: filters and the decoder's state still hold the event"
        return f"{left}, and it is not back with held statistics either: filters and the decoder's state hold the event"


def _frames_of_quiet(period_s: float) -> int:
    return max(1, round(QUIET_S / period_s))


def _quiet_after_s(deviation: F64, period_s: float) -> float | None:
    """When the deviation first stays below the tolerance for QUIET_S; None if it never does."""
    wanted = _frames_of_quiet(period_s)
    calm = np.concatenate([[0], np.cumsum(deviation < TOLERANCE)])
    if len(calm) <= wanted:
        return None
    starts = np.flatnonzero(calm[wanted:] - calm[:-wanted] == wanted)
    return float(starts[0]) * period_s if len(starts) else None
