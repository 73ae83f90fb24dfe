"""The page of a quantization report: one file that opens offline."""

from __future__ import annotations

from edgebci.comparison import Interval
from edgebci.quantization_error import QuantizationReport, goal, loss_bound
from edgebci.reporting.page import drawing, page_text
from edgebci.reporting.quantization_figure import activation_range_svg, costs_svg, noise_svg, range_svg


def report_page(report: QuantizationReport) -> str:
    """Draw and fill in the page."""
    pictures = {"noise": noise_svg(report), "states": range_svg(report), "activations": activation_range_svg(report)}
    if report.costs:
        pictures["costs"] = costs_svg(report)
    return page_text(
        "quantization.html.j2",
        report=report,
        decision=decision(report),
        figures={name: drawing(svg) for name, svg in pictures.items()},
        fine=fine,
        seconds=lambda step: f"{step / report.frame_rate_hz:.1f}",
    )


def decision(report: QuantizationReport) -> list[str]:
    """The findings that decide, first things first."""
    return [_loss(report), _cost(report), _saturation(report), _noise(report)]


def fine(interval: Interval) -> str:
    """-0.00041 (-0.00102 to 0.00020): losses of quantization need more digits than R² itself."""
    return f"{interval.value:+.5f} ({interval.low:+.5f} to {interval.high:+.5f})"


def _loss(report: QuantizationReport) -> str:
    return (
        f"{report.metric} {report.r2_float:.4f} in float, {report.r2_quantized:.4f} quantized: difference "
        f"{fine(report.loss.difference)}, so a loss of at most {loss_bound(report.loss):.5f}; the goal of "
        f"{report.loss.margin:g}: {goal(report.loss)}."
    )


def _cost(report: QuantizationReport) -> str:
    if not report.costs:
        return f"{report.costs_note[0].upper()}{report.costs_note[1:]}."
    shown = [one for one in report.costs if one.alone.difference.high < 0]
    if not shown:
        largest = report.costs[0]
        return (
            f"No operator alone costs accuracy that these data could show; the largest difference is that of "
            f"{largest.name}, {fine(largest.alone.difference)}."
        )
    worst = shown[0]
    return (
        f"{worst.name} costs most of those whose cost these data show: quantized alone it changes {report.metric} by "
        f"{fine(worst.alone.difference)}; with it alone in float the rest changes {report.metric} by "
        f"{fine(worst.spared.difference)}."
    )


def _saturation(report: QuantizationReport) -> str:
    states = [one for one in report.saturating if one.kind == "state"]
    if not states:
        fullest = max(
            (one for one in report.quantizers if one.kind == "state"), key=lambda o: max(o.range_per_bin), default=None
        )
        used = f": the fullest, {fullest.name}, used {max(fullest.range_per_bin):.0%} of its range" if fullest else ""
        return f"No state saturates in {report.n_steps:,} steps{used}."
    first = min(states, key=lambda one: one.first_saturated_step or 0)
    return (
        f"{len(states)} of the states saturate, {first.name} first, at step {first.first_saturated_step:,}; "
        f"{states[0].name} most often, {states[0].saturated_share:.2e} of its elements."
    )


def _noise(report: QuantizationReport) -> str:
    worst = report.noisiest
    return f"The least signal over quantization noise has {worst.name}: {_db(worst.sqnr_db)} dB over the stream."


def _db(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
