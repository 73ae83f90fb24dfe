"""Mean power of an implant by part, in uW. Channels and conversions in use are counted, not all that exist."""

from __future__ import annotations

from collections.abc import Callable

from edgebci.firmware_sim.design import Design
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
    cycles_per_s = design.work.cycles_per_frame * design.load.frame_rate_hz
    real_cycles_per_s = cycles_per_s * pick(design.compute.real_cycles_per_modelled_cycle)
    return min(1.0, real_cycles_per_s / (pick(design.compute.clock_mhz) * 1e6))


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


def total_uw(design: Design, pick: Pick) -> float:
    """What the battery gives or the coil receives: all loads over the efficiency of the supply."""
    efficiency = pick(design.implant.regulator_efficiency)
    if design.implant.link is not None:
        efficiency *= pick(design.implant.link.rectifier_efficiency)
    return sum(load(design, pick) for load in LOADS.values()) / efficiency


def conversion_uw(design: Design, pick: Pick) -> float:
    """What regulator and rectifier turn into heat."""
    return total_uw(design, pick) - sum(load(design, pick) for load in LOADS.values())


POWER: dict[Part, PowerFormula] = LOADS | {"conversion": conversion_uw}
