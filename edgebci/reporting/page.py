"""Pages of one file, no network, light and dark; `report.html` is drawn from the report and the traces."""

from __future__ import annotations

from pathlib import Path

from edgebci.files import write_text
from edgebci.reporting.figures import accuracy_svg, cycles_svg, power_svg, traces_svg
from edgebci.reporting.schema import Report, Span, Traces
from edgebci.reporting.sentences import decision, interval_text, span_text


def render(report: Report, traces: Traces, path: Path) -> None:
    """Write the page of a run."""
    values = {"report": report, "decision": decision(report), "figures": _figures(report, traces)}
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


def _figures(report: Report, traces: Traces) -> dict[str, object]:
    drawn = {
        "traces": traces_svg(traces, report.data.axes, report.data.target_unit),
        "accuracy": accuracy_svg(report.forms, report.baseline.score.r2_mean),
        "cycles": cycles_svg(report.firmware),
        "power": power_svg(report.implants),
    }
    return {name: drawing(svg) for name, svg in drawn.items()}


def _thousands(value: float) -> str:
    return f"{value:,.0f}"


def _milli(span: Span) -> Span:
    return span.scaled(1e-3)
