"""Holding a design against limits: what each limit bounds, over the whole range of the inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from edgebci.documents import Document
from edgebci.errors import InputError
from edgebci.firmware_sim.battery import design_runtime_h
from edgebci.firmware_sim.design import Design
from edgebci.firmware_sim.implant_report import Verdict
from edgebci.firmware_sim.latency import deadline_ms, step_ms
from edgebci.firmware_sim.power import total_uw
from edgebci.firmware_sim.radio import utilization
from edgebci.firmware_sim.thermal import Warmed, warmed
from edgebci.firmware_sim.uncertainty import Estimate, Pick, estimate

LimitName = Literal[
    "temperature_rise_c", "power_mw", "step_ms", "battery_h", "radio_utilization", "flash_bytes", "ram_bytes"
]
UNITS: dict[LimitName, str] = {
    "temperature_rise_c": "C",
    "power_mw": "mW",
    "step_ms": "ms",
    "battery_h": "h",
    "radio_utilization": "1",
    "flash_bytes": "byte",
    "ram_bytes": "byte",
}


class LimitCheck(Document):
    """One limit, what the design does there, and whether it is kept."""

    name: LimitName
    where: str
    """The heat source; empty for what belongs to the whole design."""
    limit: float
    asked: bool
    """Whether the user asked for it; else it is the profile's, or the frame's."""
    result: Estimate
    kept: Verdict


@dataclass(frozen=True)
class Bound:
    """A formula that must not exceed a limit, or must reach it where `at_least`."""

    name: LimitName
    formula: Callable[[Design, Pick], float]
    limit: float
    where: str = ""
    at_least: bool = False
    asked: bool = False

    def check(self, design: Design) -> LimitCheck:
        """Compute the formula over the ranges of its inputs."""
        names = design.input_names()
        result = estimate(lambda pick: self.formula(design, pick), UNITS[self.name], names)
        return LimitCheck(
            name=self.name,
            where=self.where,
            limit=self.limit,
            asked=self.asked,
            result=result,
            kept=verdict(result, self.limit, self.at_least),
        )


def verdict(result: Estimate, limit: float, at_least: bool = False) -> Verdict:
    """Whether a limit is kept over the whole range, nowhere in it, or in part of it."""
    good, bad = (result.low >= limit, result.high < limit) if at_least else (result.high <= limit, result.low > limit)
    return "yes" if good else "no" if bad else "depends"


def overall(checks: tuple[LimitCheck, ...]) -> Verdict:
    """Of all limits together."""
    verdicts = {check.kept for check in checks}
    return "no" if "no" in verdicts else "depends" if "depends" in verdicts else "yes"


def bounds(design: Design, asked: dict[LimitName, float], years: float = 0.0) -> tuple[Bound, ...]:
    """What the design must keep: frame, link, tissue, memory and coil, and what was asked for in place of or beside.
    A battery has been in use for so many `years`.

    Raises:
        InputError: hours of a battery were asked of an implant without one.
    """
    own = [_heat(place, asked) for place in warmed(design)]
    own.append(_simple("step_ms", step_ms, deadline_ms(design), asked))
    own.append(_simple("radio_utilization", utilization, 1.0, asked))
    own.append(_simple("flash_bytes", lambda d, _: float(d.load.flash_bytes), design.compute.flash_bytes.low, asked))
    own.append(_simple("ram_bytes", lambda d, _: float(d.load.ram_bytes), design.compute.ram_bytes.low, asked))
    if design.implant.link is not None and design.implant.link.received_mw is not None:
        most_mw = design.implant.link.received_mw.low
        own.append(Bound("power_mw", lambda d, pick: total_uw(d, pick) * 1e-3, most_mw, where="the coil"))
    if "power_mw" in asked:
        own.append(Bound("power_mw", lambda d, pick: total_uw(d, pick) * 1e-3, asked["power_mw"], asked=True))
    if "battery_h" in asked:
        own.append(_battery(design, asked["battery_h"], years))
    return tuple(own)


def _simple(
    name: LimitName, formula: Callable[[Design, Pick], float], own: float, asked: dict[LimitName, float]
) -> Bound:
    """What was asked for may be stricter than the own limit, never looser."""
    return Bound(name, formula, min(own, asked.get(name, own)), asked=asked.get(name, own) < own)


def _heat(place: Warmed, asked: dict[LimitName, float]) -> Bound:
    own_c, asked_c = place.limit_c, asked.get("temperature_rise_c")
    if asked_c is None or (place.inner and asked_c >= own_c):
        return Bound("temperature_rise_c", place.rise_c, own_c, where=place.where)
    return Bound("temperature_rise_c", place.rise_c, asked_c, where=place.where, asked=True)


def _battery(design: Design, hours: float, years: float) -> Bound:
    battery = design.implant.battery
    if battery is None:
        raise InputError(
            f"{design.implant.name} has no battery, so battery_h cannot be kept; "
            "take the limit away or choose an implant with a battery"
        )
    return Bound(
        "battery_h", lambda d, pick: design_runtime_h(d, battery, pick, years), hours, at_least=True, asked=True
    )
