"""What each part of an implant draws at its own supply pin, in uW. Channels and conversions in use are counted, not all
that exist.
"""

from __future__ import annotations

from collections.abc import Callable

from edgebci.firmware_sim.design import Design
from edgebci.firmware_sim.expressions import least
from edgebci.firmware_sim.radio import radio_uw
from edgebci.firmware_sim.uncertainty import Pick
from edgebci.hardware import Part

PowerFormula = Callable[[Design, Pick], float]


def front_end_uw(design: Design, pick: Pick) -> float:
    """Amplifiers of the channels that the decoder reads."""
    return design.load.n_channels * pick(design.implant.front_end.amplifier_uw_per_channel)


def adc_uw(design: Design, pick: Pick) -> float:
    """One conversion for each sample of each channel."""
    samples_per_s = design.load.n_channels * design.load.rate_hz
    return samples_per_s * pick(design.implant.front_end.adc_pj_per_sample) * 1e-6


def duty(design: Design, pick: Pick) -> float:
    """Share of the time in which the core runs, at most 1."""
    real_cycles_per_s = design.real_cycles(design.work.cycles_per_frame, pick) * design.load.frame_rate_hz
    return least(1.0, real_cycles_per_s / (pick(design.compute.clock_mhz) * 1e6))


def compute_uw(design: Design, pick: Pick) -> float:
    """The core running for its duty, asleep for the rest. Stall cycles cost what others cost: the energy of a cycle
    was measured over all clock cycles of a run.
    """
    running = duty(design, pick)
    active_uw = pick(design.compute.clock_mhz) * pick(design.compute.active_pj_per_cycle)
    return running * active_uw + (1.0 - running) * pick(design.compute.sleep_uw)


def standing_uw(design: Design, pick: Pick) -> float:
    """Clocks, references and control that never rest."""
    return pick(design.implant.standing_uw)


LOADS: dict[Part, PowerFormula] = {
    "front_end": front_end_uw,
    "adc": adc_uw,
    "compute": compute_uw,
    "radio": radio_uw,
    "standing": standing_uw,
}


def loads_uw(design: Design, pick: Pick) -> float:
    """All of them."""
    return sum((load(design, pick) for load in LOADS.values()), 0.0)
