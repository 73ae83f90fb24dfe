"""Judging a range against a limit, and saying the outcome in a sentence."""

from __future__ import annotations

from edgebci.firmware_sim.implant_report import ImplantReport, StepTiming, Verdict, Warming
from edgebci.firmware_sim.uncertainty import Estimate


def below(result: Estimate, limit: float) -> Verdict:
    """Whether the result stays at or below the limit over its whole range."""
    if result.high <= limit:
        return "yes"
    return "no" if result.low > limit else "depends"


def findings(report: ImplantReport) -> tuple[str, ...]:
    """What a designer must know, one sentence each; deadline, link and heat appear only where they are in doubt."""
    sentences = [_power_sentence(report.total)]
    if report.step.meets_deadline != "yes":
        sentences.append(_deadline_sentence(report.step))
    if report.radio_use.carried != "yes":
        use = report.radio_use
        sentences.append(
            f"The link {_doubt(use.carried)} carry {use.payload_bits_per_s:,.0f} bit/s: "
            f"it takes {use.carries_bits_per_s.low:,.0f} to {use.carries_bits_per_s.high:,.0f}."
        )
    sentences += [_heat_sentence(warming) for warming in report.warming if warming.within_limit != "yes"]
    return tuple(sentences)


def _doubt(verdict: Verdict) -> str:
    return "does not" if verdict == "no" else "may not"


def _span(result: Estimate) -> str:
    return f"{result.typical:.3g} ({result.low:.3g} to {result.high:.3g}) {result.unit}"


def _power_sentence(total: Estimate) -> str:
    dominant = total.dominated_by
    cause = f"; {dominant.input} makes {dominant.share:.0%} of that range" if dominant else ""
    low_mw, typical_mw, high_mw = (power_uw * 1e-3 for power_uw in (total.low, total.typical, total.high))
    return f"The implant takes a modelled {typical_mw:.3g} ({low_mw:.3g} to {high_mw:.3g}) mW{cause}."


def _deadline_sentence(step: StepTiming) -> str:
    over_ms = step.worst_step_ms.high - step.deadline_ms
    return (
        f"The worst step {_doubt(step.meets_deadline)} end in its frame of {step.deadline_ms:g} ms: "
        f"it takes {_span(step.worst_step_ms)}, up to {over_ms:.3g} ms too long."
    )


def _heat_sentence(warming: Warming) -> str:
    return (
        f"The {warming.source} ({warming.location}) {_doubt(warming.within_limit)} stay within "
        f"{warming.limit_c:g} C of rise in {warming.tissue}: it reaches {_span(warming.rise_c)}."
    )
