"""`edgebci bundle time` and `edgebci bundle hash`: what a bundle does on this machine, and on another processor."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgebci.cli.output import JsonFlag, print_json, print_rows, progress_bar

Folder = Annotated[Path, typer.Argument(help="The folder that edgebci export wrote.")]


def time_bundle(
    bundle: Folder,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of 50 steps of each form.")] = 20,
    json: JsonFlag = False,
) -> None:
    """Measure how long a step of each form takes on this machine, all side by side, and say whether int8 is faster.

    The graphs run in ONNX Runtime with bound buffers on one thread; the C is compiled for this machine. Nothing here
    tells what a chip needs: `edgebci simulate` does.
    """
    from edgebci.pipeline.bundle_on_host import host_sentence
    from edgebci.pipeline.bundle_on_host import time_bundle as run

    with progress_bar("time") as progress:
        found = run(bundle, rounds, progress)
    if json:
        print_json(found)
        return
    rows = [
        (
            one.form,
            f"{one.median_us:.1f} µs in the median, 99 % below {one.p99_us:.1f} µs, longest {one.slowest_us:.1f} µs",
        )
        for one in found.times
    ]
    rows += [("result", sentence) for sentence in [host_sentence(found)] if sentence]
    print_rows(f"a step of {bundle}, measured over {found.steps:,} of each form", rows)


def hash_bundle(
    bundle: Folder,
    frames: Annotated[int, typer.Option(min=1, help="Frames, or chunks of spikes, that saturate.")] = 200,
    json: JsonFlag = False,
) -> None:
    """Hash what the C and its reference give on saturating input, here and on an emulated Haswell (qemu-user).

    Exit code 0: equal bits, or qemu-x86_64 is absent, which is said; 1: other bits; 2: nothing to compare.
    """
    from edgebci.pipeline.bundle_on_host import hash_bundle as run

    found = run(bundle, frames)
    if json:
        print_json(found)
        return
    rows = [(f"{one.form}, {one.machine}", one.sha256) for one in found.hashes]
    print_rows(f"{bundle} over {found.rows:,} rows of counts", [*rows, ("result", found.sentence())])
