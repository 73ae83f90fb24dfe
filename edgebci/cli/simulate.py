"""`edgebci simulate`: a bundle in an implant over a recording."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgebci.cli.output import JsonFlag, print_json, print_rows, progress_bar

if TYPE_CHECKING:
    from edgebci.pipeline.simulation.report import SimulationReport

Rows = list[tuple[str, str]]


def simulate(
    bundle: Annotated[Path, typer.Argument(help="The folder that edgebci export wrote; it holds the C.")],
    recording: Annotated[Path, typer.Option(help="A recording (.h5) of the bundle's channels.")],
    implant: Annotated[str, typer.Option(help="Name of a profile, or the path of your own.")],
    conditions: Annotated[Path | None, typer.Option(help="A TOML file: noise, mains, events, lost packets.")] = None,
    behavior: Annotated[str | None, typer.Option(help="Series to score against, where several fit.")] = None,
    seconds: Annotated[float | None, typer.Option(min=1.0, help="So much from the beginning; all without.")] = None,
    threads: Annotated[int, typer.Option(min=1, max=64)] = 2,
    out: Annotated[Path | None, typer.Option(help="Folder for simulation.json and its pictures.")] = None,
    json: JsonFlag = False,
) -> None:
    """Play a recording through an implant's front end and the decoder that ships, and say what is left of it.

    The decoder is the bundle's own C, compiled for this machine. R² is given clean, degraded, and degraded with another
    common reference; with events, how long each is felt; with lost packets, what each policy loses.

    Exit code 0: simulated; 2: a wrong profile, conditions, bundle or recording.
    """
    from edgebci.pipeline.simulation.order import SimulationOrder
    from edgebci.pipeline.simulation.pictures import write_simulation
    from edgebci.pipeline.simulation.run import simulate as run

    order = SimulationOrder(
        bundle=bundle,
        recording=recording,
        implant=implant,
        conditions=conditions,
        behavior=behavior,
        seconds=seconds,
        threads=threads,
    )
    with progress_bar("simulate") as progress:
        found = run(order, progress)
    written = write_simulation(found, out) if out else ()
    if json:
        print_json(found.report)
        return
    _show(found.report, [("written", f"{name} in {out}") for name in written])


def _show(report: SimulationReport, written: Rows) -> None:
    title = f"{report.bundle} in {report.implant} over {report.seconds:.0f} s of {report.recording} (modelled)"
    print_rows(title, [*_accuracy(report), *_front_end(report), *_notes(report), *written])
    if report.recoveries:
        print_rows("events", _recoveries(report))
    if report.packet_loss:
        print_rows("lost packets on the way to a decoder outside", _losses(report))


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
            + ("not back before the next" if one.output_s is None else f"back {one.output_s:.2f} s after its end")
            + f"; {one.invalid_s:.2f} s called invalid",
        )
        for one in report.recoveries
    ]


def _losses(report: SimulationReport) -> Rows:
    loss = report.packet_loss
    assert loss is not None
    rows = [("lost", f"{loss.lost_share:.2%} of the rows, the longest gap {loss.longest_gap_ms:.0f} ms")]
    return rows + [(one.policy, f"R² {one.r2:.3f}, {one.r2_lost:.3f} less than without") for one in loss.policies]
