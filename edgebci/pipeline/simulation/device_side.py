"""The device beside its signal: what the budget says of it, and its timeline over the same time."""

from __future__ import annotations

from edgebci.bundle import open_bundle
from edgebci.documents import Document
from edgebci.errors import InputError
from edgebci.firmware_sim.design import Design
from edgebci.firmware_sim.timeline.figure import timeline_svg
from edgebci.firmware_sim.timeline.response import feature_delays
from edgebci.firmware_sim.timeline.simulation import long_summary
from edgebci.firmware_sim.timeline.summary import TimelineSummary, TotalLag, total_lag
from edgebci.hardware import ComputePart, load_profile
from edgebci.pipeline.budget.answer import budget, design_of
from edgebci.pipeline.budget.load import load_of
from edgebci.pipeline.budget.order import BudgetOrder
from edgebci.pipeline.budget.report import BudgetReport
from edgebci.pipeline.simulation.order import SimulationOrder


class FeatureLag(Document):
    """How late a feature is, in ms after the sample that it answers to: the centroid and 90 % of its response."""

    kind: str
    delay_ms: float
    settled_ms: float


class DeviceSide(Document):
    """Power, heat and latency of the design, all modelled.

    lag: transport at its 99th percentile, and how late the decoded movement itself is, against 100 ms in all; None
    where no output arrived.
    """

    budget: BudgetReport
    timeline: TimelineSummary
    features: tuple[FeatureLag, ...]
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
    asked, design = _design(order, order.compute, order.radio)
    lags = feature_delays(open_bundle(order.bundle).manifest.features)
    return DeviceSide(
        budget=budget(asked),
        timeline=long_summary(design, max(round(seconds), 1), seed),
        features=tuple(FeatureLag(kind=lag.kind, delay_ms=lag.delay_ms, settled_ms=lag.settled_ms) for lag in lags),
    )


def timeline_picture(order: SimulationOrder, seed: int) -> str | None:
    """A few frames of the design in time, as SVG; None where no chip and radio are named."""
    if order.compute is None or order.radio is None:
        return None
    return timeline_svg(_design(order, order.compute, order.radio)[1], seed)


def _design(order: SimulationOrder, compute: str, radio: str) -> tuple[BudgetOrder, Design]:
    asked = BudgetOrder(implant=order.implant, compute=compute, radio=radio, decoder=order.bundle)
    return asked, design_of(load_of(asked, load_profile(ComputePart, compute)).load, asked)
