"""`edgebci reproduce realm`: our figures on the public recordings beside the published ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgebci.cli.output import JsonFlag, print_json, progress_bar

if TYPE_CHECKING:
    from rich.table import Table

    from edgebci.pipeline.reproduction.frames import Preprocessing
    from edgebci.pipeline.reproduction.result import Reproduction
    from edgebci.pipeline.reproduction.run import Protocol


def reproduce_realm(
    data: Annotated[Path, typer.Option(help="Folder of recordings from edgebci data fetch.")] = Path("public"),
    quick: Annotated[bool, typer.Option("--quick", help="Small networks, few epochs, one seed: that it runs.")] = False,
    preprocessing: Annotated[
        str, typer.Option(help="causal (ours), or paper: zero-phase, for reproduction only.")
    ] = "causal",
    recipe: Annotated[Path | None, typer.Option(help="A REALM recipe (TOML) instead of the published one.")] = None,
    runs: Annotated[Path, typer.Option(help="Folder of all runs; this one gets a folder in it.")] = Path("runs"),
    json: JsonFlag = False,
) -> None:
    """Train REALM's teacher and students on public recordings and score them as published, figure beside figure.

    Finished encoders and trials are kept: an interrupted run goes on where it was. The published sizes need a GPU.
    """
    from edgebci.pipeline.reproduction.run import RESULT_NAME
    from edgebci.pipeline.reproduction.run import reproduce_realm as reproduce

    protocol, name = _protocol(preprocessing, quick, recipe)
    root = runs / "realm" / name
    with progress_bar("reproduce realm") as progress:
        result = reproduce(data, protocol, root, progress)
    if json:
        print_json(result)
        return
    _print(result)
    typer.echo(f"all figures: {root / RESULT_NAME}")


def _protocol(preprocessing: str, quick: bool, recipe: Path | None) -> tuple[Protocol, str]:
    """What to run, and the name of its folder."""
    from edgebci.documents import load_toml, nearest
    from edgebci.errors import InputError
    from edgebci.pipeline.reproduction.published import SEEDS
    from edgebci.pipeline.reproduction.recipes import is_published, on_frames, published_recipe, quick_recipe
    from edgebci.pipeline.reproduction.run import Protocol
    from edgebci.training.realm.recipe import RealmRecipe

    if preprocessing not in ("causal", "paper"):
        raise InputError(f"no preprocessing {preprocessing!r}; {nearest(preprocessing, ['causal', 'paper'])}")
    frames: Preprocessing = "paper" if preprocessing == "paper" else "causal"
    seeds = SEEDS[:1] if quick else SEEDS
    if recipe is not None:
        loaded = on_frames(load_toml(recipe, RealmRecipe), frames)
        return Protocol(frames, loaded, seeds, is_published(loaded, frames)), f"{frames}_{recipe.stem}"
    if quick:
        return Protocol(frames, quick_recipe(frames), seeds, is_published_size=False), f"{frames}_quick"
    return Protocol(frames, published_recipe(frames), seeds), frames


def _print(result: Reproduction) -> None:
    from rich.console import Console
    from rich.markup import escape

    console = Console()
    console.print(escape(result.mark), style="bold", highlight=False)
    console.print(_figures(result))
    console.print(_protocols(result))


def _figures(result: Reproduction) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table(title="REALM on public recordings: R², mean over axes and seeds", title_justify="left")
    for heading in ("where", "way", "here", "sd", "published", "difference", "sessions"):
        table.add_column(heading, no_wrap=heading == "where", overflow="fold")
    for line in result.lines:
        of = "" if line.n_sessions_published is None else f" of {line.n_sessions_published}"
        table.add_row(
            escape(line.where),
            line.way,
            f"{line.r2:.3f}",
            _figure(line.sd_over_seeds, ".3f"),
            _figure(line.published_r2, ".3f"),
            _figure(line.difference, "+.3f"),
            f"{line.n_sessions}{of}",
        )
    return table


def _protocols(result: Reproduction) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table(title="Protocol here, against the published one", title_justify="left")
    for heading in ("topic", "", "here"):
        table.add_column(heading, overflow="fold")
    for topic in result.protocol:
        table.add_row(topic.name, "same" if topic.is_same else "DIFFERS", escape(topic.sentence))
    return table


def _figure(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
