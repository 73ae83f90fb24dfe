"""R2 of the shipped decoder against one property of the front end, and the knee: where less begins to cost.

All other properties are the implant's, without events. A point is played only where the recording itself is clearly
better than the condition; otherwise it is refused with the reason. Even-Chen et al. 2020 (Nature Biomedical Engineering
4:984) found such knees for spikes and saved an order of magnitude of power on the way to them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edgebci.documents import Document
from edgebci.firmware_sim.electronics.channel_state import draw_channels
from edgebci.firmware_sim.electronics.conditions import Converter, FrontEndModel, SourceQuality
from edgebci.firmware_sim.electronics.noise import white_uv_per_rthz
from edgebci.firmware_sim.electronics.source import refusal
from edgebci.pipeline.simulation.order import SweepName

KNEE_LOSS = 0.01
"""R2 below the best of a line that is still called the same."""
BITS = (3, 4, 5, 6, 8, 10, 12)
FULL_SCALES_UV = (250.0, 1000.0, 4000.0)
NOISE_NV = (30.0, 60.0, 120.0, 250.0, 500.0, 1000.0, 2000.0)
CHANNEL_SHARES = (1.0, 0.75, 0.5, 0.35, 0.25, 0.125)


class SweepPoint(Document):
    """One condition: its place on the line, and R2 or why it was not computed."""

    line: str
    x: float
    r2: float | None
    clipped_share: float | None = None
    refused: str | None = None


class Knee(Document):
    """On one line, the least of x whose R2 is within 0.01 of the best, and so is everything that is better than it."""

    line: str
    x: float
    r2: float


class Sweep(Document):
    """R2 over one property."""

    name: str
    x_name: str
    better: Literal["more", "less"]
    """Which direction of x is the better front end."""
    points: tuple[SweepPoint, ...]
    knees: tuple[Knee, ...]


@dataclass(frozen=True)
class Planned:
    """A point before it is played; `model` is None where it is refused."""

    line: str
    x: float
    model: FrontEndModel
    refused: str | None


@dataclass(frozen=True)
class Plan:
    """A sweep before it is played."""

    name: SweepName
    x_name: str
    better: Literal["more", "less"]
    points: tuple[Planned, ...]


def planned(name: SweepName, model: FrontEndModel, n_channels: int, quality: SourceQuality) -> Plan:
    """Which points a sweep has, and which of them the recording can show."""
    base = model.model_copy(update={"events": ()})
    if name == "converter":
        return Plan(name, "bits", "more", tuple(_converters(base, quality)))
    if name == "noise":
        return Plan(name, "white noise of the amplifier (nV/√Hz)", "less", tuple(_noises(base, quality)))
    return Plan(name, "living channels", "more", tuple(_channels(base, n_channels)))


def swept(plan: Plan, r2: Sequence[float | None], clipped: Sequence[float | None]) -> Sweep:
    """The sweep with what its points gave, in their order."""
    points = tuple(
        SweepPoint(line=one.line, x=one.x, r2=value, clipped_share=share, refused=one.refused)
        for one, value, share in zip(plan.points, r2, clipped, strict=True)
    )
    return Sweep(
        name=plan.name, x_name=plan.x_name, better=plan.better, points=points, knees=knees(points, plan.better)
    )


def knees(points: Sequence[SweepPoint], better: Literal["more", "less"]) -> tuple[Knee, ...]:
    """The knee of each line whose two best front ends, at least, do the same."""
    found: list[Knee] = []
    for line in dict.fromkeys(point.line for point in points):
        xy = [(point.x, point.r2) for point in points if point.line == line and point.r2 is not None]
        xy.sort(reverse=better == "more")
        enough = max((r2 for _, r2 in xy), default=0.0) - KNEE_LOSS
        first_worse = next((i for i, (_, r2) in enumerate(xy) if r2 < enough), len(xy))
        # A line that falls from its first point on shows no level that less would keep.
        if first_worse > 1:
            x, r2 = xy[first_worse - 1]
            found.append(Knee(line=line, x=x, r2=r2))
    return tuple(found)


def _converters(base: FrontEndModel, quality: SourceQuality) -> Iterable[Planned]:
    scales_uv = sorted({*FULL_SCALES_UV, base.converter.full_scale_uv})
    for full_scale_uv, bits in itertools.product(scales_uv, BITS):
        # The effective bits of the implant's own converter say nothing about another one's: these are ideal.
        converter = Converter(bits=bits, full_scale_uv=full_scale_uv, jitter_us=base.converter.jitter_us)
        model = base.model_copy(update={"converter": converter})
        line = f"{full_scale_uv:g} µV full scale"
        yield Planned(line, bits, model, refusal(quality, step_uv=converter.step_uv))


def _noises(base: FrontEndModel, quality: SourceQuality) -> Iterable[Planned]:
    for noise_nv in NOISE_NV:
        amplifier = base.amplifier.model_copy(update={"noise_nv_per_rthz": noise_nv})
        model = base.model_copy(update={"amplifier": amplifier})
        together = 1000 * float(np.median(white_uv_per_rthz(model, draw_channels(model, 64))))
        yield Planned("amplifier", noise_nv, model, refusal(quality, noise_nv_per_rthz=together))


def _channels(base: FrontEndModel, n_channels: int) -> Iterable[Planned]:
    for share in CHANNEL_SHARES:
        aging = base.aging.model_copy(update={"dead_share": 1 - share})
        yield Planned("drawn at random", round(share * n_channels), base.model_copy(update={"aging": aging}), None)
