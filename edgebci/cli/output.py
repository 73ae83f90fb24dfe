"""What commands share: JSON for programs, tables for people, one progress bar."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.console import Console

    from edgebci.progress import Progress

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON for a program instead of a table.")]


def print_json(model: BaseModel) -> None:
    """Write one JSON document to standard output."""
    typer.echo(model.model_dump_json(indent=2))


def print_rows(title: str, rows: list[tuple[str, str]]) -> None:
    """Write a two-column table."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=title, show_header=False, title_justify="left")
    for name, value in rows:
        table.add_row(escape(name), escape(value))
    Console().print(table)


@contextmanager
def progress_bar(title: str) -> Iterator[Progress]:
    """One bar on standard error, so that standard output stays clean for --json and pipes; a log gets lines instead."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _line_for_each_stage(console, title)
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"))
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console) as bar:
        task = bar.add_task(title, total=1.0)
        yield lambda fraction, note: bar.update(task, completed=fraction, description=f"{title} [dim]{note}[/]")


def _line_for_each_stage(console: Console, title: str) -> Progress:
    """A note is `stage: detail`, or one text with changing digits; a log shows each once, when it begins."""
    last = ""

    def report(fraction: float, note: str) -> None:
        nonlocal last
        stage = note.partition(":")[0]
        without_digits = stage.translate(dict.fromkeys(map(ord, "0123456789.")))
        if without_digits != last:
            console.print(f"{title} {fraction:4.0%} {stage}", highlight=False)
            last = without_digits

    return report
