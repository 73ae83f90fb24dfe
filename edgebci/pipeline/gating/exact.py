"""Figures without noise: counters against exact limits, and what the simulator says of the implants."""

from __future__ import annotations

from collections.abc import Sequence

from edgebci.gating_baseline import ImplantFigures, Measured
from edgebci.gating_limits import CounterLimits, Counters, ModelLimits, Outcome, grew
from edgebci.gating_result import Check

UNITS = {
    "instructions_per_step": "instructions",
    "macs_per_step": "MAC",
    "flash_bytes": "bytes",
    "ram_bytes": "bytes",
    "state_bytes": "bytes",
    "stack_bytes": "bytes",
    "radio_bits_per_step": "bit",
}


def counter_checks(baseline: Counters | None, candidate: Counters | None, limits: CounterLimits) -> list[Check]:
    """One for each counter; a candidate that lost its counters fails, a baseline without any gates none."""
    if baseline is None:
        return []
    return [_counter(name, baseline, candidate, limits) for name in Counters.model_fields]


def implant_checks(baseline: Measured, candidate: Measured, limits: ModelLimits) -> list[Check]:
    """Power, energy of a step, heat and deadline in every implant of the candidate."""
    before = {one.implant: one for one in baseline.implants}
    checks = [
        check
        for one in candidate.implants
        for check in _implant(before.get(one.implant), one, candidate.frame_rate_hz, limits)
    ]
    here = {one.implant for one in candidate.implants}
    return checks + [_lost(name) for name in before if name not in here]


def _counter(name: str, baseline: Counters, candidate: Counters | None, limits: CounterLimits) -> Check:
    before, limit = float(getattr(baseline, name)), limits.limit(name, float(getattr(baseline, name)))
    after = None if candidate is None else float(getattr(candidate, name))
    passed = after is not None and after <= limit
    shown = "not counted" if after is None else f"{after:,.10g}"
    return Check(
        name=name.replace("_", " "),
        group="counter",
        outcome=Outcome.PASS if passed else Outcome.FAIL,
        evidence="counted",
        unit=UNITS[name],
        baseline=before,
        candidate=after,
        limit=limit,
        sentence=f"{shown} where the baseline has {before:,.10g} and {limit:,.10g} is allowed",
    )


def _implant(before: ImplantFigures | None, now: ImplantFigures, rate_hz: float, limits: ModelLimits) -> list[Check]:
    corner = 2 if limits.corner == "worst" else 1
    was_us = before.latency_us[corner] if before else None
    checks = [_below(f"{now.implant}: worst step", (was_us, now.latency_us[corner]), now.deadline_us, "µs", limits)]
    if now.rise_c and now.limit_c is not None:
        was_c = before.rise_c[corner] if before and before.rise_c else None
        checks.append(
            _below(f"{now.implant}: temperature rise", (was_c, now.rise_c[corner]), now.limit_c, "°C", limits)
        )
    if before is None:
        return checks
    power = before.power_uw[corner], now.power_uw[corner]
    energy = power[0] / rate_hz, power[1] / rate_hz
    absolute_uj = limits.absolute_uw / rate_hz
    return [
        *checks,
        _grown(f"{now.implant}: power", power, limits.absolute_uw, "µW", limits),
        _grown(f"{now.implant}: energy of a step", energy, absolute_uj, "µJ", limits),
    ]


def _below(name: str, pair: tuple[float | None, float], limit: float, unit: str, limits: ModelLimits) -> Check:
    """Below the limit; what was accepted above it may stay there, but not grow."""
    before, value = pair
    missed = before is not None and before > limit
    allowed = before * (1 + limits.relative) if missed and before is not None else limit
    note = ", which the accepted baseline misses too" if missed else ""
    return Check(
        name=name,
        group="implant",
        outcome=Outcome.PASS if value <= allowed else Outcome.FAIL,
        evidence="modelled",
        unit=unit,
        baseline=before,
        candidate=value,
        limit=allowed,
        sentence=f"{_text(value)} {unit} ({limits.corner} corner, modelled), the limit is {_text(limit)} {unit}{note}",
    )


def _grown(name: str, pair: Sequence[float], absolute: float, unit: str, limits: ModelLimits) -> Check:
    before, after = pair
    return Check(
        name=name,
        group="implant",
        outcome=Outcome.FAIL if grew(before, after, limits.relative, absolute) else Outcome.PASS,
        evidence="modelled",
        unit=unit,
        baseline=before,
        candidate=after,
        limit=max(before * (1 + limits.relative), before + absolute),
        sentence=(
            f"{_text(after)} {unit} after {_text(before)} {unit} ({limits.corner} corner, modelled); refused above "
            f"both {limits.relative:.0%} and {absolute:.3g} {unit} more"
        ),
    )


def _lost(name: str) -> Check:
    return Check(
        name=f"{name}: power",
        group="implant",
        outcome=Outcome.FAIL,
        evidence="modelled",
        unit="µW",
        baseline=None,
        candidate=None,
        limit=None,
        sentence="the baseline has this implant and the candidate was not placed into it; put it back or accept",
    )


def _text(value: float) -> str:
    """Four digits, and no power of ten."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
