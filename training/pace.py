"""How fast training goes and how long it will take, counted from where this process took it up."""

from __future__ import annotations

import time
from collections.abc import Callable

NOTE_EVERY_S = 10.0
"""Between two notes inside an epoch."""


class Pace:
    """A stopwatch; shares of the work are from 0 to 1.

    `start_share` was done before: by an earlier process, whose time does not count.
    """

    def __init__(self, start_share: float, clock_s: Callable[[], float] = time.monotonic) -> None:
        self.start_share, self.clock_s = start_share, clock_s
        self.began_s = self.noted_s = clock_s()
        self.windows, self.training_s = 0, 0.0

    def trained(self, windows: int, seconds: float) -> None:
        """Count windows that an update took in."""
        self.windows += windows
        self.training_s += seconds

    def due(self) -> bool:
        """Whether it is time for a note again."""
        return self.clock_s() - self.noted_s >= NOTE_EVERY_S

    def note(self, share: float) -> str:
        """Windows per second of training, scoring left out, and the time left for all of the work at this pace."""
        self.noted_s = self.clock_s()
        gained = share - self.start_share
        left_s = (self.noted_s - self.began_s) * (1 - share) / gained if gained > 0 else 0.0
        rate = self.windows / self.training_s if self.training_s else 0.0
        return f"{rate:,.{0 if rate >= 10 else 1}f} windows/s, {duration(left_s)} left"


def duration(seconds: float) -> str:
    """A time in its two largest units."""
    whole = round(seconds)
    for size, unit, smaller, name in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // smaller} {name}"
    return f"{whole} s"
