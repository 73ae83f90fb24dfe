"""The page of two runs side by side."""

from __future__ import annotations

from dataclasses import dataclass

from edgebci.comparison import Comparison, Interval
from edgebci.reporting.figures import accuracy_svg, cycles_svg, power_svg
from edgebci.reporting.page import drawing, page_text
from edgebci.reporting.report_figures import error_svg
from edgebci.reporting.schema import Metric, Report
from edgebci.reporting.sentences import DEVICE_FORM, interval_text, span_text
from edgebci.reporting.verdicts import Answer, Decided, verdict_of, verdicts


@dataclass(frozen=True)
class PairedRow:
    """One figure of both runs; counts also say by how much they differ."""

    name: str
    first: str
    second: str
    change: str = ""


def pair_page(first: Report, second: Report, paired: Comparison | None, not_paired: str) -> str:
    """Draw and fill in the page; `paired` is the second minus the first."""
    return page_text(
        "pair.html.j2",
        reports=(first, second),
        decided=_decided(paired, not_paired, first.metric),
        rows=rows(first, second),
        verdicts=[verdicts(report) for report in (first, second)],
        figures=[_figures(first, second), _figures(second, first)],
    )


def rows(first: Report, second: Report) -> list[PairedRow]:
    """The figures that decide: accuracy, counts, and each implant that both were put into."""
    found = _accuracies(first, second) if first.task == second.task else []
    for name, a, b in _counts(first, second):
        found.append(PairedRow(name, f"{a:,.0f}", f"{b:,.0f}", f"{b - a:+,.0f} ({_percent(a, b)})"))
    return [*found, *_implants(first, second)]


def _accuracies(first: Report, second: Report) -> list[PairedRow]:
    """R² of the axes that both have, or AUROC, of the device programs."""
    a, b = first.form(DEVICE_FORM), second.form(DEVICE_FORM)
    if first.task == "detection":
        return [_accuracy("AUROC", a.main, b.main)]
    return [
        _accuracy(f"R² {axis}", a.regression.r2[k], b.regression.r2[second.data.axes.index(axis)])
        for k, axis in enumerate(first.data.axes)
        if axis in second.data.axes
    ]


def _accuracy(name: str, before: Interval, after: Interval) -> PairedRow:
    change = f"{after.value - before.value:+.3f}"
    return PairedRow(f"{name}, device program", interval_text(before), interval_text(after), change)


def _counts(first: Report, second: Report) -> list[tuple[str, float, float]]:
    a, b = first.firmware, second.firmware
    return [
        ("multiply-accumulates per step", first.decoder.macs_per_step, second.decoder.macs_per_step),
        ("instructions per step (counted)", a.instructions_per_step, b.instructions_per_step),
        ("cycles per step (modelled)", a.cycles_per_step.typical, b.cycles_per_step.typical),
        ("flash (bytes)", a.flash_bytes, b.flash_bytes),
        ("RAM (bytes)", a.ram_bytes, b.ram_bytes),
        ("stack (bytes)", a.stack_bytes, b.stack_bytes),
    ]


def _percent(a: float, b: float) -> str:
    return f"{(b - a) / a:+.1%}" if a else "new"


def _implants(first: Report, second: Report) -> list[PairedRow]:
    others = {(i.implant, i.compute, i.radio): i for i in second.implants}
    found = []
    for a in first.implants:
        b = others.get((a.implant, a.compute, a.radio))
        if b is None:
            continue
        name = f"{a.implant}, {a.compute}, {a.radio}"
        power = [span_text(i.total_uw.scaled(1e-3), "mW") for i in (a, b)]
        step = [span_text(i.latency_us.scaled(1e-3), "ms") for i in (a, b)]
        change = _percent(a.total_uw.typical, b.total_uw.typical)
        found += [PairedRow(f"{name}: power (modelled)", power[0], power[1], change)]
        found += [PairedRow(f"{name}: worst step (modelled)", step[0], step[1])]
    return found


def _decided(paired: Comparison | None, not_paired: str, metric: Metric) -> Decided:
    question = "Is the second run's device program at least as accurate as the first's?"
    if paired is None:
        unknown: Answer = "cannot tell"
        return Decided(question, unknown, f"no paired comparison: {not_paired}")
    return verdict_of(question, paired, metric)


def _figures(report: Report, beside: Report) -> dict[str, object]:
    """Of one run, in the scales of both."""
    drawn = {
        "accuracy": accuracy_svg(report, beside),
        "cycles": cycles_svg(report.firmware, beside.firmware),
        "power": power_svg(report.implants, beside.implants),
    }
    if report.pictures is not None:
        drawn["errors"] = error_svg(report.pictures.errors, report.data.axes, report.shown_unit)
    return {name: drawing(svg) for name, svg in drawn.items()}
