"""`edgebci reproduce quantization` and `edgebci quantization-report`: what int8 costs, and where."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgebci.cli.output import JsonFlag, print_json, progress_bar
from edgebci.errors import InputError

if TYPE_CHECKING:
    from edgebci.pipeline.quantization_study import Case, LossTable


def reproduce_quantization(
    full: Annotated[
        bool, typer.Option("--full/--quick", help="An hour of held-out stream; or three minutes, to see that it runs.")
    ] = False,
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option(help="A trained decoder's .safetensors, in place of synthetic ones; may be repeated."),
    ] = None,
    prepared: Annotated[
        list[Path] | None,
        typer.Option(
            help="The prepared session that the checkpoint was trained on (a run's folder `features`): as many."
        ),
    ] = None,
    runs: Annotated[Path, typer.Option(help="Folder of all runs; the study gets a folder in it.")] = Path("runs"),
    json: JsonFlag = False,
) -> None:
    """Measure the loss in R² of int8, rounded after training and trained in the integers, against the goals.

    Finished decoders are kept: an interrupted study goes on where it was, and a second process on the same folder
    takes the decoders that the first is not at.
    """
    from edgebci.pipeline.quantization_sessions import FULL, QUICK
    from edgebci.pipeline.quantization_sessions import reproduce_quantization as reproduce
    from edgebci.pipeline.quantization_study import TABLE_NAME, measure_losses

    size, cases = FULL if full else QUICK, _cases(checkpoint or [], prepared or [])
    root = runs / "quantization" / ("checkpoints" if cases else size.name)
    with progress_bar(f"quantization, {size.name}") as progress:
        if cases:
            table = measure_losses(cases, root, size.quantized_training(), size.name, progress)
        else:
            table = reproduce(size, root, progress)
    if json:
        print_json(table)
        return
    _print(table)
    typer.echo(f"all figures: {root / TABLE_NAME}")


def quantization_report(
    checkpoint: Annotated[Path, typer.Argument(help="A trained decoder's .safetensors.")],
    prepared: Annotated[Path, typer.Option(help="The prepared session that it was trained on (a run's `features`).")],
    quantized: Annotated[
        Path | None, typer.Option(help="Its integers (NAME.int8.safetensors); left out, it is rounded now.")
    ] = None,
    disturb: Annotated[bool, typer.Option("--disturb", help="Lay drift and artefacts over the test part.")] = False,
    out: Annotated[Path, typer.Option(help="Folder for quantization.html and quantization.json.")] = Path("runs")
    / "quantization_report",
    json: JsonFlag = False,
) -> None:
    """Say which quantizer errs when, which state saturates first, and which operator costs the accuracy.

    Measured on the session's test part, against the same decoder in floating point.
    """
    from edgebci.checkpoint import load_checkpoint
    from edgebci.pipeline.checkpoint_kind import require_frames
    from edgebci.pipeline.preparation import load_prepared
    from edgebci.pipeline.quantization_aware import quantize_after_training
    from edgebci.pipeline.quantization_report import PAGE_NAME, write_report
    from edgebci.pipeline.quantization_report import quantization_report as measure
    from edgebci.pipeline.quantization_stream import Disturbance
    from edgebci.pipeline.quantization_study import DISTURBED, HELD_OUT, held_out_streams, require_regression
    from edgebci.quantized_decoder import QuantizedDecoder
    from edgebci.reporting.quantization_page import decision

    require_frames(checkpoint, "edgebci export says what a decoder of spikes loses in int8")
    data, loaded = load_prepared(prepared).data, load_checkpoint(checkpoint)
    require_regression(data, checkpoint.stem)
    decoder = QuantizedDecoder.load(quantized) if quantized else quantize_after_training(data, loaded).decoder
    stream = held_out_streams(data, Disturbance())[DISTURBED if disturb else HELD_OUT]
    with progress_bar("quantization report") as progress:
        report = measure(checkpoint.stem, loaded, decoder, stream, data.frame_rate_hz, progress)
    write_report(report, out)
    if json:
        print_json(report)
        return
    for sentence in decision(report):
        typer.echo(sentence)
    typer.echo(f"the page: {out / PAGE_NAME}")


def _cases(checkpoints: list[Path], prepared: list[Path]) -> list[Case]:
    if len(checkpoints) != len(prepared):
        raise InputError(
            f"{len(checkpoints)} checkpoints but {len(prepared)} prepared sessions; give --prepared once for each "
            "--checkpoint, in the same order"
        )
    if not checkpoints:
        return []
    from edgebci.pipeline.preparation import load_prepared
    from edgebci.pipeline.quantization_study import Case

    return [
        Case(f"{i + 1}_{path.stem}", path, load_prepared(folder).data)
        for i, (path, folder) in enumerate(zip(checkpoints, prepared, strict=True))
    ]


def _print(table: LossTable) -> None:
    from rich.console import Console
    from rich.table import Table

    from edgebci.reporting.quantization_page import fine

    drawn = Table(title=f"Loss in R² by int8, {table.size} (95 % intervals)", title_justify="left")
    for heading in ("decoder", "stream", "way", "R² float", "R² int8 - float", "loss at most", "goal", ""):
        drawn.add_column(heading, overflow="fold")
    for row in table.rows:
        drawn.add_row(
            row.case,
            f"{row.stream}, {row.seconds:.0f} s",
            row.way,
            f"{row.r2_float:.3f}",
            fine(row.comparison.difference),
            f"{row.upper_loss:.5f}",
            f"{row.comparison.margin:g}",
            f"{row.goal} (start kept)" if row.start_kept else row.goal,
        )
    Console().print(drawn)
    if any(row.start_kept for row in table.rows):
        typer.echo("start kept: no epoch of training in the integers was better on validation than rounding after it")
    for sentence in table.absent:
        typer.echo(f"not measured: {sentence}")
