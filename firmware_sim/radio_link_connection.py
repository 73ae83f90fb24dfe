"""How often a BLE connection has its events, and whether the standard allows what a designer wants.

Rules of the Bluetooth Core Specification, Vol 6 Part B 4.5; the limits themselves stand in the radio's profile.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from edgebci.errors import InputError
from edgebci.hardware_radios import Connection

SILENT_INTERVALS = 2.0
"""The timeout must be longer than so many of the longest silences that a working link has."""
SUPERVISION_STEP_MS = 10.0


@dataclass(frozen=True)
class Agreement:
    """What both ends of a connection agreed on.

    Fields:
        interval_ms: from one event to the next.
        skipped_events: how many in a row the implant may sleep through while it has nothing to say.
        supervision_ms: silence after which the connection counts as lost.
    """

    interval_ms: float
    skipped_events: int
    supervision_ms: float


def agree(
    limits: Connection, interval_ms: float | None = None, skipped_events: int = 0, supervision_ms: float | None = None
) -> Agreement:
    """Agree on a connection; None stands for the shortest interval, and for the longest timeout that is allowed.

    Raises:
        InputError: the standard has no such interval, so many skipped events, or such a timeout.
    """
    interval = limits.interval_min_ms.typical if interval_ms is None else interval_ms
    _check_interval(limits, interval)
    if not 0 <= skipped_events <= limits.events_skipped_max.typical:
        raise InputError(
            f"{skipped_events} events skipped in a row; a connection allows 0 to {limits.events_skipped_max.typical:g}"
        )
    silence_ms = SILENT_INTERVALS * (1 + skipped_events) * interval
    shortest_ms = max(
        limits.supervision_min_ms.typical, SUPERVISION_STEP_MS * (math.floor(silence_ms / SUPERVISION_STEP_MS) + 1)
    )
    supervision = limits.supervision_max_ms.typical if supervision_ms is None else supervision_ms
    if not shortest_ms <= supervision <= limits.supervision_max_ms.typical:
        raise InputError(
            f"a supervision timeout of {supervision:g} ms with events every {interval:g} ms, {skipped_events} skipped; "
            f"{shortest_ms:g} to {limits.supervision_max_ms.typical:g} ms are allowed: choose one of them, skip fewer "
            "events or shorten the interval"
        )
    return Agreement(interval, skipped_events, supervision)


def _check_interval(limits: Connection, interval_ms: float) -> None:
    step, low, high = (q.typical for q in (limits.interval_step_ms, limits.interval_min_ms, limits.interval_max_ms))
    if low <= interval_ms <= high and abs(interval_ms / step - round(interval_ms / step)) < 1e-9:
        return
    nearest_ms = min(max(round(interval_ms / step) * step, low), high)
    raise InputError(
        f"a connection interval of {interval_ms:g} ms; multiples of {step:g} ms from {low:g} to {high:g} ms are "
        f"allowed: take {nearest_ms:g}"
    )
