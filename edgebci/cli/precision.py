"""`edgebci precision`: what widths of weights and states cost, where states hold in int8, and which to take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgebci.cli.output import JsonFlag, print_json, print_rows, progress_bar

if TYPE_CHECKING:
    from edgebci.pipeline.cycle_table import CycleTable
    from edgebci.pipeline.precision_frontier import Frontier

precision_app = typer.Typer(no_args_is_help=True, help="Widths of weights and states: what they cost and lose.")

CheckpointArgument = Annotated[Path, typer.Argument(help="A checkpoint (.safetensors).")]
PreparedOption = Annotated[
    Path | None,
    typer.Option(help="Folder with frames.safetensors; without it, that of the checkpoint's own run folder."),
]


@precision_app.command()
def cycles(
    out: Annotated[Path | None, typer.Option(help="Write the table (TOML) here.")] = None,
    json: JsonFlag = False,
) -> None:
    """Measure cycles per MAC and per element of state in every width on the emulated Cortex-M4F.

    Instructions are counted, cycles are modelled at zero wait states. Takes about a minute. What the search uses by
    default came from this command.
    """
    from edgebci.files import write_text
    from edgebci.pipeline.cycle_table import measure_cycle_table

    with progress_bar("precision cycles") as progress:
        table = measure_cycle_table(progress=progress)
    if out is not None:
        write_text(out, table.toml())
    if json:
        print_json(table)
        return
    print_rows(f"cycles on {table.core}, {table.evidence}", _table_rows(table))


@precision_app.command()
def search(
    checkpoint: CheckpointArgument,
    max_loss: Annotated[float, typer.Option(help="What may be lost in R² (in detection: AUROC).")] = 0.01,
    prepared: PreparedOption = None,
    out: Annotated[Path | None, typer.Option(help="Write precision.json and precision.svg into this folder.")] = None,
    json: JsonFlag = False,
) -> None:
    """Search the width of each tensor on validation frames, against the cycles and bytes of a Cortex-M4F.

    Shows every assignment that was tried; the one with a star is what `edgebci export --precision mixed` takes.
    """
    from edgebci.pipeline.export_frames import FrameSource
    from edgebci.pipeline.precision_command import search_checkpoint

    with progress_bar("precision search") as progress:
        frontier = search_checkpoint(checkpoint, FrameSource(prepared=prepared), max_loss, out, progress)
    if json:
        print_json(frontier)
        return
    print_rows(f"widths on {frontier.core}", _frontier_rows(frontier))
    print_rows("chosen", [("widths", frontier.sentence())])


@precision_app.command()
def decay(checkpoint: CheckpointArgument, prepared: PreparedOption = None, json: JsonFlag = False) -> None:
    """Tell where the states hold in int8: time constants, ranges, and the noise of rounding against the signal."""
    from edgebci.pipeline.export_frames import FrameSource
    from edgebci.pipeline.precision_command import decay_of_checkpoint

    with progress_bar("precision decay") as progress:
        report = decay_of_checkpoint(checkpoint, FrameSource(prepared=prepared), progress)
    if json:
        print_json(report)
        return
    rows = [(line.partition(": ")[0], line.partition(": ")[2]) for line in report.sentences()]
    loss = f"{report.int8_r2_loss:.2g} of R² in int8, {report.int16_r2_loss:.2g} in int16"
    print_rows(f"states over {report.frames:,} frames", [*rows, ("all states rounded", f"{loss}, against float")])


@precision_app.command()
def losses(checkpoint: CheckpointArgument, prepared: PreparedOption = None, json: JsonFlag = False) -> None:
    """Compare observers, smoothing and widths, each alone, by what it loses on validation frames."""
    from edgebci.pipeline.export_frames import FrameSource
    from edgebci.pipeline.precision_command import losses_of_checkpoint

    with progress_bar("precision losses") as progress:
        found = losses_of_checkpoint(checkpoint, FrameSource(prepared=prepared), progress)
    if json:
        print_json(found)
        return
    title = f"loss in {found.figure} to float ({found.float_accuracy:.3f}) on {found.frames:,} validation frames"
    rows = [
        (way.name, f"{way.loss.value:.5f} ({way.loss.low:.5f} to {way.loss.high:.5f}), noise {way.noise:.2g}")
        for way in found.ways
    ]
    print_rows(title, rows)


def _table_rows(table: CycleTable) -> list[tuple[str, str]]:
    dense = [
        (
            f"dense, int{row.bits} weights",
            f"{row.per_mac:.2f} per MAC + {row.per_row:.0f} per row + {row.per_column:.0f} per column",
        )
        for row in table.dense
    ]
    return dense + [(f"{row.cell} state, int{row.bits}", f"{row.per_element:.1f} per element") for row in table.states]


def _frontier_rows(frontier: Frontier) -> list[tuple[str, str]]:
    return [
        (
            f"{'* ' if i == frontier.chosen_index else ''}{point.name}",
            f"loses {point.loss.value:.4f} ({point.loss.low:.4f} to {point.loss.high:.4f}), "
            f"{point.cycles:,.0f} cycles, {point.bytes:,} bytes",
        )
        for i, point in enumerate(frontier.points)
    ]
