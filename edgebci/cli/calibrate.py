"""`edgebci calibrate`: a trained decoder on another day."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgebci.cli.output import JsonFlag, print_json, progress_bar

if TYPE_CHECKING:
    from edgebci.pipeline.bundle_calibration import BundleCalibration
    from edgebci.pipeline.evaluation.calibration_result import Calibration


def calibrate(
    decoder: Annotated[Path, typer.Argument(help="A trained decoder's .safetensors, or an exported bundle's folder.")],
    recording: Annotated[
        list[Path], typer.Option(help="A new session (.nwb or .h5); may be repeated, each is calibrated by itself.")
    ],
    target: Annotated[
        str | None,
        typer.Option(
            help="Name of the behaviour series, or of the events' intervals; a bundle finds the one that it decodes."
        ),
    ] = None,
    front_end: Annotated[
        Path | None,
        typer.Option(
            help="Folder with the front_end.json that the decoder was trained with, for example runs/NAME/features; "
            "without it, the checkpoint's own folder."
        ),
    ] = None,
    minutes: Annotated[float, typer.Option(help="Calibration: so much from the beginning of each session.")] = 2.0,
    lfp: Annotated[str | None, typer.Option(help="Name of the ElectricalSeries, where there are several.")] = None,
    out: Annotated[
        Path, typer.Option(help="Folder for calibration.json, the picture, and a folder with each calibrated decoder.")
    ] = Path("runs/calibrated"),
    json: JsonFlag = False,
) -> None:
    """Refit normalisation and linear readout of a trained decoder to the first minutes of new sessions.

    Chronic LFP drifts: accuracy is given by session on the rest of it, with the decoder as it was, renormalised only,
    and calibrated. The layers between stay, so the new decoder costs the same and exports as the old one did.

    Of a bundle, only its parameter block is rewritten, a few kilobytes that a radio can carry; --out is not used.
    """
    from edgebci.errors import InputError
    from edgebci.pipeline.evaluation.calibration import Order
    from edgebci.pipeline.evaluation.calibration import calibrate as run

    if decoder.is_dir():
        _calibrate_bundle(decoder, recording, target, 60 * minutes, lfp, json)
        return
    if target is None:
        raise InputError(f"{decoder} needs --target: the name of the behaviour series, or of the events' intervals")
    order = Order(
        checkpoint=decoder,
        front_end=front_end or decoder.parent,
        target=target,
        calibration_s=60 * minutes,
        lfp=lfp,
    )
    with progress_bar("calibrate") as progress:
        result = run(order, recording, out, progress)
    if json:
        print_json(result)
    else:
        _print(result, out)


def _calibrate_bundle(
    bundle: Path, recordings: list[Path], target: str | None, calibration_s: float, lfp: str | None, json: bool
) -> None:
    from tempfile import TemporaryDirectory

    from edgebci.errors import InputError
    from edgebci.pipeline.bundle_calibration import BundleOrder, calibrate_bundle

    if len(recordings) != 1:
        raise InputError(f"{len(recordings)} recordings for one bundle, which holds one block; give one --recording")
    order = BundleOrder(bundle=bundle, recording=recordings[0], target=target, calibration_s=calibration_s, lfp=lfp)
    with TemporaryDirectory() as folder, progress_bar("calibrate") as progress:
        result = calibrate_bundle(order, Path(folder), progress)
    if json:
        print_json(result)
    else:
        _print_bundle(result)


def _print_bundle(result: BundleCalibration) -> None:
    from edgebci.cli.export import figures
    from edgebci.cli.output import print_rows

    rows = [(f"{one.form} calibration", figures(one)) for one in (result.before, result.after)]
    rows += [("parameter block", f"{result.block_bytes:,} bytes, the only thing that changed")]
    for cost in result.radio:
        spent, took = cost.energy_uj, cost.seconds
        rows.append(
            (
                f"over {cost.radio}",
                f"{cost.packets} packets, {1e3 * took.typical:.3g} ms ({1e3 * took.low:.3g} to {1e3 * took.high:.3g}), "
                f"{spent.typical:.3g} uJ ({spent.low:.3g} to {spent.high:.3g}), modelled",
            )
        )
    print_rows(f"{result.bundle}: calibrated on {result.calibration_s:.0f} s of {result.recording}", rows)


def _print(result: Calibration, out: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    from edgebci.reporting.sentences import interval_text

    console, metric = Console(), result.metric
    table = Table(title=f"{metric} by session (95 % intervals; margin {result.margin:g})", title_justify="left")
    for heading in ("session", "axis", *(form.form for form in result.sessions[0].forms), "after - before", "verdict"):
        table.add_column(heading)
    for session in result.sessions:
        for d, axis in enumerate(result.axes):
            row = [interval_text(form.by_axis[d]) for form in session.forms]
            table.add_row(session.session, axis, *row, interval_text(session.gain.per_axis[d]), "")
        row = [interval_text(form.accuracy) for form in session.forms]
        verdict = session.gain.verdict.value
        table.add_row(session.session, "mean", *row, interval_text(session.gain.difference), verdict, end_section=True)
    console.print(table)
    console.print(
        f"decoders with their front ends: {out}/SESSION, all figures: {out / 'calibration.json'}, picture: "
        f"{out / 'calibration.svg'}",
        highlight=False,
    )
