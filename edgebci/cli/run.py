"""`edgebci run`: all of it, from one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgebci.cli.output import JsonFlag, print_json, progress_bar


def run(
    pipeline: Annotated[Path, typer.Argument(help="A pipeline TOML, for example examples/quickstart.toml.")],
    recording: Annotated[
        Path | None, typer.Option(help="Use this recording (.nwb or .h5) in place of its own.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of all runs; this run gets a folder of its name in it.")] = Path(
        "runs"
    ),
    json: JsonFlag = False,
) -> None:
    """Take a recording to a decoder on an emulated implant chip, and report what it costs.

    Finished stages are kept: an interrupted run goes on where it was, and gives the same result.
    """
    from edgebci.pipeline.configuration import load_pipeline
    from edgebci.pipeline.run import run_pipeline

    config = load_pipeline(pipeline, recording)
    with progress_bar(config.name) as progress:
        report = run_pipeline(config, out / config.name, _command(pipeline, recording), progress)
    if json:
        print_json(report)
        return
    from edgebci.cli.summary import print_summary

    print_summary(report, out / config.name)


def _command(pipeline: Path, recording: Path | None) -> str:
    return f"edgebci run {pipeline}" + (f" --recording {recording}" if recording else "")
