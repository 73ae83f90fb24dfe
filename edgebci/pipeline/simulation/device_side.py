"""The device beside its signal: what the budget says of it, and its timeline over the same time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgebci.documents import Document
from edgebci.errors import InputError
from edgebci.firmware_sim.design import Design
from edgebci.firmware_sim.timeline.plan import TimelineSettings
from edgebci.firmware_sim.timeline.response import feature_delays
from edgebci.firmware_sim.timeline.simulation import TimelinePart, simulate_timeline
from edgebci.firmware_sim.timeline.summary import BUDGET_MS, TimelineSummary, TotalLag, total_lag
from edgebci.hardware import ComputePart, load_profile
from edgebci.pipeline.budget.answer import budget_of, design_of
from edgebci.pipeline.budget.order import BudgetOrder
from edgebci.pipeline.budget.report import BudgetReport
from edgebci.pipeline.simulation.emulated import device_cycles
from edgebci.pipeline.simulation.setting import Setting


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


@dataclass(frozen=True, eq=False)
class Device:
    """The device of a simulation: its report, and what the rest of the simulation takes from it.

    Fields:
        design: with the load of the emulated program, sending what is decoded.
        settings: of its timeline. arrived: (K,) frames whose output came within the loop's budget.
        note: why nothing was emulated, or None.
    """

    side: DeviceSide
    design: Design
    settings: TimelineSettings
    arrived: NDArray[np.bool_]
    note: str | None

    def picture(self, seed: int) -> str:
        """A few frames in time, as SVG."""
        # Only here: matplotlib takes half a second to load, and most simulations draw nothing.
        from edgebci.firmware_sim.timeline.figure import timeline_svg

        return timeline_svg(self.design, seed, settings=self.settings)


def device_side(setting: Setting, n_frames: int, library: Path) -> Device | None:
    """Emulate, ask the budget, and run the timeline for as long as the recording; None where no chip is named.

    `library` is the bundle's program compiled for this machine.

    Raises:
        InputError: only one of chip and radio is named, or the design is impossible.
    """
    order = setting.order
    if order.compute is None and order.radio is None and order.board is None and order.board_measured is None:
        return None
    if order.compute is None or order.radio is None:
        raise InputError(
            "power, latency and boards need a chip and a radio, one is missing; give --compute and --radio"
        )
    asked = BudgetOrder(
        implant=order.implant,
        compute=order.compute,
        radio=order.radio,
        decoder=order.bundle,
        board=order.board,
        board_measured=order.board_measured,
    )
    found = device_cycles(setting, asked, load_profile(ComputePart, order.compute), library)
    design = design_of(found.loaded.load, asked)
    settings = TimelineSettings(step_cycles=found.step_cycles)
    frame_hz = setting.bundle.manifest.features.frame_rate_hz
    timeline = simulate_timeline(design, max(math.ceil(n_frames / frame_hz), 1), setting.conditions.seed, settings)
    side = DeviceSide(
        budget=budget_of(found.loaded.load, asked, found.loaded),
        timeline=timeline.summary,
        features=_lags(setting),
    )
    return Device(side, design, settings, in_time(timeline)[:n_frames], found.note)


def in_time(timeline: TimelinePart) -> NDArray[np.bool_]:
    """(N,) frames that were delivered within the loop's budget after their last sample; later is no use to a loop."""
    late = np.nan_to_num(timeline.transport_s, nan=np.inf) > BUDGET_MS * 1e-3
    return ~timeline.lost & ~late


def _lags(setting: Setting) -> tuple[FeatureLag, ...]:
    lags = feature_delays(setting.bundle.manifest.features)
    return tuple(FeatureLag(kind=lag.kind, delay_ms=lag.delay_ms, settled_ms=lag.settled_ms) for lag in lags)
