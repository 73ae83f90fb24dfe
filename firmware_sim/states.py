"""Mean power by part and by what the part is doing: the same formulas as `power`, taken apart."""

from __future__ import annotations

from edgebci.firmware_sim.design import Design
from edgebci.firmware_sim.loads import PowerFormula, adc_uw, duty, front_end_uw, standing_uw
from edgebci.firmware_sim.radio import packets_per_s, payload_bits_per_s
from edgebci.firmware_sim.supply import rectifier_loss_uw, regulator_loss_uw
from edgebci.firmware_sim.uncertainty import Pick
from edgebci.hardware import Part


def running_uw(design: Design, pick: Pick) -> float:
    """The core while it runs."""
    return duty(design, pick) * pick(design.compute.clock_mhz) * pick(design.compute.active_pj_per_cycle)


def sleeping_uw(design: Design, pick: Pick) -> float:
    """The core while it waits for the next frame."""
    return (1.0 - duty(design, pick)) * pick(design.compute.sleep_uw)


def payload_uw(design: Design, pick: Pick) -> float:
    """The radio while it sends what the decoder gave."""
    return payload_bits_per_s(design) * pick(design.radio.energy_nj_per_bit) * 1e-3


def header_uw(design: Design, pick: Pick) -> float:
    """The radio while it sends what packets have around that."""
    bits_per_s = packets_per_s(design, pick) * pick(design.radio.overhead_bits_per_packet)
    return bits_per_s * pick(design.radio.energy_nj_per_bit) * 1e-3


def turning_uw(design: Design, pick: Pick) -> float:
    """The radio while it starts, turns round and listens for an acknowledgement."""
    return packets_per_s(design, pick) * pick(design.radio.energy_uj_per_packet)


def waiting_uw(design: Design, pick: Pick) -> float:
    """The radio between packets."""
    return pick(design.radio.idle_uw)


STATES: dict[tuple[Part, str], PowerFormula] = {
    ("front_end", "amplifying"): front_end_uw,
    ("adc", "converting"): adc_uw,
    ("compute", "running"): running_uw,
    ("compute", "asleep"): sleeping_uw,
    ("radio", "sending payload"): payload_uw,
    ("radio", "sending headers"): header_uw,
    ("radio", "starting, turning, listening"): turning_uw,
    ("radio", "idle"): waiting_uw,
    ("standing", "always on"): standing_uw,
    ("conversion", "regulator"): regulator_loss_uw,
    ("conversion", "rectifier and coil"): rectifier_loss_uw,
}
