"""`edgebci bench bundle`: the generated C on this machine, beside ONNX Runtime and torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgebci.cli.output import JsonFlag, print_json, print_rows, progress_bar

if TYPE_CHECKING:
    from edgebci.pipeline.host_bench_result import BareTime, BenchTime, HostBench


def bench_bundle(
    bundle: Annotated[Path, typer.Argument(help="The folder that edgebci export wrote.")],
    checkpoint: Annotated[
        Path | None, typer.Option(help="The checkpoint that the bundle was exported from: times torch too.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of 50 steps of each form, back to back.")] = 100,
    ticks: Annotated[int, typer.Option(min=1, help="Steps of each form at the rate of the stream.")] = 500,
    json: JsonFlag = False,
) -> None:
    """Time the decoder's C, compiled for this machine, against ONNX Runtime and torch, all in one run.

    First every form's outputs are compared with those of its reference. Then all take turns: back to back, and at the
    rate of the stream, where each step begins on a processor that has slept. One thread each.

    Exit code 1: a form does not compute what it should; 2: there is no bundle of a decoder of frames in int8.
    """
    from edgebci.pipeline.host_bench import bench_bundle as run

    with progress_bar("bench") as progress:
        found = run(bundle, checkpoint, rounds, ticks, progress)
    if json:
        print_json(found)
    else:
        _show(found)


def _show(found: HostBench) -> None:
    load = " ".join(f"{value:.1f}" for value in found.load_average)
    print_rows(
        f"one step of {found.bundle} from Python, measured in turns; load before {load}",
        [(f"{one.name}, {one.pace}", _quantiles(one)) for one in found.times],
    )
    print_rows(
        "one step without Python, measured in turns", [(_bare(one), f"{one.p50_us:.2f} µs") for one in found.bare]
    )
    rows = [(f"host library against ONNX Runtime, {one.what}", one.sentence()) for one in found.speeds]
    rows.append(("kernels of the host library", f"instructions: {found.instructions}"))
    rows += [("agreement", f"{one.name}: {one.relative_error:.1e} from {one.against}") for one in found.agreements]
    print_rows("result", [*rows, *(("note", note) for note in found.notes)])


def _quantiles(one: BenchTime) -> str:
    return f"{one.p50_us:.2f} µs, 99 % below {one.p99_us:.2f}, 99.9 % below {one.p999_us:.2f}; {one.steps:,} steps"


def _bare(one: BareTime) -> str:
    return f"{one.runtime}, {one.form}: {one.how}"
