"""`edgebci bundle`: look into a bundle, and check that it is whole and computes what it should."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgebci.cli.output import JsonFlag, print_json, print_rows, progress_bar

bundle_app = typer.Typer(no_args_is_help=True, help="Look into a bundle, and check that it is whole.")
Folder = Annotated[Path, typer.Argument(help="The folder that edgebci export wrote.")]


@bundle_app.command()
def verify(
    bundle: Folder,
    steps: Annotated[int, typer.Option(min=10, help="Steps of the random stream.")] = 500,
    json: JsonFlag = False,
) -> None:
    """Compare every file with its hash, open every graph, and run them against the bit-exact reference.

    Exit code 0: all is well; 1: damaged, or it computes something else here; 2: there is no bundle.
    """
    from edgebci.pipeline.bundle_check import verify_bundle

    with progress_bar("verify") as progress:
        found = verify_bundle(bundle, steps, progress)
    if json:
        print_json(found)
        return
    rows = [
        ("files", f"{found.files}, all as their hashes say"),
        ("graphs", f"{', '.join(found.graphs)}: open in ONNX Runtime"),
        ("float", f"ONNX Runtime and onnx's reference evaluator agree over {found.float_steps} random steps"),
    ]
    if found.quantized_steps:
        rows.append(("int8", f"agrees with the bit-exact reference over {found.quantized_steps} random steps"))
    if found.parameter_block:
        rows.append(("parameter block", "its check sum is right, and it belongs to this bundle"))
    print_rows(f"{bundle} is whole", [*rows, ("id", found.bundle_id), *(("note", note) for note in found.notes)])


@bundle_app.command()
def take(
    bundle: Folder,
    parameters: Annotated[Path, typer.Argument(help="A parameters.bin that edgebci calibrate wrote elsewhere.")],
) -> None:
    """Put a parameter block that was made for this very bundle elsewhere in place of its own.

    A damaged one, or one of another bundle, is refused, and the old one stays.
    """
    from edgebci.bundle import open_bundle
    from edgebci.errors import InputError

    if not parameters.is_file():
        raise InputError(f"no file {parameters}; give the parameters.bin of a calibrated copy of this bundle")
    opened = open_bundle(bundle).with_parameters(parameters)
    typer.echo(f"{bundle} decodes with {parameters} now; its id stays {opened.manifest.bundle_id}")


@bundle_app.command()
def show(bundle: Folder, json: JsonFlag = False) -> None:
    """Say what a bundle is for, what it is worth and what it was made from."""
    from edgebci.cli.export import print_result
    from edgebci.pipeline.export_result import read_result

    result = read_result(bundle)
    if json:
        print_json(result)
    else:
        print_result(result)
