"""`edgebci budget`: does a decoder fit an implant's power, heat, radio and time, and what dominates."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from edgebci.cli import budget_options as options
from edgebci.cli.budget_against import against_and_print
from edgebci.cli.budget_comparison import compare_and_print
from edgebci.cli.budget_heat import board_rows, heat_rows
from edgebci.cli.budget_solution import solve_and_print
from edgebci.cli.output import JsonFlag, print_json, print_rows

if TYPE_CHECKING:
    from edgebci.firmware_sim.uncertainty import Estimate
    from edgebci.pipeline.budget.counts import Counts
    from edgebci.pipeline.budget.order import BudgetOrder
    from edgebci.pipeline.budget.report import BudgetReport


def budget(
    implant: options.Implant = "utah96-lfp",
    compute: options.Compute = "stm32u385",
    radio: options.Radio = "ble-2m",
    decoder: options.Decoder = None,
    measured: options.Measured = None,
    cycles: options.Cycles = None,
    clock_mhz: options.ClockMhz = None,
    send: options.Send = "decoded",
    years: options.Years = 0.0,
    limit: options.Limit = None,
    channels: options.Channels = None,
    macs: options.Macs = None,
    rate_hz: options.RateHz = 1000.0,
    frame_rate_hz: options.FrameRateHz = 50.0,
    bands: options.Bands = 4,
    outputs: options.Outputs = 2,
    compare: options.Compare = None,
    accuracy: options.Accuracy = None,
    r2: options.R2 = None,
    recording: options.Recording = None,
    solve: options.Solve = None,
    against: options.Against = None,
    board: options.Board = None,
    board_measured: options.BoardMeasured = None,
    html: options.Html = None,
    figure: options.Figure = None,
    measure_cycles: options.MeasureCycles = None,
    json: JsonFlag = False,
) -> None:
    """Account for a decoder in an implant from counts and profiles: power by component and state, heat, latency, fit.

    Nothing is run: cycles are counts from the bundle's manifest times cycles per count, or those of --measured.
    Every figure is modelled and has a range; numbers that no public source supports come first.

    Exit code 0; 1: it does not surely keep a --limit; 2: bad input.
    """
    if measure_cycles is not None:
        _measure(measure_cycles)
        return
    from edgebci.pipeline.budget.order import BudgetOrder, parse_limit, parse_sent

    question = _Question(compare, accuracy, r2 or [], recording or [], solve, against or [], html, figure)
    order = BudgetOrder(
        implant=implant,
        compute=compute,
        radio=radio,
        decoder=decoder,
        counts=_typed(channels, macs, rate_hz, frame_rate_hz, bands, outputs),
        measured=measured,
        cycles=cycles,
        clock_mhz=clock_mhz,
        sent=parse_sent(send),
        years=years,
        limits=tuple(parse_limit(text) for text in limit or ()),
        board=board,
        board_measured=board_measured,
    )
    question.answer(order, json)


@dataclass(frozen=True)
class _Question:
    """What is asked of an order: to compare, to solve, to stand beside others; else whether it fits."""

    compare: str | None
    accuracy: Path | None
    r2: list[str]
    recordings: list[Path]
    solve: str | None
    against: list[str]
    html: Path | None
    figure: Path | None

    def answer(self, order: BudgetOrder, json: bool) -> None:
        from edgebci.pipeline.budget.order import require_one_question

        require_one_question(
            {"--compare": self.compare, "--solve": self.solve, "--against": self.against, "--html": self.html},
            {"--accuracy": self.accuracy, "--r2": self.r2, "--recording": self.recordings},
        )
        if self.compare is not None:
            compare_and_print(order, self.compare, self.accuracy, self.r2, self.recordings, self.figure, json)
        elif self.against:
            against_and_print(order, self.against, json)
        elif self.solve is not None:
            solve_and_print(order, self.solve, json)
        else:
            _answer(order, self.html, self.figure, json)


def _answer(order: BudgetOrder, html: Path | None, figure: Path | None, json: bool) -> None:
    from edgebci.pipeline.budget.answer import budget as answer

    if html is not None:
        from edgebci.pipeline.budget.page import write_page

        write_page(order, html)
    report = answer(order)
    if figure is not None:
        _draw(figure, report)
    if json:
        print_json(report)
    else:
        _print(report)
    if order.limits and report.fits != "yes":
        raise typer.Exit(1)


def _typed(
    channels: int | None, macs: int | None, rate_hz: float, frame_rate_hz: float, bands: int, outputs: int
) -> Counts | None:
    from edgebci.pipeline.budget.counts import typed_counts

    if channels is None and macs is None:
        return None
    return typed_counts(channels, macs, rate_hz, frame_rate_hz, bands, outputs)


def _measure(path: Path) -> None:
    from edgebci.cli.output import progress_bar
    from edgebci.files import write_text
    from edgebci.pipeline.budget.cycle_costs import costs_toml
    from edgebci.pipeline.budget.cycle_measurement import measure_cores

    with progress_bar("budget") as progress:
        write_text(path, costs_toml(measure_cores(progress)))


def _draw(path: Path, report: BudgetReport) -> None:
    from edgebci.files import write_text
    from edgebci.reporting.budget_figures import tornado_svg

    total = report.report.total
    ends = [(one.at_low, one.at_high) for one in total.inputs]
    write_text(path, tornado_svg([one.input for one in total.inputs], ends, total.typical, "modelled power (uW)"))


def _print(report: BudgetReport) -> None:
    placed = report.report
    if placed.assumed_inputs:
        print_rows(
            "assumed: no public source was found for these",
            [(a.name, f"{a.typical:g} ({a.low:g} to {a.high:g}) {a.unit}; {a.source}") for a in placed.assumed_inputs],
        )
    title = f"{report.decoder} in {placed.implant} ({placed.implant_scope}, {placed.implant_evidence}), modelled"
    total = placed.total
    rows = [
        (part.part.replace("_", " "), f"{_span(part.power)}, {part.power.typical / total.typical:.0%}")
        for part in sorted(placed.power, key=lambda part: -part.power.typical)
    ]
    print_rows(f"{title}: power by component", [*rows, ("total", _span(total))])
    print_rows("by state", [(f"{s.part.replace('_', ' ')}, {s.state}", _span(s.power)) for s in report.states])
    print_rows("what spreads the total", _influences(total))
    print_rows("heat by location (modelled; flux limits nothing)", heat_rows(report.heat))
    if report.boards:
        print_rows("the decoder on a board outside", board_rows(report.boards))
    print_rows("does it fit", _fit_rows(report))


def _influences(total: Estimate) -> list[tuple[str, str]]:
    return [
        (one.input, f"{one.share:.0%}: {one.at_low:,.4g} to {one.at_high:,.4g} {total.unit}")
        for one in total.inputs[:6]
        if one.share > 0
    ]


def _fit_rows(report: BudgetReport) -> list[tuple[str, str]]:
    placed, spread = report.report, report.total_mw
    rows = [
        (
            f"{check.name}{f' of {check.where}' if check.where else ''}",
            f"{check.kept}: {_span(check.result)}, limit {check.limit:g}{' (asked)' if check.asked else ''}",
        )
        for check in report.limits
        if not check.name.endswith("_bytes")
    ]
    memory = placed.memory
    rows.append(
        ("flash", f"{memory.flash_bytes:,} of {memory.flash_available_bytes:,} bytes{_at_least(report, 'weights')}")
    )
    rows.append(("RAM", f"{memory.ram_bytes:,} of {memory.ram_available_bytes:,} bytes{_at_least(report, 'states')}"))
    rows.append(
        ("total, drawn", f"{spread.p50:.3g} ({spread.p2_5:.3g} to {spread.p97_5:.3g}) mW in 95 % of {spread.draws:,}")
    )
    rows.append(("cycles", f"{report.cycles_from}; {placed.core} at {report.clock_mhz:g} MHz"))
    rows += _supply_rows(report)
    rows += [("link", sentence) for sentence in report.link]
    return [*rows, ("fits", report.fits)]


def _at_least(report: BudgetReport, what: str) -> str:
    emulated = report.cycles_from.startswith("emulated")
    return "" if emulated else f" for {what} alone: code, tables and buffers come on top"


def _supply_rows(report: BudgetReport) -> list[tuple[str, str]]:
    supply = report.supply
    named = (
        ("efficiency", supply.efficiency),
        ("coil receives", supply.received_mw),
        ("battery lasts", supply.battery_h),
        ("charging", supply.recharge_h),
        ("peak", supply.peak_mw),
        ("lowest voltage", supply.lowest_v),
    )
    return [(name, _span(one)) for name, one in named if one is not None]


def _span(one: Estimate) -> str:
    unit = "" if one.unit == "1" else f" {one.unit}"
    return f"{one.typical:,.4g} ({one.low:,.4g} to {one.high:,.4g}){unit}"
