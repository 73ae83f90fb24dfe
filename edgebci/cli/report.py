"""`edgebci report`: the page of a finished run, or of two side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    run: Annotated[Path, typer.Argument(help="The folder of a finished run, or its report.json.")],
    other: Annotated[
        Path | None, typer.Argument(help="A second one, to stand beside it; its figures are compared with the first's.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Page to write; without it, report.html in the run, or comparison.html."),
    ] = None,
) -> None:
    """Draw a run's report.html again, or two runs side by side on one page.

    Runs that decoded the same test frames are compared frame by frame, with a verdict; others by their own intervals.
    """
    from edgebci.files import write_text
    from edgebci.reporting import load_report
    from edgebci.reporting.page import render

    if other is None:
        loaded = load_report(run)
        page = out or (run if run.is_dir() else run.parent) / "report.html"
        render(loaded, page)
    else:
        from edgebci.pipeline.run_comparison import compare_runs
        from edgebci.reporting.pair_page import pair_page

        pair = compare_runs(run, other)
        page = out or Path("comparison.html")
        write_text(page, pair_page(pair.first, pair.second, pair.paired, pair.not_paired))
    typer.echo(f"{page} opens in any browser")
