"""How long work tells how far it is, without knowing who is listening."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[float, str], None]
"""Called with the fraction done, 0 to 1, and a short note."""


def silent(fraction: float, note: str) -> None:
    """Ignore progress."""


def part(progress: Progress, start: float, stop: float) -> Progress:
    """Give a piece of work its share, [start, stop], of a longer one."""
    return lambda fraction, note: progress(start + fraction * (stop - start), note)
