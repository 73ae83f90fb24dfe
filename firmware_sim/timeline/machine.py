"""The device as processes that wait for each other (simpy): samples, core, radio. One event per block and packet.

samples --block--> ring --interrupt--> core --output--> queue --packets--> radio --> delivered or lost
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Generator
from typing import Any

import numpy as np
import simpy

from edgebci.firmware_sim.radio_link_timing import (
    MAY_BREAK_IN_A_ROW,
    Turn,
    begin_uj,
    empty_exchange_uj,
    turn_of,
)
from edgebci.firmware_sim.radio_link_trace import BadTimes
from edgebci.firmware_sim.timeline.plan import Plan
from edgebci.firmware_sim.timeline.records import Fate, Frame, Records

Steps = Generator[simpy.Event, Any, None]


class Device:
    """One device that runs; `records` holds what happened since they were last taken."""

    def __init__(self, plan: Plan, records: Records, n_frames: int, seeds: np.random.SeedSequence) -> None:
        cycles_seed, channel_seed, phase_seed = seeds.spawn(3)
        self.env = simpy.Environment()
        self.plan, self.records = plan, records
        self._n_frames = n_frames
        self._cycles = np.random.default_rng(cycles_seed)
        self._channel = BadTimes(plan.channel, np.random.default_rng(channel_seed))
        self._phase = np.random.default_rng(phase_seed)
        self._ring: deque[tuple[Frame, float, bool]] = deque()
        self._outputs: deque[Frame] = deque()
        self._core_asleep: simpy.Event | None = None
        self._radio_asleep: simpy.Event | None = None
        self._turns = tuple(turn_of(plan.link, bits) for bits in plan.packets)
        self.env.process(self._sample())
        self.env.process(self._compute())
        radio = {"ble": self._ble, "acknowledged": self._acknowledged, "one_way": self._one_way}[plan.link.turns]
        self.env.process(radio())

    def _sample(self) -> Steps:
        """Fill the ring block by block."""
        plan, env, blocks = self.plan, self.env, self.plan.blocks_end
        cycles = np.zeros(0)
        for index in range(self._n_frames):
            if index % 4096 == 0:
                cycles = plan.cycles(index, min(4096, self._n_frames - index), self._cycles)
            total = float(cycles[index % 4096])
            share = plan.front_end_share / len(blocks)
            frame = self.records.open(index, ((index + 1) * plan.samples_per_frame - 1) / plan.rate_hz)
            for i, rows in enumerate(blocks):
                last = i == len(blocks) - 1
                moment = (index * plan.samples_per_frame + rows - 1) / plan.rate_hz
                yield env.timeout(max(0.0, moment - env.now))
                work = total * (share + (1.0 - plan.front_end_share if last else 0.0)) + plan.interrupt_cycles
                self._take(frame, work, last)

    def _take(self, frame: Frame, cycles: float, last: bool) -> None:
        """Put a block into the ring, unless the core is so far behind that it is full: then the frame is lost."""
        if len(self._ring) >= self.plan.settings.ring_frames * len(self.plan.blocks_end):
            frame.spoiled = True
        if frame.spoiled:
            if last:
                self.records.close(frame, Fate.OVERRUN)
            return
        self._ring.append((frame, cycles, last))
        if self._core_asleep is not None:
            self._core_asleep.succeed()
            self._core_asleep = None

    def _compute(self) -> Steps:
        """Take blocks in; sleep when there are none."""
        env, plan, records = self.env, self.plan, self.records
        while True:
            if not self._ring:
                self._core_asleep = env.event()
                yield self._core_asleep
                if plan.wake_s:
                    records.core("wake", env.now, plan.wake_s, plan.wake_uw)
                    yield env.timeout(plan.wake_s)
            frame, cycles, last = self._ring.popleft()
            run_s = cycles / plan.cycles_per_s
            records.core("run", env.now, run_s, plan.run_uw, frame)
            yield env.timeout(run_s)
            if last and not frame.spoiled:
                frame.decoded_s = env.now
                self._send(frame)

    def _send(self, frame: Frame) -> None:
        if not self.plan.packets:
            frame.delivered_s = self.env.now
            self.records.close(frame, Fate.DELIVERED)
            return
        if len(self._outputs) >= self.plan.settings.radio_messages:
            self.records.close(self._outputs.popleft(), Fate.QUEUE_FULL)
        self._outputs.append(frame)
        if self._radio_asleep is not None:
            self._radio_asleep.succeed()
            self._radio_asleep = None

    def _something_to_say(self) -> Steps:
        while not self._outputs:
            self._radio_asleep = self.env.event()
            yield self._radio_asleep

    def _one_way(self) -> Steps:
        """Send each packet once, and hope."""
        env, link = self.env, self.plan.link
        while True:
            yield from self._something_to_say()
            frame = self._outputs.popleft()
            self.records.radio("ramp", env.now, link.ramp_us * 1e-6, begin_uj(link, 0.0))
            yield env.timeout(link.ramp_us * 1e-6)
            arrived = True
            for turn in self._turns:
                arrived &= not self._channel.loses(env.now)
                self.records.radio("tx", env.now, turn.data_s, turn.energy_uj, frame)
                yield env.timeout(turn.data_s)
            frame.delivered_s = env.now
            self.records.close(frame, Fate.DELIVERED if arrived else Fate.LOST_ON_AIR)

    def _acknowledged(self) -> Steps:
        """Repeat each packet until it is answered or its output is too old."""
        env = self.env
        while True:
            yield from self._something_to_say()
            frame = self._outputs.popleft()
            left = deque(self._turns)
            latest_s = frame.last_sample_s + self.plan.settings.give_up_ms * 1e-3
            while left and env.now < latest_s:
                turn = left[0]
                if not self._turn(frame, turn, env.now):
                    left.popleft()
                yield env.timeout(turn.length_s)
            self.records.close(frame, Fate.LOST_ON_AIR if left else Fate.DELIVERED)

    def _turn(self, frame: Frame, turn: Turn, start_s: float) -> bool:
        """Send one packet and hear its answer, or the poll before it; True if it is lost."""
        sent_s = start_s + turn.data_after_s
        lost = self._channel.loses(sent_s)
        self.records.turn(sent_s, turn, frame)
        if not lost:
            frame.delivered_s = sent_s + turn.data_s
        return lost

    def _ble(self) -> Steps:
        """Talk in connection events, which the other side begins; repeat what was broken in this event or the next."""
        agreed, env = self.plan.agreed, self.env
        if agreed is None:
            return
        drift = 1.0 + self.plan.link.clock_error * float(self._phase.uniform(-1.0, 1.0))
        interval_s = agreed.interval_ms * 1e-3 * drift
        phase_s = float(self._phase.uniform(0.0, interval_s))
        kept, heard_s = -1, 0.0
        while True:
            yield from self._something_to_say()
            event = max(kept + 1, math.ceil((env.now - phase_s) / interval_s))
            yield env.timeout(max(0.0, phase_s + event * interval_s - env.now))
            empty = self._empty_events(kept, event, phase_s, interval_s)
            heard_s = phase_s + (kept + empty) * interval_s if empty else heard_s
            self._begin(event - kept, interval_s)
            kept = event
            if self._channel.loses(env.now):
                if env.now - heard_s > agreed.supervision_ms * 1e-3:
                    self._disconnect()
                    heard_s = env.now
                continue
            heard_s = env.now
            yield from self._event(phase_s + (event + 1) * interval_s)

    def _event(self, until_s: float) -> Steps:
        """Send packets until nothing is left, the next event is due, or two in a row broke.

        Time passes at once over all packets between which nothing else happens in the device.
        """
        env, now_s, broken = self.env, self.env.now, 0
        while self._outputs and broken < MAY_BREAK_IN_A_ROW:
            frame = self._outputs[0]
            turn = self._turns[frame.packets_arrived]
            if now_s + turn.length_s > until_s:
                break
            lost = self._turn(frame, turn, now_s)
            broken = broken + 1 if lost else 0
            frame.packets_arrived += not lost
            now_s += turn.length_s
            if env.peek() <= now_s:
                yield env.timeout(now_s - env.now)
            if frame.packets_arrived == len(self._turns) and frame.fate is None:
                self._outputs.remove(frame)
                self.records.close(frame, Fate.DELIVERED)
        if now_s > env.now:
            yield env.timeout(now_s - env.now)

    def _begin(self, events: int, interval_s: float) -> None:
        """Open the window for an event that comes `events` after the last that was kept."""
        link = self.plan.link
        since = min(events, 1 + self.plan.agreed.skipped_events if self.plan.agreed else events)
        window_s = since * interval_s * link.clock_error
        self.records.radio("rx", self.env.now, window_s, begin_uj(link, since * interval_s * 1e6))

    def _empty_events(self, kept: int, event: int, phase_s: float, interval_s: float) -> int:
        """Count the events that the implant kept without having anything to say; returns the last one's distance."""
        link, agreed = self.plan.link, self.plan.agreed
        every = 1 + agreed.skipped_events if agreed else 1
        number = max(0, (event - kept - 1) // every)
        for i in range(1, number + 1):
            moment_s = phase_s + (kept + i * every) * interval_s
            energy_uj = begin_uj(link, every * interval_s * 1e6) + empty_exchange_uj(link)
            self.records.radio("rx", moment_s, 2.0 * link.empty_us * 1e-6, energy_uj)
        return number * every

    def _disconnect(self) -> None:
        """The other side was silent for too long: what waits is lost, and the connection begins anew."""
        self.records.disconnections += 1
        while self._outputs:
            self.records.close(self._outputs.popleft(), Fate.LOST_ON_AIR)
