"""`edgebci profiles`: the hardware that a decoder can be put into."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgebci.cli.output import JsonFlag, print_json, print_rows

profiles_app = typer.Typer(
    no_args_is_help=True, help="Implants, radios, chips, boards and tissues, every number with its source."
)

Kind = Annotated[str, typer.Argument(help="implant, radio, compute, board, tissue, band, signal, core or memory.")]
Name = Annotated[str, typer.Argument(help="Name of a shipped profile, or the path of your own .toml file.")]


@profiles_app.command("list")
def list_profiles(json: JsonFlag = False) -> None:
    """List the shipped profiles, with how many of their numbers are assumed."""
    from edgebci.hardware import check_shipped_profiles
    from edgebci.quantity import quantities

    profiles = check_shipped_profiles()
    if json:
        from pydantic import RootModel

        print_json(RootModel[list[tuple[str, str, str]]]([(p.folder, p.name, p.title) for p in profiles]))
        return
    rows = []
    for profile in profiles:
        classes = [quantity.evidence_class for quantity in quantities(profile).values()]
        rows.append(
            (
                f"{profile.folder}/{profile.name}",
                f"{profile.title}  [{classes.count('assumed')} of {len(classes)} numbers assumed]",
            )
        )
    print_rows("hardware profiles", rows)


@profiles_app.command()
def show(kind: Kind, name: Name, json: JsonFlag = False) -> None:
    """Show every number of one profile, those first that are assumed."""
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
    numbers = sorted(quantities(profile).items(), key=lambda named: named[1].evidence_class != "assumed")
    rows = [
        (path, f"{q.low:g} … {q.typical:g} … {q.high:g} {q.unit}  [{q.evidence_class}] {q.source}")
        for path, q in numbers
    ]
    assumed = sum(q.evidence_class == "assumed" for _, q in numbers)
    print_rows(f"{profile.title} ({assumed} of {len(rows)} numbers assumed: these first)", rows)


@profiles_app.command()
def check(
    file: Annotated[Path | None, typer.Argument(help="Your own profile; without it, all that are shipped.")] = None,
    json: JsonFlag = False,
) -> None:
    """Check a profile of your own; exit code 2 and one sentence if something is missing."""
    from edgebci.hardware import check_profile, check_shipped_profiles

    if file is None:
        typer.echo(f"all {len(check_shipped_profiles())} shipped profiles are complete")
        return
    profile = check_profile(file)
    if json:
        print_json(profile)
        return
    typer.echo(f"{file} is a complete profile: {profile.title}")


@profiles_app.command()
def schema(
    kind: Kind, out: Annotated[Path | None, typer.Option(help="Write it to this file instead of the terminal.")] = None
) -> None:
    """Write the JSON schema of a kind of profile, for editors: name it in the TOML file as #:schema FILE."""
    import json

    from edgebci.files import replacing
    from edgebci.hardware_schema import profile_schema

    text = json.dumps(profile_schema(kind), indent=2) + "\n"
    if out is None:
        typer.echo(text, nl=False)
        return
    with replacing(out) as path:
        path.write_text(text, encoding="utf-8")
    typer.echo(f"{out} is the schema of a {kind} profile")


@profiles_app.command("step")
def step_on_board(
    board: Annotated[str, typer.Argument(help="Name or .toml file of a board: a Jetson, a Raspberry Pi.")],
    macs: Annotated[int, typer.Option(min=1, help="Multiply-accumulates of one step.")],
    moved: Annotated[int, typer.Option("--bytes", min=1, help="Bytes read and written: weights and states.")],
    kernels: Annotated[int, typer.Option(min=1, help="Kernels launched in one step.")] = 20,
    mode: Annotated[str | None, typer.Option(help="Power mode of the board; the first without it.")] = None,
    measured: Annotated[Path | None, typer.Option(help="What benchmark.py wrote on the board.")] = None,
    json: JsonFlag = False,
) -> None:
    """Say what a step takes on a board: estimated from its roof, never judged; or as it was measured there."""
    from edgebci.board_measurement import load_measurement
    from edgebci.firmware_sim.board_estimate import BoardWork, board_step
    from edgebci.hardware import Board, load_profile

    profile = load_profile(Board, board)
    work = BoardWork(macs=macs, bytes_moved=moved, kernels=kernels)
    file = None if measured is None else load_measurement(measured)
    step = board_step(profile, mode or next(iter(profile.modes)), work, file)
    if json:
        print_json(step)
        return
    taken = step.step_us
    rows = [("step", f"{taken.typical:.4g} ({taken.low:.4g} to {taken.high:.4g}) us, {step.basis}"), ("", step.says)]
    print_rows(f"{profile.title}, {step.mode}", rows)


@profiles_app.command()
def validate(json: JsonFlag = False) -> None:
    """Hold the models of power against published devices and boards; a bound that is missed is called so."""
    from edgebci.cli.validation_tables import validation_tables
    from edgebci.firmware_sim.validation.report import validate as hold_against_cases

    report = hold_against_cases()
    if json:
        print_json(report)
        return
    for title, rows in validation_tables(report):
        print_rows(title, rows)
    for sentence in report.fitted:
        typer.echo(f"Fitted. {sentence}")
