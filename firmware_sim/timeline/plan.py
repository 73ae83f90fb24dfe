"""What a design does for every frame, in plain numbers: times in seconds, powers in microwatts.

Samples arrive by DMA into a ring; after each block of rows an interrupt lets the core take them in. The last block of a
frame ends with the decoder's step, and its output goes to the radio. Several blocks in a frame spread the front end's
work, so that less of it is left to do after the frame's last sample.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgebci.errors import InputError
from edgebci.firmware_sim.design import Design
from edgebci.firmware_sim.loads import adc_uw, front_end_uw, standing_uw
from edgebci.firmware_sim.radio_link import agreement, link_channel, link_timing
from edgebci.firmware_sim.radio_link_connection import Agreement
from edgebci.firmware_sim.radio_link_timing import LinkTiming
from edgebci.firmware_sim.radio_link_trace import BurstChannel
from edgebci.firmware_sim.uncertainty import Pick, typical

F64 = NDArray[np.float64]

BITS_PER_TRANSFER = 32


@dataclass(frozen=True, eq=False)
class TimelineSettings:
    """Choices of the firmware's author, and which end of the inputs' ranges is simulated.

    Fields:
        connection_interval_ms, skipped_events, supervision_ms: of a BLE connection; None as `radio_link.agreement`
            chooses.
        blocks_per_frame: interrupts in a frame, each with as many rows as the others or one fewer.
        ring_frames: frames of samples that the ring holds; what does not fit is lost.
        radio_messages: outputs that wait for the radio; the oldest goes when another comes.
        give_up_ms: age at which an acknowledged link gives an output up (BLE never does): that of the loop's budget.
        step_cycles: (n,) modelled cycles of real steps in order, as an emulator counted them, repeated as often as
            needed. None: drawn, with the load's mean and never above its worst.
        pick: which value of each range; `typical`, or one that takes low or high ends.
    """

    connection_interval_ms: float | None = None
    skipped_events: int | None = None
    supervision_ms: float | None = None
    blocks_per_frame: int = 1
    ring_frames: int = 2
    radio_messages: int = 16
    give_up_ms: float = 100.0
    step_cycles: F64 | None = None
    pick: Pick = typical


@dataclass(frozen=True, eq=False)
class Plan:
    """A design's frame.

    Fields:
        rate_hz: of samples. samples_per_frame: D. blocks_end: (B,) rows of a frame after each block.
        cycles_per_s: that the core gets done while DMA takes its share of the bus.
        front_end_share: of a frame's cycles, done block by block; the rest is the step at its end.
        mean_cycles, worst_cycles: real ones of a frame, interrupts left out. interrupt_cycles: of one.
        wake_s, wake_uw, run_uw, sleep_uw: the core's. dma_uw: while samples come in, always.
        constant_uw: front end, converter and standing parts.
        link, agreed, channel, packets: the radio's; packets holds the payload bits of each packet of an output.
        settings: as they were given.
    """

    rate_hz: float
    samples_per_frame: int
    blocks_end: tuple[int, ...]
    cycles_per_s: float
    front_end_share: float
    mean_cycles: float
    worst_cycles: float
    interrupt_cycles: float
    wake_s: float
    wake_uw: float
    run_uw: float
    sleep_uw: float
    dma_uw: float
    constant_uw: dict[str, float]
    link: LinkTiming
    agreed: Agreement | None
    channel: BurstChannel
    packets: tuple[float, ...]
    settings: TimelineSettings

    @property
    def period_s(self) -> float:
        """From frame to frame."""
        return self.samples_per_frame / self.rate_hz

    def cycles(self, first: int, n: int, rng: np.random.Generator) -> F64:
        """Real cycles of frames `first` to `first + n`, (n,).

        Drawn as worst * u^a, u even in 0 to 1: the one power whose mean is the load's and whose top is its worst.
        """
        given = self.settings.step_cycles
        if given is not None:
            return np.take(given, np.arange(first, first + n), mode="wrap")
        if self.mean_cycles == 0.0:
            return np.zeros(n)
        drawn: F64 = self.worst_cycles * rng.random(n) ** (self.worst_cycles / self.mean_cycles - 1.0)
        return drawn


def plan(design: Design, settings: TimelineSettings) -> Plan:
    """Turn a design into plain numbers.

    Raises:
        InputError: a setting is impossible, or the radio's standard does not allow its connection.
    """
    load, pick, waking = design.load, settings.pick, design.compute.waking
    samples = round(load.rate_hz / load.frame_rate_hz)
    _check(settings, samples)
    clock_hz = pick(design.compute.clock_mhz) * 1e6
    work = design.work.cycles_per_frame
    worst = load.worst_cycles_per_frame * (work / load.cycles_per_frame) if load.cycles_per_frame else work
    return Plan(
        rate_hz=load.rate_hz,
        samples_per_frame=samples,
        blocks_end=tuple(
            math.ceil((i + 1) * samples / settings.blocks_per_frame) for i in range(settings.blocks_per_frame)
        ),
        cycles_per_s=clock_hz - _stolen_per_s(design, pick),
        front_end_share=min(1.0, load.front_end_cycles_per_frame / work) if work else 0.0,
        mean_cycles=design.real_cycles(work, pick),
        worst_cycles=design.real_cycles(max(work, worst), pick),
        interrupt_cycles=pick(waking.interrupt_cycles) if waking else 0.0,
        wake_s=pick(waking.wake_up_us) * 1e-6 if waking else 0.0,
        wake_uw=pick(waking.wake_up_uw) if waking else 0.0,
        run_uw=pick(design.compute.clock_mhz) * pick(design.compute.active_pj_per_cycle),
        sleep_uw=pick(design.compute.sleep_uw),
        dma_uw=pick(waking.dma_uw) if waking else 0.0,
        constant_uw={
            "front_end": front_end_uw(design, pick),
            "adc": adc_uw(design, pick),
            "standing": standing_uw(design, pick),
        },
        link=link_timing(design.radio, pick),
        agreed=agreement(design, settings.connection_interval_ms, settings.skipped_events, settings.supervision_ms),
        channel=link_channel(design, pick),
        packets=tuple(link_timing(design.radio, pick).packets(design.work.payload_bits_per_frame)),
        settings=_real(settings, design),
    )


def _real(settings: TimelineSettings, design: Design) -> TimelineSettings:
    """Settings with cycles of steps as on silicon."""
    if settings.step_cycles is None:
        return settings
    factor = design.real_cycles(1.0, settings.pick)
    return replace(settings, step_cycles=np.asarray(settings.step_cycles, dtype=np.float64) * factor)


def _stolen_per_s(design: Design, pick: Pick) -> float:
    """Cycles a second that DMA takes from the core: samples of up to 16 bits come two in a transfer."""
    if design.compute.waking is None:
        return 0.0
    bits = 16 if design.implant.front_end.bits.high <= 16 else 32
    transfers_per_s = design.load.n_channels * design.load.rate_hz * bits / BITS_PER_TRANSFER
    return transfers_per_s * pick(design.compute.waking.dma_cycles_per_transfer)


def _check(settings: TimelineSettings, samples: int) -> None:
    if not 1 <= settings.blocks_per_frame <= samples:
        raise InputError(
            f"{settings.blocks_per_frame} blocks in a frame of {samples} samples; give 1 to {samples} blocks"
        )
    if settings.ring_frames < 1 or settings.radio_messages < 1:
        raise InputError(
            f"a ring of {settings.ring_frames} frames and {settings.radio_messages} waiting outputs; each is at least 1"
        )
    if settings.step_cycles is not None and len(settings.step_cycles) == 0:
        raise InputError("no cycles of steps are given; give those of one step at least, or none at all")
