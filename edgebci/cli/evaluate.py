"""`edgebci evaluate`: any set of decoders on the same splits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgebci.cli.output import JsonFlag, print_json, progress_bar

if TYPE_CHECKING:
    from rich.table import Table

    from edgebci.pipeline.evaluation.result import Evaluation


def evaluate(
    config: Annotated[
        Path, typer.Argument(help="An evaluation's or a pipeline's TOML, for example examples/burst_detection.toml.")
    ],
    decoders: Annotated[
        str | None,
        typer.Option(
            help="Which, with commas: ridge, kalman (regression), logistic (detection), gru, transformer, untaught, "
            "student, teacher."
        ),
    ] = None,
    seeds: Annotated[int | None, typer.Option(help="How many seeds each trained decoder gets.")] = None,
    reference: Annotated[str | None, typer.Option(help="The decoder that all others are compared with.")] = None,
    checkpoint: Annotated[
        list[Path] | None, typer.Option(help="A trained decoder's .safetensors, to be compared too; may be repeated.")
    ] = None,
    recording: Annotated[
        Path | None, typer.Option(help="Use this recording (.nwb or .h5) in place of the TOML's own.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of all runs; this one gets a folder of its name in it.")] = Path(
        "runs"
    ),
    json: JsonFlag = False,
) -> None:
    """Compare decoders: accuracy, paired differences with verdicts, size, multiplications, state, lag, time to train.

    All see the same frames: fitted to the training part, chosen on validation, scored on the test part. Fitted
    decoders are kept: an interrupted run goes on where it was.
    """
    from edgebci.pipeline.evaluation.configuration import chosen, load_evaluation
    from edgebci.pipeline.evaluation.run import evaluate as run

    loaded = chosen(load_evaluation(config, recording), decoders, seeds, reference)
    with progress_bar(loaded.name) as progress:
        result = run(loaded, out / loaded.name, checkpoint or [], progress)
    if json:
        print_json(result)
    else:
        _print(result, out / loaded.name)


def _print(result: Evaluation, folder: Path) -> None:
    from rich.console import Console
    from rich.markup import escape

    console = Console()
    console.print(_accuracy(result))
    console.print(_costs(result))
    for one in result.decoders:
        if one.note:
            console.print(escape(f"{one.decoder} {one.note}"), highlight=False)
    console.print(f"all figures: {folder / 'evaluation.json'}, picture: {folder / 'evaluation.svg'}", highlight=False)


def _accuracy(result: Evaluation) -> Table:
    from rich.table import Table

    from edgebci.reporting.scores import score_headings, score_texts
    from edgebci.reporting.sentences import interval_text

    title = f"{result.name}: {result.test_s:.0f} s of test frames (95 % intervals; margin {result.margin:g})"
    table = Table(title=title, title_justify="left")
    headings = score_headings(result.axes, result.task == "detection")
    for heading in ("decoder", *headings, f"{result.metric} - {result.reference}", "verdict"):
        table.add_column(heading)
    for one in result.decoders:
        found = one.against_reference
        against = (interval_text(found.difference), found.verdict.value) if found else ("", "reference")
        score = one.regression or one.detection
        table.add_row(one.decoder, *(score_texts(score) if score else ()), *against)
    return table


def _costs(result: Evaluation) -> Table:
    from rich.table import Table

    table = Table(title="Costs, as trained in float32", title_justify="left")
    for heading in ("decoder", "parameters", "MACs/output", "state (bytes)", "lag (ms)", "training (s)", "by seed"):
        table.add_column(heading, justify="left" if heading == "decoder" else "right")
    for one in result.decoders:
        table.add_row(
            one.decoder,
            f"{one.costs.parameters:,}",
            "-" if one.costs.macs_per_output is None else f"{one.costs.macs_per_output:,}",
            "-" if one.costs.state_bytes is None else f"{one.costs.state_bytes:,}",
            "-" if one.effective_lag_ms is None else f"{one.effective_lag_ms:.0f}",
            "-" if one.training_s is None else f"{one.training_s:.1f}",
            " ".join(f"{value:.3f}" for value in one.by_seed),
        )
    return table
