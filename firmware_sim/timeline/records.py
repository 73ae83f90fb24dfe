"""What happened: the fate of each frame, energy by the second, time in each state. Memory does not grow with time."""

from __future__ import annotations

import math
from collections import defaultdict, deque
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgebci.firmware_sim.radio_link_timing import Turn
from edgebci.firmware_sim.timeline.plan import Plan

F64 = NDArray[np.float64]
PARTS = ("front_end", "adc", "compute", "radio", "standing")
CoreState = Literal["run", "wake"]
RadioState = Literal["tx", "rx", "ramp"]
_CORE: dict[CoreState, str] = {"run": "core_run", "wake": "core_wake"}
_RADIO: dict[RadioState, str] = {"tx": "radio_tx", "rx": "radio_rx", "ramp": "radio_ramp"}


class Fate(IntEnum):
    """What became of a frame: its output arrived, was lost on the air, waited for too many, or its samples found no
    room.
    """

    DELIVERED = 0
    LOST_ON_AIR = 1
    QUEUE_FULL = 2
    OVERRUN = 3


@dataclass(slots=True)
class Frame:
    """A frame on its way; `spoiled` once a block of it found no room, `packets_arrived` of its output so far."""

    index: int
    last_sample_s: float
    decoded_s: float = math.nan
    delivered_s: float = math.nan
    fate: Fate | None = None
    spoiled: bool = False
    packets_arrived: int = 0


@dataclass(frozen=True)
class Span:
    """Something that took its time, for a picture: who did what, for which frame (-1 for none)."""

    lane: Literal["core", "radio"]
    state: CoreState | RadioState
    start_s: float
    length_s: float
    frame: int


@dataclass(eq=False)
class Records:
    """Filled by a device, emptied part by part.

    Fields:
        draw_until_s: spans that begin before are kept.
        state_s: seconds in each state of core and radio, rest left out. disconnections: of a BLE connection.
    """

    plan: Plan
    draw_until_s: float = 0.0
    spans: list[Span] = field(default_factory=list)
    state_s: dict[str, float] = field(default_factory=lambda: dict.fromkeys((*_CORE.values(), *_RADIO.values()), 0.0))
    disconnections: int = 0
    _frames: deque[Frame] = field(default_factory=deque)
    _first_second: int = 0
    _core_uj: defaultdict[int, float] = field(default_factory=lambda: defaultdict(float))
    _radio_uj: defaultdict[int, float] = field(default_factory=lambda: defaultdict(float))

    def open(self, index: int, last_sample_s: float) -> Frame:
        """A frame has begun."""
        frame = Frame(index, last_sample_s)
        self._frames.append(frame)
        return frame

    def close(self, frame: Frame, fate: Fate) -> None:
        """Its fate is known."""
        frame.fate = fate
        if fate is not Fate.DELIVERED:
            frame.delivered_s = math.nan

    def core(self, state: CoreState, start_s: float, length_s: float, uw: float, frame: Frame | None = None) -> None:
        """The core was not asleep."""
        self.state_s[_CORE[state]] += length_s
        self._spend(self._core_uj, start_s, length_s, uw - self.plan.sleep_uw)
        if start_s < self.draw_until_s:
            self.spans.append(Span("core", state, start_s, length_s, frame.index if frame else -1))

    def radio(
        self, state: RadioState, start_s: float, length_s: float, energy_uj: float, frame: Frame | None = None
    ) -> None:
        """The radio was not idle; `energy_uj` above idling is booked where it began."""
        self.state_s[_RADIO[state]] += length_s
        self._radio_uj[max(int(start_s), self._first_second)] += energy_uj
        if start_s < self.draw_until_s:
            self.spans.append(Span("radio", state, start_s, length_s, frame.index if frame else -1))

    def turn(self, start_s: float, turn: Turn, frame: Frame) -> None:
        """A data packet from `start_s` on, and what the other side said."""
        self.radio("tx", start_s, turn.data_s, turn.energy_uj, frame)
        self.state_s["radio_rx"] += turn.heard_s
        self.state_s["radio_ramp"] += turn.ramped_s

    def take_frames(self, all_of_them: bool) -> list[Frame]:
        """Frames in order whose fate is known, removed; at the end the rest too, as lost."""
        taken: list[Frame] = []
        while self._frames and (all_of_them or self._frames[0].fate is not None):
            frame = self._frames.popleft()
            if frame.fate is None:
                self.close(frame, Fate.LOST_ON_AIR)
            taken.append(frame)
        return taken

    def take_power(self, until_s: int) -> F64:
        """(seconds, parts) mean power in uW of each second since the last call, in the order of PARTS."""
        seconds = range(self._first_second, until_s)
        rows = np.empty((len(seconds), len(PARTS)))
        constant = self.plan.constant_uw
        for i, second in enumerate(seconds):
            core_uw = self.plan.sleep_uw + self.plan.dma_uw + self._core_uj.pop(second, 0.0)
            radio_uw = self.plan.link.idle_uw + self._radio_uj.pop(second, 0.0)
            rows[i] = constant["front_end"], constant["adc"], core_uw, radio_uw, constant["standing"]
        self._first_second = until_s
        return rows

    @staticmethod
    def _spend(uj: defaultdict[int, float], start_s: float, length_s: float, uw: float) -> None:
        """Book power over a stretch, second by second."""
        stop_s = start_s + length_s
        second = int(start_s)
        while second + 1 < stop_s:
            uj[second] += uw * (second + 1 - max(start_s, second))
            second += 1
        uj[second] += uw * (stop_s - max(start_s, second))
