"""`edgebci run-on-target`: a bundle's device program on an emulated core, over a recording."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgebci.cli.output import JsonFlag, print_json, print_rows, progress_bar

if TYPE_CHECKING:
    from edgebci.pipeline.cycle_costs import Cost
    from edgebci.pipeline.run_on_target import PlainReport, RunReport, TargetReport


def run_on_target(
    bundle: Annotated[Path, typer.Argument(help="The folder that edgebci export wrote; it holds the C.")],
    core: Annotated[
        str,
        typer.Option(help="cortex-m4f, cortex-m7, cortex-m33; with Debian's QEMU cortex-m55, aarch64, riscv32."),
    ],
    recording: Annotated[Path, typer.Option(help="A recording (.nwb or .h5) of the same channels and rate.")],
    seconds: Annotated[float, typer.Option(min=0.001, help="So much from the beginning of it.")] = 10.0,
    lines: Annotated[int, typer.Option(min=0, help="How many functions and source lines the table shows.")] = 12,
    lfp: Annotated[str | None, typer.Option(help="Name of the ElectricalSeries, where there are several.")] = None,
    board: Annotated[
        str | None,
        typer.Option(help="Add what the flash of a board costs, for example stm32l4r5."),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Compile the bundle's C for a core and run the binary over a recording, emulated.

    Gives outputs, instructions and bytes (exact), and cycles by part, function and source line (modelled, each with
    the band of its core). Of a decoder in fixed point it also says what bounds each part and how far it is from that.
    Every output is compared with the host's, bit for bit. Of aarch64 and riscv32 no cycles are modelled.

    Exit code 0: equal; 1: the core computed something else; 2: nothing to run.
    """
    from edgebci.pipeline.run_on_target import TargetOrder, run_bundle_on_target

    order = TargetOrder(bundle=bundle, core=core, recording=recording, seconds=seconds, lfp=lfp, board=board)
    with progress_bar("run-on-target") as progress:
        report = run_bundle_on_target(order, progress)
    if json:
        print_json(report)
        return
    title = f"{bundle} on {core} over {recording}"
    if report.schema_version == "edgebci.plain_run/1":
        print_rows(title, [_outputs(report), ("instructions", _plain_instructions(report))])
        return
    print_rows(title, _rows(report))
    if report.parts:
        bounds = [(one.name, one.sentence()) for one in report.parts]
        print_rows(f"cycles a step of the decoder, and what bounds them ({report.band})", bounds)
    print_rows(f"cycles a step by function ({report.band})", _shares(report, report.functions[:lines]))
    print_rows(f"cycles a step by line ({report.band})", _shares(report, report.lines[:lines]))


def _outputs(report: RunReport) -> tuple[str, str]:
    last = ", ".join(f"{value:.6g}" for value in report.outputs[-1])
    reference = " and the NumPy reference's" if report.equals_reference else ""
    equal = f"{report.steps:,}, {report.valid_steps:,} valid, all equal to the host's{reference}; the last: {last}"
    return "outputs", equal


def _plain_instructions(report: PlainReport) -> str:
    if report.instructions is None:
        return f"not counted by {report.emulator}; no cycles are modelled for {report.core}"
    each = f"{report.instructions / report.steps:,.0f} a step, its input and output included"
    return f"{report.instructions:,} counted, {each}; no cycles are modelled for {report.core}"


def _rows(report: TargetReport) -> list[tuple[str, str]]:
    rows = [
        _outputs(report),
        ("instructions", f"{report.instructions:,} counted, {report.instructions / report.steps:,.0f} a step"),
    ]
    rows += [
        (f"cycles, {step.name}", f"{step.mean_cycles:,.0f} in the mean, {step.worst_cycles:,} at most, {report.band}")
        for step in report.step_cycles
    ]
    forms = f"decoder in {report.arithmetic} arithmetic, front end in {report.front_end}"
    rows.append(
        ("whole device", f"{report.device_cycles_per_s / 1e6:.2f} million cycles a second, {report.band}; {forms}")
    )
    if report.flash is not None:
        rows.append(("with flash", f"over all steps: {report.flash.sentence()}"))
    memory = f"{report.flash_bytes:,} bytes of flash, {report.ram_bytes:,} of RAM, {report.stack_bytes:,} of it stack"
    return [*rows, ("memory", memory)]


def _shares(report: TargetReport, costs: tuple[Cost, ...]) -> list[tuple[str, str]]:
    return [
        (
            cost.name,
            f"{cost.cycles / report.steps:,.0f} cycles, {cost.cycles / report.cycles:.1%}; "
            f"{cost.instructions / report.steps:,.0f} instructions",
        )
        for cost in costs
    ]
