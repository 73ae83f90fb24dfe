"""Recharging as a scenario of its own: for some hours the charger's losses come on top of what the implant draws."""

from __future__ import annotations

from dataclasses import dataclass

from edgebci.firmware_sim.battery import recharge_h
from edgebci.firmware_sim.design import Design
from edgebci.firmware_sim.heat.implant import layered_rise_c_per_mw, rise_after_c_per_mw
from edgebci.firmware_sim.thermal import dissipated_uw
from edgebci.firmware_sim.uncertainty import Pick
from edgebci.hardware import HeatSource


@dataclass(frozen=True)
class Recharge:
    """From empty to full while the implant works on.

    Fields:
        source: name of the body that holds the charger. hours: how long it takes.
        lost_mw: what the charger turns into heat. working_c, charging_c: rise before, and at the end.
        settled_c: rise if it went on for ever.
    """

    source: str
    hours: float
    lost_mw: float
    working_c: float
    charging_c: float
    settled_c: float


def recharge_warmth(design: Design, pick: Pick) -> Recharge | None:
    """How warm recharging makes the body that holds the power conversion; None if the implant is not recharged, or its
    profile does not say at what power and efficiency.
    """
    battery = design.implant.battery
    if battery is None or battery.charge_mw is None or battery.charge_efficiency is None:
        return None
    name, source = _charger(design)
    lost_mw = pick(battery.charge_mw) * (1.0 - pick(battery.charge_efficiency))
    hours = recharge_h(battery, battery.charge_mw, pick)
    settled = layered_rise_c_per_mw(source, pick)
    working_c = dissipated_uw(design, source, pick) * 1e-3 * settled
    return Recharge(
        source=name,
        hours=hours,
        lost_mw=lost_mw,
        working_c=working_c,
        charging_c=working_c + lost_mw * rise_after_c_per_mw(source, 3600.0 * hours, pick),
        settled_c=working_c + lost_mw * settled,
    )


def _charger(design: Design) -> tuple[str, HeatSource]:
    return next(item for item in design.implant.heat_sources.items() if "conversion" in item[1].parts)
