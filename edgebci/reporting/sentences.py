"""What the figures of a report mean, in words: used by the page and by the terminal's summary."""

from __future__ import annotations

from edgebci.comparison import Interval
from edgebci.detection_score import DetectionScore
from edgebci.reporting.schema import ImplantSection, Report, Span

DEVICE_FORM = "device (host twin)"


def interval_text(interval: Interval) -> str:
    """A figure with its interval.

    >>> interval_text(Interval(value=0.412, low=0.371, high=0.449))
    '0.412 (0.371 to 0.449)'
    >>> interval_text(Interval(value=-0.0004, low=-0.001, high=0.0))
    '0.000 (-0.001 to 0.000)'
    """
    value, low, high = (f"{end:z.3f}" for end in (interval.value, interval.low, interval.high))
    return f"{value} ({low} to {high})"


def span_text(span: Span, unit: str = "") -> str:
    """A figure with its range, in three significant digits; one without a range stands alone.

    >>> span_text(Span(low=10.13, typical=12.34, high=15.04), "mW")
    '12.3 (10.1 to 15) mW'
    >>> span_text(Span(low=10400, typical=10400, high=10400), "bit/s")
    '10,400 bit/s'
    """
    spread = "" if span.low == span.high else f" ({_short(span.low)} to {_short(span.high)})"
    return f"{_short(span.typical)}{spread} {unit}".rstrip()


def decision(report: Report) -> list[str]:
    """The findings that decide, first things first."""
    return [_accuracy(report), _ridge(report), _exactness(report), _cost(report), *map(_implant, report.implants)]


def bit_exact_line(report: Report) -> str:
    """NumPy reference == host twin == cortex-m4f, or the first difference."""
    exact = report.bit_exactness
    if exact.reference_equals_host and exact.host_equals_target:
        return f"NumPy reference == host twin == {report.firmware.core}, bit for bit, {exact.n_frames:,} frames"
    return f"NOT bit-exact: {exact.first_difference}"


def _accuracy(report: Report) -> str:
    device = report.form(DEVICE_FORM)
    if device.detection is not None:
        return _detection(report.data.target, device.detection)
    return f"The device program decodes {report.data.target} with R² {interval_text(device.main)} on the test part."


def _detection(target: str, found: DetectionScore) -> str:
    share, delay = found.detected_fraction, found.delay_median_s
    events = "no event begins in it" if share is None else f"it finds {share.value:.0%} of {found.n_events:,} events"
    late = "" if delay is None else f", half of those within {1e3 * delay.value:.0f} ms"
    return (
        f"The device program detects {target} with AUROC {interval_text(found.auroc)} on the test part; {events}{late}"
        f", and gives {found.false_alarms_per_hour.value:,.0f} false alarms an hour."
    )


def _ridge(report: Report) -> str:
    result = report.baseline.student_against_ridge
    return (
        f"Against {report.baseline.name} the student is: {result.verdict} ({interval_text(result.difference)} "
        f"{report.metric}, margin "
        f"{result.margin:g}, {result.n_seeds} seed{'s' if result.n_seeds != 1 else ''}: {result.reason})."
    )


def _exactness(report: Report) -> str:
    return bit_exact_line(report) + f" ({report.bit_exactness.compared})."


def _cost(report: Report) -> str:
    firmware = report.firmware
    return (
        f"A step takes {firmware.instructions_per_step:,.0f} instructions (counted) and "
        f"{firmware.cycles_per_step.typical:,.0f} cycles (modelled), of them {firmware.decoder_cycles_per_step:,.0f} "
        f"in the decoder; {firmware.flash_bytes / 1024:.1f} KiB of flash, {firmware.ram_bytes / 1024:.1f} KiB of RAM."
    )


def _implant(implant: ImplantSection) -> str:
    life = f"; battery {span_text(implant.battery_h, 'h')}" if implant.battery_h else ""
    rise = f"; {span_text(implant.temperature_rise_c, '°C')} warmer" if implant.temperature_rise_c else ""
    power = span_text(implant.total_uw.scaled(1e-3), "mW")
    deadline = {"yes": "meets", "no": "MISSES", "depends": "may miss"}[implant.meets_deadline]
    return (
        f"{implant.implant} with {implant.compute} and {implant.radio} (modelled): {power}"
        f"{life}{rise}; the worst step {deadline} its deadline of {implant.deadline_us / 1e3:g} ms; "
        f"widest input: {implant.dominant}."
    )


def _short(value: float) -> str:
    if value == 0:
        return "0"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
