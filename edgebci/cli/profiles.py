"""`edgebci profiles`: the hardware that a decoder can be put into."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgebci.cli.output import JsonFlag, print_json, print_rows

profiles_app = typer.Typer(
    no_args_is_help=True, help="Implants, radios, chips and tissues, every number with its source."
)


@profiles_app.command("list")
def list_profiles(json: JsonFlag = False) -> None:
    """List the shipped profiles."""
    from edgebci.hardware import check_shipped_profiles

    profiles = check_shipped_profiles()
    if json:
        from pydantic import RootModel

        print_json(RootModel[list[tuple[str, str, str]]]([(p.folder, p.name, p.title) for p in profiles]))
        return
    print_rows("hardware profiles", [(f"{p.folder}/{p.name}", p.title) for p in profiles])


@profiles_app.command()
def show(kind: str, name: str, json: JsonFlag = False) -> None:
    """Show every number of one profile; KIND is implant, radio, compute or tissue."""
    from edgebci.documents import nearest
    from edgebci.errors import InputError
    from edgebci.hardware import MODELS, load_profile
    from edgebci.quantity import quantities

    if kind not in MODELS:
        raise InputError(f"no kind of profile {kind!r}; {nearest(kind, list(MODELS))}")
    profile = load_profile(MODELS[kind], name)
    if json:
        print_json(profile)
        return
    rows = [
        (path, f"{q.low:g} … {q.typical:g} … {q.high:g} {q.unit}  [{q.evidence_class}] {q.source}")
        for path, q in quantities(profile).items()
    ]
    print_rows(profile.title, rows)


@profiles_app.command()
def check(file: Annotated[Path, typer.Argument(help="Your own profile.")], json: JsonFlag = False) -> None:
    """Check a profile of your own; exit code 2 and one sentence if something is missing."""
    from edgebci.hardware import check_profile

    profile = check_profile(file)
    if json:
        print_json(profile)
        return
    typer.echo(f"{file} is a complete profile: {profile.title}")
