"""`edgebci bench`: how fast this machine trains, and how fast it runs a bundle."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from edgebci.cli.bench_bundle import bench_bundle
from edgebci.cli.output import JsonFlag, print_json, print_rows, progress_bar

if TYPE_CHECKING:
    from edgebci.training.throughput import Row

bench_app = typer.Typer(
    no_args_is_help=True, help="How fast this machine trains and runs a bundle, beside other implementations."
)
bench_app.command("bundle")(bench_bundle)


class BenchSize(StrEnum):
    """Which model to train."""

    small = "small"
    base = "base"
    both = "both"


@bench_app.command()
def train(
    size: Annotated[BenchSize, typer.Option(help="d_model 64 and batch 8, d_model 256 and batch 4, or both.")] = (
        BenchSize.both
    ),
    repeats: Annotated[int, typer.Option(min=1, help="Rounds, in each of which everything trains once.")] = 12,
    bf16: Annotated[bool, typer.Option("--bf16", help="Add rows in bfloat16, for us and for transformers.")] = False,
    compiled: Annotated[bool, typer.Option("--compiled", help="Add rows with torch.compile, for both.")] = False,
    json: JsonFlag = False,
) -> None:
    """Measure training: tokens per second of the Mamba-2 core beside transformers and the two plain forms.

    One token is one frame of one stream, trained on: forward, backward and update, on two cores.
    """
    from edgebci.training.throughput import BF16, COMPILED, CONTENDERS, SIZES, measure

    names = tuple(name for name in SIZES if size in (name, BenchSize.both))
    contenders = CONTENDERS + BF16 * bf16 + COMPILED * compiled
    with progress_bar("bench train") as progress:
        result = measure(names, repeats, contenders, progress=progress)
    if json:
        print_json(result)
        return
    load = " ".join(f"{value:.1f}" for value in result.load_average)
    title = f"tokens/s in training, {result.threads} threads, {result.rounds} rounds, load before {load}"
    print_rows(title, [_shown(row) for row in result.rows])


def _shown(row: Row) -> tuple[str, str]:
    kind = f"{row.size}, {row.precision}{', compiled' if row.compiled else ''}: {row.name}"
    spread = f"{row.slowest_tokens_per_s:,.0f} to {row.fastest_tokens_per_s:,.0f}"
    return kind, (
        f"{row.tokens_per_s:,.0f} ({spread}); ours is {row.ours_is_faster:.2f}x as fast; "
        f"{row.n_parameters:,} parameters; first update {row.first_update_s:.1f} s"
    )
