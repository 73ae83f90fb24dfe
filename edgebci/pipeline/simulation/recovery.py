"""How long each disturbance is felt: until the decoder's output, and its own word for it, are as they were before.

The same recording is played through the same front end with and without the events, the same noise in both; what
differs is their doing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

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


class Recovery(Document):
    """What one event did; None where the recording ends, or the next event begins, before the output is back."""

    kind: str
    at_s: float
    end_s: float
    largest_deviation_sd: float
    """Of the output, in its standard deviations over the undisturbed recording."""
    output_s: float | None
    """From the event's end until the output is back within a quarter of a standard deviation, for half a second."""
    invalid_s: float
    """Time that the device itself called invalid because of the event."""


def recoveries(
    events: Sequence[AnyEvent], times_s: F64, disturbed: Played, undisturbed: Played, start_s: float
) -> tuple[Recovery, ...]:
    """Judge every event; events are in seconds from the recording's first sample, which is at start_s."""
    spread = undisturbed.held()[undisturbed.valid].std(axis=0)
    deviation = np.linalg.norm(disturbed.held() - undisturbed.held(), axis=1)
    deviation /= max(float(np.linalg.norm(spread)), 1e-12)
    ordered = sorted(events, key=lambda event: event.at_s)
    lost = undisturbed.valid & ~disturbed.valid
    seconds = times_s - start_s
    ends = [*(event.at_s for event in ordered[1:]), math.inf]
    return tuple(
        _recovery(event, seconds, deviation, lost, until_s) for event, until_s in zip(ordered, ends, strict=True)
    )


def _recovery(event: AnyEvent, seconds: F64, deviation: F64, lost: NDArray[np.bool_], until_s: float) -> Recovery:
    felt = (seconds >= event.at_s) & (seconds < until_s)
    after = felt & (seconds >= event.end_s)
    period_s = float(seconds[1] - seconds[0]) if len(seconds) > 1 else 1.0
    return Recovery(
        kind=event.kind,
        at_s=event.at_s,
        end_s=event.end_s,
        largest_deviation_sd=float(deviation[felt].max(initial=0.0)),
        output_s=_quiet_after_s(deviation[after], period_s),
        invalid_s=float(lost[felt].sum()) * period_s,
    )


def _quiet_after_s(deviation: F64, period_s: float) -> float | None:
    """When the deviation first stays below the tolerance for QUIET_S; None if it never does."""
    wanted = max(1, round(QUIET_S / period_s))
    calm = np.concatenate([[0], np.cumsum(deviation < TOLERANCE)])
    if len(calm) <= wanted:
        return None
    starts = np.flatnonzero(calm[wanted:] - calm[:-wanted] == wanted)
    return float(starts[0]) * period_s if len(starts) else None
