"""What `edgebci run` prints at its end."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from edgebci.reporting.schema import Report
from edgebci.reporting.scores import score_headings, score_texts
from edgebci.reporting.sentences import decision, span_text


def print_summary(report: Report, folder: Path) -> None:
    """Tables of accuracy, cost and implants, then the sentences that decide and where the report lies."""
    console = Console()
    console.print(_accuracy(report))
    console.print(_device(report))
    console.print(_implants(report))
    for sentence in decision(report):
        console.print(f"• {escape(sentence)}", highlight=False)
    console.print(f"report: {folder / 'report.html'} (the decoder: export/bundle)", highlight=False)


def _accuracy(report: Report) -> Table:
    table = Table(title="Accuracy on the whole test part (95 % intervals)", title_justify="left")
    for heading in ("form", *score_headings(report.data.axes, report.task == "detection")):
        table.add_column(heading)
    for name, score in (
        *((form.name, form.score) for form in report.forms),
        (report.baseline.name, report.baseline.score),
    ):
        table.add_row(name, *score_texts(score))
    return table


def _device(report: Report) -> Table:
    firmware = report.firmware
    table = Table(title=f"Device program on an emulated {firmware.core}", show_header=False, title_justify="left")
    rows = (
        ("instructions per step (counted)", f"{firmware.instructions_per_step:,.0f}"),
        ("cycles per step (modelled)", span_text(firmware.cycles_per_step)),
        (
            "  front end / decoder",
            f"{firmware.front_end_cycles_per_step:,.0f} / {firmware.decoder_cycles_per_step:,.0f}",
        ),
        ("flash / RAM / stack", f"{firmware.flash_bytes:,} / {firmware.ram_bytes:,} / {firmware.stack_bytes:,} bytes"),
        ("multiply-accumulates per step", f"{report.decoder.macs_per_step:,}"),
    )
    for row in rows:
        table.add_row(*row)
    return table


def _implants(report: Report) -> Table:
    table = Table(title="In implants (modelled; typical, low to high)", title_justify="left")
    for heading in (
        "implant",
        "power (mW)",
        "radio (bit/s)",
        "worst step (ms)",
        "deadline",
        "battery (h)",
        "warmer (°C)",
    ):
        table.add_column(heading)
    for i in report.implants:
        table.add_row(
            f"{i.implant}, {i.compute}, {i.radio}",
            span_text(i.total_uw.scaled(1e-3)),
            span_text(i.radio_bit_s),
            span_text(i.latency_us.scaled(1e-3)),
            f"{i.deadline_us / 1e3:g} ms: {i.meets_deadline}",
            span_text(i.battery_h) if i.battery_h else "-",
            span_text(i.temperature_rise_c) if i.temperature_rise_c else "-",
        )
    return table
