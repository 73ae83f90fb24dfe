"""The questions that a report answers first: does it fit, and did it get worse on the way to the chip?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgebci.comparison import Comparison, Verdict
from edgebci.reporting.schema import ImplantSection, Metric, Report, Span
from edgebci.reporting.sentences import bit_exact_line, interval_text, span_text

Answer = Literal["yes", "no", "depends", "cannot tell"]
MARKS: dict[Answer, str] = {"yes": "✓", "no": "✗", "depends": "≈", "cannot tell": "?"}
"""An answer is told by a word and a mark; its colour only repeats it."""


@dataclass(frozen=True)
class Decided:
    """One question, its answer and why."""

    question: str
    answer: Answer
    why: str

    @property
    def mark(self) -> str:
        """For those who skim."""
        return MARKS[self.answer]


@dataclass(frozen=True)
class Limit:
    """A limit of an implant: how much of it is used (1: all), and the same in its own unit."""

    name: str
    share: Span
    text: str

    @property
    def holds(self) -> Answer:
        """Over the whole range of the inputs, or not."""
        return "yes" if self.share.high <= 1 else "no" if self.share.low > 1 else "depends"


def verdicts(report: Report) -> list[Decided]:
    """All answers, the implants first."""
    return [*(_fits(implant) for implant in report.implants), _device(report), _ridge(report), _same(report)]


def limits(implant: ImplantSection) -> list[Limit]:
    """Every limit that the report knows, in the order time, memory, radio, heat."""
    rows = [
        Limit(
            "worst step",
            implant.latency_us.scaled(1 / implant.deadline_us),
            f"{span_text(implant.latency_us.scaled(1e-3))} of {implant.deadline_us / 1e3:g} ms",
        )
    ]
    if implant.memory is not None:
        memory = implant.memory
        rows += [
            _counted("flash", memory.flash_bytes, memory.flash_available_bytes),
            _counted("RAM", memory.ram_bytes, memory.ram_available_bytes),
        ]
    if implant.radio_capacity_bit_s:
        capacity = implant.radio_capacity_bit_s
        text = f"{span_text(implant.radio_bit_s)} of {capacity:,.0f} bit/s"
        rows.append(Limit("radio", implant.radio_bit_s.scaled(1 / capacity), text))
    if implant.temperature_rise_c is not None and implant.temperature_limit_c:
        rise, most = implant.temperature_rise_c, implant.temperature_limit_c
        rows.append(Limit("tissue warmer by", rise.scaled(1 / most), f"{span_text(rise)} of {most:g} °C"))
    return rows


def _counted(name: str, used: int, there: int) -> Limit:
    share = used / there
    return Limit(name, Span(low=share, typical=share, high=share), f"{used:,} of {there:,} bytes")


def _fits(implant: ImplantSection) -> Decided:
    found = limits(implant)
    broken = [limit for limit in found if limit.holds == "no"]
    unsure = [limit for limit in found if limit.holds == "depends"]
    shown = broken or unsure
    answer: Answer = "no" if broken else "depends" if unsure else "yes"
    why = "; ".join(f"{limit.name}: {limit.text}" for limit in shown) or "every limit holds over the whole range"
    power = span_text(implant.total_uw.scaled(1e-3), "mW")
    return Decided(
        f"Does it fit {implant.implant} with {implant.compute} and {implant.radio}?", answer, f"{why}; takes {power}"
    )


def _device(report: Report) -> Decided:
    question = "Is the device program as accurate as the float decoder?"
    return verdict_of(question, report.baseline.device_against_torch, report.metric)


def _ridge(report: Report) -> Decided:
    question = f"Is the decoder at least as accurate as {report.baseline.name} regression?"
    return verdict_of(question, report.baseline.student_against_ridge, report.metric)


def _same(report: Report) -> Decided:
    exact = report.bit_exactness
    same = exact.reference_equals_host and exact.host_equals_target
    return Decided("Do reference, host and core compute the same?", "yes" if same else "no", bit_exact_line(report))


def verdict_of(question: str, found: Comparison, metric: Metric) -> Decided:
    """What a paired comparison answers to a question of non-inferiority."""
    differs = f"{metric} differs by {interval_text(found.difference)}, margin {found.margin:g}"
    return Decided(question, _answer(found), f"{found.verdict}: {differs}; {found.reason}")


def _answer(found: Comparison) -> Answer:
    good = found.verdict in (Verdict.SUPERIOR, Verdict.NON_INFERIOR)
    return "yes" if good else "no" if found.verdict is Verdict.INFERIOR else "cannot tell"
