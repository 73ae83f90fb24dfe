"""Published devices against the model: do their parts sum, is their total foreseen, does it scale.

bookkeeping   what a paper prints beside its total sums, or multiplies, to that total
forward       a device's total from parts that others published; its range holds 95 % of draws of the parts
scaling       each device of a family from a straight line through the others
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import numpy as np

from edgebci.documents import Document
from edgebci.firmware_sim.monte_carlo import spread
from edgebci.firmware_sim.uncertainty import Pick, typical
from edgebci.firmware_sim.validation.cases import Cases, Device, Family, Sum
from edgebci.hardware import Scope
from edgebci.quantity import Quantity

DRAWS, SEED = 4000, 6


class Bookkeeping(Document):
    """One total: what its parts give over what was printed."""

    case: str
    title: str
    kind: Literal["sum", "product", "battery"]
    ratio: float


class Forward(Document):
    """One device in uW: published, and predicted with its range. assumed_parts: no source was found for their range."""

    case: str
    title: str
    scope: Scope
    published_uw: float
    typical_uw: float
    low_uw: float
    high_uw: float
    assumed_parts: tuple[str, ...]

    @property
    def ratio(self) -> float:
        """Predicted over published."""
        return self.typical_uw / self.published_uw

    @property
    def inside(self) -> bool:
        """Whether the published total is inside the range."""
        return self.low_uw <= self.published_uw <= self.high_uw

    @property
    def width(self) -> float:
        """Upper end over lower end of the range."""
        return self.high_uw / self.low_uw


class Scaling(Document):
    """A family: by device, predicted over published, from the line through the others."""

    case: str
    title: str
    size: str
    ratios: dict[str, float]


def bookkeeping(cases: Cases) -> tuple[Bookkeeping, ...]:
    """Every total that has printed parts."""
    return tuple(
        Bookkeeping(case=name, title=case.title, kind=case.kind, ratio=_adds_up(case))
        for name, case in cases.sums.items()
    )


def _adds_up(case: Sum) -> float:
    values = [part.typical for part in case.parts.values()]
    return (sum(values) if case.kind == "sum" else math.prod(values)) / case.total.typical


def forward(cases: Cases) -> tuple[Forward, ...]:
    """Every device from parts that its own papers did not give."""
    return tuple(_foresee(name, device, cases) for name, device in cases.devices.items())


def _foresee(name: str, device: Device, cases: Cases) -> Forward:
    costs = {part.component: cases.components[part.component].power_uw(device.papers) for part in device.parts}
    counted = [(part.count, costs[part.component]) for part in device.parts]
    total = total_formula(counted, device.efficiency)
    drawn = spread(total, "uW", draws=DRAWS, seed=SEED)
    return Forward(
        case=name,
        title=device.title,
        scope=device.scope,
        published_uw=device.published_uw.typical,
        typical_uw=total(typical),
        low_uw=drawn.p2_5,
        high_uw=drawn.p97_5,
        assumed_parts=tuple(name for name, cost in costs.items() if cost.evidence_class == "assumed"),
    )


def total_formula(parts: list[tuple[Quantity, Quantity]], efficiency: Quantity | None) -> Callable[[Pick], float]:
    """Sum of count x power over the efficiency of the supply, as a formula over picks, in uW."""

    def total(pick: Pick) -> float:
        load_uw = sum(pick(count) * pick(power) for count, power in parts)
        return load_uw / pick(efficiency) if efficiency is not None else load_uw

    return total


def scaling(cases: Cases) -> tuple[Scaling, ...]:
    """Every family, each of its devices held out once."""
    return tuple(
        Scaling(case=name, title=family.title, size=family.size, ratios=_held_out(family))
        for name, family in cases.families.items()
    )


def _held_out(family: Family) -> dict[str, float]:
    sizes = {name: member.size.typical for name, member in family.devices.items()}
    powers = {name: member.power_uw.typical for name, member in family.devices.items()}
    ratios = {}
    for name in family.devices:
        others = [other for other in family.devices if other != name]
        slope, fixed = np.polyfit([sizes[other] for other in others], [powers[other] for other in others], 1)
        ratios[name] = float((fixed + slope * sizes[name]) / powers[name])
    return ratios
