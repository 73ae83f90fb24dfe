"""`edgebci budget --solve`: the largest design that keeps every limit at the worst corner, and which limit stops it.

Each limit is solved alone, by bisection: the smallest of the answers is the design, its limit binds, and the limit of
the next larger answer is the next. The implant's own channels, rate and bits do not stop the search; going beyond them
is said. For clocks, each that the chip has is tried.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, get_args

from edgebci.documents import Document, nearest
from edgebci.errors import InputError
from edgebci.firmware_sim.design import Design
from edgebci.firmware_sim.limits import Bound, LimitCheck, LimitName, bounds
from edgebci.hardware import ComputePart, clocks, load_profile
from edgebci.pipeline.budget.answer import parts_of, work_of
from edgebci.pipeline.budget.counts import Counts
from edgebci.pipeline.budget.cycle_costs import CoreCosts, costs_on
from edgebci.pipeline.budget.load import counts_for, load_by_costs
from edgebci.pipeline.budget.order import BudgetOrder
from edgebci.quantity import Quantity

Unknown = Literal["channels", "rate_hz", "bits", "clock_hz"]
UNKNOWNS: tuple[Unknown, ...] = get_args(Unknown)
_MOST = {"channels": 1_000_000, "rate_hz": 1_000_000, "bits": 24}
"""Where the search ends: channels, samples of a frame, bits."""


class SolvedLimit(Document):
    """How large the design may be for one limit alone.

    largest: None where not even the smallest design keeps it. bounded: whether it stops the search at all.
    """

    name: LimitName
    where: str
    limit: float
    asked: bool
    largest: float | None
    bounded: bool


class Solution(Document):
    """The largest design that keeps every limit over the whole range of the inputs."""

    schema_version: Literal["edgebci.budget_solution/1"] = "edgebci.budget_solution/1"
    unknown: Unknown
    largest: float | None
    """None: no design keeps all limits."""
    binding: str | None
    next: str | None
    next_largest: float | None
    """How large it could be if the binding limit were gone."""
    own: float
    """What the implant or chip of the profile has."""
    beyond_own: bool
    limits: tuple[SolvedLimit, ...]
    checks: tuple[LimitCheck, ...]
    """At the solution."""


def parse_unknown(text: str) -> Unknown:
    """Read what is to be solved for; raises InputError where there is no such thing."""
    for known in UNKNOWNS:
        if known == text:
            return known
    raise InputError(f"cannot solve for {text!r}; {nearest(text, list(UNKNOWNS))}")


@dataclass(frozen=True)
class _Family:
    """Designs that differ in one thing; `at` builds the one of a size."""

    at: Callable[[int], Design]
    sizes: tuple[int, int]
    to_value: Callable[[int], float]
    own: float


def solve(order: BudgetOrder, unknown: Unknown) -> Solution:
    """Find the largest design.

    Raises:
        InputError: as `budget`.
    """
    counts, costs = counts_for(order), costs_on(load_profile(ComputePart, order.compute).core)
    if unknown == "clock_hz":
        return _clock(order, counts, costs)
    return _bisected(order, unknown, _family(order, unknown, counts, costs))


def _design(order: BudgetOrder, counts: Counts, costs: CoreCosts, clock_mhz: float | None = None) -> Design:
    """As in a budget, and larger than the implant's own array where asked."""
    if clock_mhz is not None:
        order = order.model_copy(update={"clock_mhz": clock_mhz})
    design = parts_of(order, load_by_costs(counts, load_profile(ComputePart, order.compute), costs))
    return design.doing(work_of(design, order))


def _family(order: BudgetOrder, unknown: Unknown, counts: Counts, costs: CoreCosts) -> _Family:
    base = _design(order, counts, costs)
    front_end = base.implant.front_end

    def resized(sized: Counts) -> Design:
        design = replace(base, load=load_by_costs(sized, base.compute, costs))
        return design.doing(work_of(design, order))

    def with_bits(bits: int) -> Design:
        implant = base.implant.model_copy(update={"front_end": front_end.model_copy(update=_converter(base, bits))})
        design = replace(base, implant=implant)
        return design.doing(work_of(design, order))

    if unknown == "channels":
        own = front_end.channels.typical
        return _Family(lambda n: resized(counts.with_channels(n)), (1, _MOST["channels"]), float, own)
    if unknown == "rate_hz":
        frame_rate_hz = counts.frame_rate_hz

        def at_rate(samples: int) -> Design:
            return resized(counts.model_copy(update={"rate_hz": samples * frame_rate_hz}))

        return _Family(
            at_rate, (1, _MOST["rate_hz"]), lambda samples: samples * frame_rate_hz, front_end.max_rate_hz.typical
        )
    return _Family(with_bits, (1, _MOST["bits"]), float, front_end.bits.typical)


def _converter(design: Design, bits: int) -> dict[str, Quantity]:
    """A converter of other bits: each doubles the energy of a conversion (Walden)."""
    front_end = design.implant.front_end
    finer = math.exp2(bits - front_end.bits.typical)
    energy = front_end.adc_pj_per_sample
    scaled = {end: getattr(energy, end) * finer for end in ("low", "typical", "high")}
    same = dict.fromkeys(("low", "typical", "high"), float(bits))
    return {"bits": front_end.bits.model_copy(update=same), "adc_pj_per_sample": energy.model_copy(update=scaled)}


def _bisected(order: BudgetOrder, unknown: Unknown, family: _Family) -> Solution:
    asked = {one.name: one.value for one in order.limits}
    low, high = family.sizes
    sizes = [
        (bound, _largest(lambda size, k=k: _kept(family.at(size), asked, order.years, k), low, high))  # type: ignore[misc]
        for k, bound in enumerate(bounds(family.at(low), asked, order.years))
    ]
    limits = tuple(_solved(bound, size, family) for bound, size in sizes)
    ranked = sorted(limits, key=lambda one: -1.0 if one.largest is None else one.largest)
    first, second = ranked[0], ranked[1]
    largest = first.largest
    smallest = min(low - 1 if size is None else size for _, size in sizes)
    placed = family.at(max(low, smallest))
    return Solution(
        unknown=unknown,
        largest=largest,
        binding=_label(first) if first.bounded else None,
        next=_label(second) if second.bounded else None,
        next_largest=second.largest if second.bounded else None,
        own=family.own,
        beyond_own=largest is not None and largest > family.own,
        limits=limits,
        checks=tuple(bound.check(placed) for bound in bounds(placed, asked, order.years)),
    )


def _kept(design: Design, asked: dict[LimitName, float], years: float, k: int) -> bool:
    """Whether the k-th limit of the design is surely kept."""
    return bounds(design, asked, years)[k].check(design).kept == "yes"


def _largest(kept: Callable[[int], bool], low: int, high: int) -> int | None:
    """The largest size in [low, high] that is kept, larger ones being harder; None where `low` is not."""
    if not kept(low):
        return None
    good, bad = low, min(2 * low, high)
    while bad < high and kept(bad):
        good, bad = bad, min(2 * bad, high)
    if bad == high and kept(high):
        return high
    while bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (middle, bad) if kept(middle) else (good, middle)
    return good


def _solved(bound: Bound, size: int | None, family: _Family) -> SolvedLimit:
    return SolvedLimit(
        name=bound.name,
        where=bound.where,
        limit=bound.limit,
        asked=bound.asked,
        largest=None if size is None else family.to_value(size),
        bounded=size != family.sizes[1],
    )


def _label(limit: SolvedLimit | LimitCheck) -> str:
    return f"{limit.name} of {limit.where}" if limit.where else limit.name


def _clock(order: BudgetOrder, counts: Counts, costs: CoreCosts) -> Solution:
    """Try each clock: a slower one may miss the frame, a faster one may need more voltage and so more heat."""
    asked = {one.name: one.value for one in order.limits}
    have = clocks(load_profile(ComputePart, order.compute))
    designs = [_design(order, counts, costs, clock) for clock in have]
    checks = [tuple(bound.check(design) for bound in bounds(design, asked, order.years)) for design in designs]
    kept = [all(check.kept == "yes" for check in of_clock) for of_clock in checks]
    best = max((k for k, good in enumerate(kept) if good), default=None)
    broken = [_label(c) for c in checks[-1 if best is None else min(best + 1, len(have) - 1)] if c.kept != "yes"]
    limits = tuple(
        SolvedLimit(
            name=one.name,
            where=one.where,
            limit=one.limit,
            asked=one.asked,
            largest=max((f * 1e6 for f, of in zip(have, checks, strict=True) if of[k].kept == "yes"), default=None),
            bounded=any(of[k].kept != "yes" for of in checks),
        )
        for k, one in enumerate(checks[0])
    )
    return Solution(
        unknown="clock_hz",
        largest=None if best is None else have[best] * 1e6,
        binding=broken[0] if broken else None,
        next=broken[1] if len(broken) > 1 else None,
        next_largest=None,
        own=have[-1] * 1e6,
        beyond_own=False,
        limits=limits,
        checks=checks[-1 if best is None else best],
    )
