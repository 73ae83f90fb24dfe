"""The device beside its signal: what the budget says of it, and its timeline over the same time."""

from __future__ import annotations

from edgebci.documents import Document
from edgebci.errors import InputError
from edgebci.firmware_sim.timeline.simulation import long_summary
from edgebci.firmware_sim.timeline.summary import TimelineSummary, TotalLag, total_lag
from edgebci.hardware import ComputePart, load_profile
from edgebci.pipeline.budget.answer import budget, design_of
from edgebci.pipeline.budget.load import load_of
from edgebci.pipeline.budget.order import BudgetOrder
from edgebci.pipeline.budget.report import BudgetReport
from edgebci.pipeline.simulation.order import SimulationOrder


class DeviceSide(Document):
    """Power, heat and latency of the design, all modelled.

    lag: transport at its 99th percentile, and how late the decoded movement itself is, against 100 ms in all; None
    where no output arrived.
    """

    budget: BudgetReport
    timeline: TimelineSummary
    lag: TotalLag | None = None

    def with_lag(self, effective_lag_ms: float) -> DeviceSide:
        """The same with the lag of the simulated recording."""
        return self.model_copy(update={"lag": total_lag(self.timeline, effective_lag_ms)})


def device_side(order: SimulationOrder, seconds: float, seed: int) -> DeviceSide | None:
    """Ask the budget, and run the timeline for as long as the recording; None where no chip and radio are named.

    Raises:
        InputError: only one of the two is named, or the design is impossible.
    """
    if order.compute is None and order.radio is None:
        return None
    if order.compute is None or order.radio is None:
        raise InputError(
            "power and latency need a chip and a radio, one of them is missing; give --compute and --radio"
        )
    asked = BudgetOrder(implant=order.implant, compute=order.compute, radio=order.radio, decoder=order.bundle)
    load = load_of(asked, load_profile(ComputePart, order.compute)).load
    summary = long_summary(design_of(load, asked), max(round(seconds), 1), seed)
    return DeviceSide(budget=budget(asked), timeline=summary)
