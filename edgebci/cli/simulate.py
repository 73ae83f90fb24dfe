"""`edgebci simulate`: a bundle in an implant over a recording."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgebci.cli.budget_heat import board_rows
from edgebci.cli.output import JsonFlag, print_json, print_rows, progress_bar

if TYPE_CHECKING:
    from edgebci.firmware_sim.uncertainty import Estimate
    from edgebci.pipeline.simulation.closed_loop import ClosedLoop
    from edgebci.pipeline.simulation.device_side import DeviceSide
    from edgebci.pipeline.simulation.report import OutputLoss, SimulationReport
    from edgebci.pipeline.simulation.sweeps import Sweep

Rows = list[tuple[str, str]]


def simulate(
    bundle: Annotated[Path, typer.Argument(help="The folder that edgebci export wrote; it holds the C.")],
    recording: Annotated[Path, typer.Option(help="A recording (.h5) of the bundle's channels.")],
    implant: Annotated[str, typer.Option(help="Name of a profile, or the path of your own.")],
    conditions: Annotated[Path | None, typer.Option(help="A TOML file: noise, mains, events, lost packets.")] = None,
    compute: Annotated[str | None, typer.Option(help="Chip, for power and latency; with --radio.")] = None,
    radio: Annotated[str | None, typer.Option(help="Radio, for power and latency; with --compute.")] = None,
    behavior: Annotated[str | None, typer.Option(help="Series to score against, where several fit.")] = None,
    seconds: Annotated[float | None, typer.Option(min=1.0, help="So much from the beginning; all without.")] = None,
    sweep: Annotated[
        str | None, typer.Option(help="R² against one property: converter, noise, channels, or several with commas.")
    ] = None,
    closed_loop: Annotated[
        bool, typer.Option("--closed-loop", help="Add a simulated user with delayed feedback.")
    ] = False,
    board: Annotated[
        str | None, typer.Option(help="A board outside, such as jetson-orin-nano: its step, estimated, not judged.")
    ] = None,
    board_measured: Annotated[Path | None, typer.Option(help="What benchmark.py wrote on that board.")] = None,
    threads: Annotated[int, typer.Option(min=1, max=64, help="Threads to play with.")] = 2,
    out: Annotated[Path | None, typer.Option(help="Folder for simulation.json and its pictures.")] = None,
    json: JsonFlag = False,
) -> None:
    """Play a recording through an implant's front end and the decoder that ships, and say what is left of it.

    The decoder is the bundle's own C, compiled for this machine. R² is given clean, degraded, and degraded with another
    common reference; with events, how long each is felt; with lost packets, what each policy loses.

    Exit code 0: simulated; 2: a wrong profile, conditions, bundle or recording.
    """
    from edgebci.pipeline.simulation.order import sweep_names

    asked = {
        "bundle": bundle,
        "recording": recording,
        "implant": implant,
        "compute": compute,
        "radio": radio,
        "conditions": conditions,
        "behavior": behavior,
        "seconds": seconds,
        "sweeps": sweep_names(sweep),
        "closed_loop": closed_loop,
        "board": board,
        "board_measured": board_measured,
        "threads": threads,
    }
    report, written = _simulated(asked, out)
    if json:
        print_json(report)
    else:
        _show(report, [("written", f"{name} in {out}") for name in written])


def _simulated(asked: dict[str, object], out: Path | None) -> tuple[SimulationReport, tuple[str, ...]]:
    """The report, and the names of the files in `out`."""
    from edgebci.documents import parse
    from edgebci.files import make_folder
    from edgebci.pipeline.simulation.order import SimulationOrder
    from edgebci.pipeline.simulation.run import simulate as run

    order = parse(asked, SimulationOrder, "the simulation")
    if out:
        # Before minutes of work, not after.
        make_folder(out.parent)
    with progress_bar("simulate") as progress:
        found = run(order, progress)
    if not out:
        return found.report, ()
    from edgebci.pipeline.simulation.pictures import write_simulation

    return found.report, write_simulation(found, out)


def _show(report: SimulationReport, written: Rows) -> None:
    title = f"{report.bundle} in {report.implant} over {report.seconds:.0f} s of {report.recording} (modelled)"
    print_rows(title, [*_accuracy(report), *_front_end(report), *_notes(report), *written])
    if report.recoveries:
        print_rows("events", _recoveries(report))
    if report.packet_loss:
        print_rows("lost packets on the way to a decoder outside", _losses(report))
    for sweep in report.sweeps:
        print_rows(f"R² over {sweep.x_name}", _sweep(sweep))
    if report.closed_loop:
        print_rows("a simulated user, feedback delayed", _loop(report.closed_loop))
    if report.device:
        print_rows("the device (modelled)", [*_device(report.device), *_outputs(report.output_loss)])


def _accuracy(report: SimulationReport) -> Rows:
    rows = [
        (f"R², {one.name}, reference {one.reference}", f"{one.r2:.3f}; the device calls {one.valid_share:.1%} valid")
        for one in report.accuracy
    ]
    difference = report.degraded_against_clean.difference
    rows.append(
        ("degraded - clean", f"{difference.value:+.3f} ({difference.low:+.3f} to {difference.high:+.3f}, 95 %)")
    )
    scored = f"{report.frames_scored:,} frames" + (" of the test intervals" if report.only_test_intervals else "")
    return [*rows, ("scored on", scored), ("effective lag", f"{report.effective_lag_ms:.0f} ms")]


def _front_end(report: SimulationReport) -> Rows:
    model, clipping = report.front_end, report.clipping
    converter, amplifier = model.converter, model.amplifier
    return [
        (
            "converter",
            f"{converter.bits} bits over {converter.full_scale_uv:g} µV: {converter.step_uv:.3g} µV a step, "
            f"{model.rate_hz:g} Hz",
        ),
        ("amplifier", f"{amplifier.noise_nv_per_rthz:.3g} nV/√Hz, 1/f corner {amplifier.flicker_corner_hz:g} Hz"),
        (
            "clipped",
            f"{clipping.clipped_share:.2%} of all samples, {clipping.worst_channel_share:.2%} of the worst channel's, "
            f"{clipping.channels_over_1_percent} channels over 1 %",
        ),
    ]


def _notes(report: SimulationReport) -> Rows:
    return [("note", note) for note in report.notes]


def _recoveries(report: SimulationReport) -> Rows:
    return [
        (
            f"{one.kind.replace('_', ' ')} at {one.at_s:g} s",
            f"output off by up to {one.largest_deviation_sd:.1f} sd; "
            + (f"not back: {one.why}" if one.output_s is None else f"back {one.output_s:.2f} s after its end")
            + f"; {one.invalid_s:.2f} s called invalid",
        )
        for one in report.recoveries
    ]


def _losses(report: SimulationReport) -> Rows:
    loss = report.packet_loss
    assert loss is not None
    gaps = f"gaps of {loss.mean_gap_ms:.0f} ms in the mean, the longest {loss.longest_gap_ms:.0f} ms"
    rows = [("why", loss.origin), ("lost", f"{loss.lost_share:.2%} of the rows, {gaps}")]
    return rows + [(one.policy, f"R² {one.r2:.3f}, {one.r2_lost:.3f} less than without") for one in loss.policies]


def _sweep(sweep: Sweep) -> Rows:
    rows: Rows = []
    for line in dict.fromkeys(point.line for point in sweep.points):
        points = [point for point in sweep.points if point.line == line]
        shown = [f"{p.x:g}: {p.r2:.3f}" for p in points if p.r2 is not None]
        knee = next((f"knee at {knee.x:g}; " for knee in sweep.knees if knee.line == line), "")
        refused = [p for p in points if p.refused]
        rows.append((line, knee + (", ".join(shown) or "nothing computed")))
        if refused:
            xs = ", ".join(f"{p.x:g}" for p in refused)
            rows.append(("refused", f"{xs}; the first, as {refused[0].refused}"))
    return rows


def _loop(loop: ClosedLoop) -> Rows:
    return [
        (
            f"{1000 * point.delay_s:.0f} ms",
            f"{point.acquired_share:.0%} of {loop.trials} targets at {loop.distance:.3g} {loop.unit}"
            + (f", in {point.median_s:.2f} s in the median" if point.median_s is not None else ""),
        )
        for point in loop.points
    ]


def _device(device: DeviceSide) -> Rows:
    report, transport = device.budget.report, device.timeline.transport
    rows = [("cycles", f"{device.budget.cycles_from}; {report.core} at {device.budget.clock_mhz:g} MHz")]
    rows += [(f"power, {one.part}", _span(one.power)) for one in report.power]
    rows.append(("power, total", _span(report.total)))
    rows += [
        (f"warming, {one.source} in {one.tissue}", f"{_span(one.rise_c)}; limit {one.limit_c:g} C: {one.within_limit}")
        for one in report.warming
    ]
    if transport is not None:
        rows.append(
            (
                "transport latency",
                f"p50 {transport.p50_ms:.1f}, p99 {transport.p99_ms:.1f}, p99.9 {transport.p999_ms:.1f} ms; "
                f"{device.timeline.missed} deadlines missed of {device.timeline.frames}",
            )
        )
    rows += [
        (f"delay of {lag.kind}", f"{lag.delay_ms:.0f} ms, 90 % of its response within {lag.settled_ms:.0f} ms")
        for lag in device.features
    ]
    if device.lag is not None:
        verdict = "within" if device.lag.within_budget else "over"
        rows.append(("with the effective lag", f"{device.lag.total_ms:.0f} ms, {verdict} {device.lag.budget_ms:g} ms"))
    return [*rows, ("fits", device.budget.fits), *board_rows(device.budget.boards)]


def _outputs(loss: OutputLoss | None) -> Rows:
    if loss is None:
        return []
    lost = f"{loss.lost_share:.2%} lost or later than the loop allows; R² {loss.r2:.3f}, {loss.r2_lost:.3f} less"
    return [("outputs on the way out", f"{lost}, the receiver holding the last")]


def _span(one: Estimate) -> str:
    return f"{one.typical:.4g} ({one.low:.4g} to {one.high:.4g}) {one.unit}"
