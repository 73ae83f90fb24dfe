"""What `edgebci budget` answers: a model ready for JSON. Every figure in it is modelled."""

from __future__ import annotations

from typing import Literal

from edgebci.documents import Document
from edgebci.firmware_sim.board_estimate import BoardStep
from edgebci.firmware_sim.heat.report import SourceHeat
from edgebci.firmware_sim.implant_report import ImplantReport, Verdict
from edgebci.firmware_sim.limits import LimitCheck
from edgebci.firmware_sim.monte_carlo import Spread
from edgebci.firmware_sim.uncertainty import Estimate
from edgebci.hardware import Part
from edgebci.pipeline.budget.counts import Counts
from edgebci.pipeline.budget.order import Sent


class StatePower(Document):
    """Mean power that one part spends on one of the things that it does."""

    part: Part
    state: str
    power: Estimate


class SupplyReport(Document):
    """What becomes of the power on its way; None where the profile says nothing of it."""

    efficiency: Estimate
    received_mw: Estimate | None = None
    """What the coil can receive at most."""
    battery_h: Estimate | None = None
    recharge_h: Estimate | None = None
    peak_mw: Estimate | None = None
    """Radio sending while the core runs."""
    lowest_v: Estimate | None = None
    """Of the battery under that pulse."""
    cutoff_v: float | None = None


class BudgetReport(Document):
    """A decoder in an implant. `report` begins with the inputs that no public source supports."""

    schema_version: Literal["edgebci.budget/1"] = "edgebci.budget/1"
    report: ImplantReport
    decoder: str
    cycles_from: str
    """Counts times costs, an emulated run, or as given."""
    counts: Counts | None
    sent: Sent
    clock_mhz: float
    fits: Verdict
    limits: tuple[LimitCheck, ...]
    states: tuple[StatePower, ...]
    supply: SupplyReport
    link: tuple[str, ...]
    """What speaks against the link at typical figures: speed, margin, law."""
    total_mw: Spread
    rise_c: dict[str, Spread]
    """By heat source."""
    heat: tuple[SourceHeat, ...]
    boards: tuple[BoardStep, ...] = ()
    """The decoder on a board outside, in each of its power modes; no verdict rests on an estimate."""
