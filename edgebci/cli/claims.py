"""`edgebci reproduce claims`: what the papers claim, tried on synthetic subjects and on two rats."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgebci.cli.output import JsonFlag, print_json, print_rows, progress_bar

if TYPE_CHECKING:
    from edgebci.pipeline.studies.table import Row, TimeRow


def claims(
    full: Annotated[
        bool, typer.Option("--full/--quick", help="Hours, for a verdict; or minutes, to see that it runs.")
    ] = False,
    only: Annotated[list[str] | None, typer.Option(help="Run this study alone; may be given several times.")] = None,
    runs: Annotated[Path, typer.Option(help="Folder of all runs; the studies get a folder in it.")] = Path("runs"),
    json: JsonFlag = False,
) -> None:
    """Try what the papers claim on synthetic subjects and on two rats, against the same student without help and
    against ridge.

    Finished trials are kept: an interrupted study goes on where it was, and one that is
    started twice, in two terminals, takes half as long.
    """
    from edgebci.pipeline.studies.reproduce import reproduce, studies_root
    from edgebci.pipeline.studies.size import FULL, QUICK

    size = FULL if full else QUICK
    with progress_bar(f"claims, {size.name}") as progress:
        table = reproduce(size, studies_root(runs, size), only or [], progress)
    if json:
        print_json(table)
        return
    print_rows(f"claims, {size.name}", [(row.question, _answer(row)) for row in table.rows])
    for race in table.times:
        typer.echo(f"{race.question} {_ratio(race)}")
    for sentence in table.not_run:
        typer.echo(f"not run: {sentence}")


def _ratio(race: TimeRow) -> str:
    ratio = race.ratio
    return (
        f"{ratio.value:.1f} times ({ratio.low:.1f} to {ratio.high:.1f}; the paper says {race.claimed_ratio:g}), "
        f"as good in {race.reached} of {race.races} races of {race.n_subjects} subjects; the large model took "
        f"{race.large_s:.0f} CPU s, all encoders before {race.pretraining_s:.0f} s"
    )


def _answer(row: Row) -> str:
    found = row.comparison
    d = found.difference
    outcome = {True: "as expected", False: "NOT as expected", None: "open"}[row.holds]
    return (
        f"{row.candidate} {found.candidate_r2:.3f}, {row.reference} {found.reference_r2:.3f}: "
        f"{d.value:+.3f} ({d.low:+.3f} to {d.high:+.3f}), {found.verdict}; {outcome}\n"
        f"{found.n_subjects} subjects, {found.n_sessions} sessions, {found.n_seeds} seeds; {found.reason}"
    )
