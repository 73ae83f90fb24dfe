"""Ctrl-C during training: held back until an update of the weights is complete."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass
class Interruption:
    """Whether someone wants training to stop."""

    asked: bool = False


@contextmanager
def held_back() -> Iterator[Interruption]:
    """Note the first Ctrl-C instead of raising KeyboardInterrupt; the second raises it at once.

    Where Ctrl-C is not Python's to handle (another thread, a job in the background, a handler of the program that
    calls us) nothing changes.
    """
    interruption = Interruption()

    def note(_number: int, _frame: FrameType | None) -> None:
        if interruption.asked:
            raise KeyboardInterrupt
        interruption.asked = True

    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield interruption
        return
    signal.signal(signal.SIGINT, note)
    try:
        yield interruption
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
