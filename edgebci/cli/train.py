"""`edgebci train` and `edgebci distill`: from recordings of several sessions to scored decoders."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgebci.cli.output import JsonFlag, print_json, progress_bar

if TYPE_CHECKING:
    from rich.table import Table

    from edgebci.pipeline.training_run.result import SessionResult, TrainingResult

RunFile = Annotated[Path, typer.Argument(help="A training run's TOML, for example examples/realm.toml.")]
Out = Annotated[Path, typer.Option(help="Folder of all runs; this run gets a folder of its name in it.")]


def train(run: RunFile, out: Out = Path("runs"), json: JsonFlag = False) -> None:
    """Train a system (REALM, cross-modal, POSSM) on some sessions; decode, score and export the held-out ones.

    Ridge of the same run stands beside every figure. Finished stages are kept: an interrupted run goes on where it was.
    """
    _run(run, None, out, json)


def distill(
    run: RunFile,
    teacher: Annotated[Path, typer.Option(help="A teacher's .safetensors, as `edgebci train` leaves it.")],
    out: Out = Path("runs"),
    json: JsonFlag = False,
) -> None:
    """As train, with students of a teacher that exists already."""
    _run(run, teacher, out, json)


def _run(file: Path, teacher: Path | None, out: Path, json: bool) -> None:
    from edgebci.errors import InputError
    from edgebci.pipeline.training_run.configuration import load_training_run
    from edgebci.pipeline.training_run.run import run_training

    if teacher is not None and not teacher.is_file():
        raise InputError(f"no teacher {teacher}; give the .safetensors that edgebci train left in its encoders folder")
    config = load_training_run(file)
    with progress_bar(config.name) as progress:
        result = run_training(config, out / config.name, teacher, progress)
    if json:
        print_json(result)
    else:
        _print(result, out / config.name)


def _print(result: TrainingResult, folder: Path) -> None:
    from rich.console import Console
    from rich.markup import escape

    console = Console()
    for session in result.sessions:
        console.print(_table(session))
        said = f"bundle: {folder / session.bundle}" if session.bundle else f"not exported: {session.not_exported}"
        console.print(escape(said), highlight=False)
    console.print(escape(f"the student: {result.costs}"), highlight=False)
    console.print(f"all figures: {folder / 'training.json'}, to look at: {folder / 'training.html'}", highlight=False)


def _table(session: SessionResult) -> Table:
    from rich.table import Table

    from edgebci.reporting.sentences import interval_text

    title = f"{session.session} of {session.subject}: the whole test part (95 % intervals)"
    table = Table(title=title, title_justify="left")
    for heading in ("way", *(f"R² {axis}" for axis in session.axes), "R² - ridge", "verdict", "CPU s"):
        table.add_column(heading)
    for way in session.ways:
        found = way.against_ridge
        against = (interval_text(found.difference), found.verdict.value) if found else ("", "")
        table.add_row(way.way, *map(interval_text, way.score.r2), *against, f"{way.seconds:.1f}")
    return table
