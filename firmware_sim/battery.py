"""How long a battery runs a design, how far its voltage falls under a pulse, and how long it takes to charge."""

from __future__ import annotations

import math

from edgebci.firmware_sim.design import Design
from edgebci.firmware_sim.supply import of_loads_uw, total_uw
from edgebci.firmware_sim.uncertainty import Pick
from edgebci.hardware import Battery
from edgebci.quantity import Quantity


def _or_zero(quantity: Quantity | None, pick: Pick) -> float:
    return 0.0 if quantity is None else pick(quantity)


def capacity_mwh(battery: Battery, pick: Pick, years: float = 0.0) -> float:
    """Energy from full charge to the end of the usable range, after `years` of use; fade is compounded."""
    kept = math.pow(1.0 - _or_zero(battery.fade_share_per_year, pick), years)
    return pick(battery.energy_mwh) * pick(battery.usable_share) * kept


def runtime_h(battery: Battery, load_uw: float, pick: Pick, years: float = 0.0) -> float:
    """Hours from full charge to the end of the usable range, self-discharge included where the profile has it."""
    drain_uw = load_uw + _or_zero(battery.self_discharge_uw, pick)
    return capacity_mwh(battery, pick, years) / (drain_uw * 1e-3)


def design_runtime_h(design: Design, battery: Battery, pick: Pick, years: float = 0.0) -> float:
    """Hours for which `battery` runs the whole design."""
    return runtime_h(battery, total_uw(design, pick), pick, years)


def recharge_h(battery: Battery, charge_mw: Quantity, pick: Pick, years: float = 0.0) -> float:
    """Hours from the end of the usable range to full, at rest."""
    kept = 1.0 if battery.charge_efficiency is None else pick(battery.charge_efficiency)
    return capacity_mwh(battery, pick, years) / (pick(charge_mw) * kept)


def peak_uw(design: Design, transmit: Quantity, pick: Pick) -> float:
    """What the battery gives while the radio sends and the core runs, all else as ever."""
    core_uw = pick(design.compute.clock_mhz) * pick(design.compute.active_pj_per_cycle)
    front_uw = design.load.n_channels * pick(design.implant.front_end.amplifier_uw_per_channel)
    adc_uw = design.load.n_channels * design.load.rate_hz * pick(design.implant.front_end.adc_pj_per_sample) * 1e-6
    return of_loads_uw(design, front_uw + adc_uw + core_uw + pick(transmit) + pick(design.implant.standing_uw), pick)


def droop_v(power_uw: float, nominal: Quantity, resistance: Quantity, pick: Pick) -> float:
    """Fall of the voltage while the battery gives `power_uw`; its current is taken as that at nominal voltage."""
    return power_uw * 1e-6 / pick(nominal) * pick(resistance)
