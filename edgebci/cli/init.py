"""`edgebci init`: a pipeline for your own recording."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def init(
    recording: Annotated[Path, typer.Argument(help="Your recording: .nwb, or .h5 in temporaldata's layout.")],
    out: Annotated[Path, typer.Option(help="Where to write the pipeline; what stands there is never replaced.")] = Path(
        "pipeline.toml"
    ),
    target: Annotated[str | None, typer.Option(help="The behaviour to decode; without it, the one that fits.")] = None,
    lfp: Annotated[str | None, typer.Option("--lfp", help="Name of the ElectricalSeries, where there are several.")] = (
        None
    ),
) -> None:
    """Write a pipeline TOML for a recording, with comments: `edgebci run` takes it as it is.

    Looks at what the recording holds (rate, channels, behaviour), not at its samples.
    """
    from edgebci.pipeline.initial_pipeline import write_initial_pipeline

    config = write_initial_pipeline(recording, out, target, lfp)
    bands = ", ".join(f"{band.low_hz:g}-{band.high_hz:g}" for band in config.features.bands)
    typer.echo(f"{out}: decodes {config.recording.target} from bands of {bands} Hz; next: edgebci run {out}")
