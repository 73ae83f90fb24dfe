"""Playing the points of a sweep: a few front ends at a time, each through the bundle's own C."""

from __future__ import annotations

from pathlib import Path

from edgebci.features.specification import Adc
from edgebci.firmware_sim.electronics.conditions import FrontEndModel, SourceQuality
from edgebci.pipeline.simulation.order import SimulationOrder
from edgebci.pipeline.simulation.playing import Degraded, Route, play
from edgebci.pipeline.simulation.sweeps import Plan, Sweep, planned, swept
from edgebci.pipeline.simulation.truth import Truth
from edgebci.progress import Progress, part
from edgebci.recordings import Recording

AT_ONCE = 4
"""Front ends that are played in one pass over the recording."""


def run_sweeps(
    order: SimulationOrder,
    recording: Recording,
    model: FrontEndModel,
    quality: SourceQuality,
    library: Path,
    truth: Truth,
    adc: Adc,
    progress: Progress,
) -> tuple[Sweep, ...]:
    """Play every sweep that was asked for."""
    n_channels = recording.info.n_channels
    plans = [planned(name, model, n_channels, quality) for name in order.sweeps]
    share = 1 / max(len(plans), 1)
    return tuple(
        _run(plan, order, recording, library, truth, adc, part(progress, i * share, (i + 1) * share))
        for i, plan in enumerate(plans)
    )


def _run(
    plan: Plan,
    order: SimulationOrder,
    recording: Recording,
    library: Path,
    truth: Truth,
    adc: Adc,
    progress: Progress,
) -> Sweep:
    info = recording.info
    shown = [i for i, point in enumerate(plan.points) if point.refused is None]
    r2: dict[int, float] = {}
    clipped: dict[int, float] = {}
    for first in range(0, len(shown), AT_ONCE):
        batch = shown[first : first + AT_ONCE]
        sources = {str(i): Degraded(plan.points[i].model, adc, info.n_channels, info.lfp_rate_hz) for i in batch}
        routes = {name: Route(name, library) for name in sources}
        bounds = first / len(shown), (first + len(batch)) / len(shown)
        played = play(recording, order.seconds, sources, routes, order.threads, part(progress, *bounds))
        for i in batch:
            r2[i] = truth.r2(played[str(i)])
            clipped[i] = sources[str(i)].clipped_share
    places = range(len(plan.points))
    return swept(plan, [r2.get(i) for i in places], [clipped.get(i) for i in places])
