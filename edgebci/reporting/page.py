"""Pages of one file, no network, light and dark; `report.html` is drawn from the report alone."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from edgebci.files import write_text
from edgebci.reporting.figures import accuracy_svg, cycles_svg, power_svg, traces_svg
from edgebci.reporting.quantization_figure import noise_svg, range_svg
from edgebci.reporting.report_figures import (
    error_svg,
    latency_svg,
    limits_svg,
    roc_svg,
    scatter_svg,
    timeline_svg,
    tornado_svg,
    transport_svg,
)
from edgebci.reporting.schema import ImplantSection, Report, Span
from edgebci.reporting.scores import score_headings, score_texts
from edgebci.reporting.sentences import decision, interval_text, span_text
from edgebci.reporting.verdicts import limits, verdicts


def render(report: Report, path: Path) -> None:
    """Write the page of a run; a part that an older report lacks is named in its place."""
    values = {
        "report": report,
        "decision": decision(report),
        "verdicts": verdicts(report),
        "limits": limits,
        "headings": score_headings(report.data.axes, report.task == "detection"),
        "score_texts": score_texts,
        "figures": _figures(report),
        "by_implant": [_implant_figures(implant) for implant in report.implants],
    }
    write_text(path, page_text("report.html.j2", **values))


def page_text(template: str, **values: object) -> str:
    """Fill in one of the templates beside this file."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"interval": interval_text, "span": span_text, "thousands": _thousands, "milli": _milli}
    return environment.get_template(template).render(**values)


def drawing(svg: str) -> object:
    """A picture as a template takes it: not escaped."""
    import markupsafe

    return markupsafe.Markup(svg)


def _figures(report: Report) -> dict[str, object]:
    data = report.data
    drawn = {
        "accuracy": accuracy_svg(report),
        "cycles": cycles_svg(report.firmware),
        "power": power_svg(report.implants),
    }
    if report.pictures is not None:
        found, unit = report.pictures, report.shown_unit
        drawn["traces"] = traces_svg(found.traces.traces(), data.axes, unit)
        drawn["errors"] = error_svg(found.errors, data.axes, unit)
        if found.scatter is not None:
            drawn["scatter"] = scatter_svg(found.scatter, data.axes, unit)
        if found.roc is not None:
            drawn["roc"] = roc_svg(found.roc)
    if report.quantization is not None:
        drawn |= {"noise": noise_svg(report.quantization), "states": range_svg(report.quantization)}
    if report.firmware.step_cycles is not None and report.implants:
        drawn["latency"] = latency_svg(report.implants, report.firmware.step_cycles, report.firmware)
    return _drawings(drawn.items())


def _implant_figures(implant: ImplantSection) -> dict[str, object]:
    drawn = {"limits": limits_svg(implant)}
    if implant.tornado:
        drawn["tornado"] = tornado_svg(implant)
    if implant.timeline is not None and implant.timeline.events:
        drawn["timeline"] = timeline_svg(implant.timeline)
    if implant.transport is not None and implant.transport.counts:
        drawn["transport"] = transport_svg(implant.transport)
    return _drawings(drawn.items())


def _drawings(drawn: Iterable[tuple[str, str]]) -> dict[str, object]:
    return {name: drawing(svg) for name, svg in drawn}


def _thousands(value: float) -> str:
    return f"{value:,.0f}"


def _milli(span: Span) -> Span:
    return span.scaled(1e-3)
