"""`edgebci cycles`: what any bare-metal program takes on a core."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgebci.cli.output import JsonFlag, print_json, print_rows

if TYPE_CHECKING:
    from edgebci.pipeline.program_cycles import ProgramCycles


def cycles(
    program: Annotated[Path, typer.Argument(help="A linked ELF for a Cortex-M.")],
    core: Annotated[
        str | None, typer.Option(help="cortex-m4f, cortex-m7 or cortex-m33; without it, what the ELF says.")
    ] = None,
    entry: Annotated[
        str | None, typer.Option(help="Start at this function, with a stack of our own, and end where it returns.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="End where the program comes to this symbol.")] = None,
    board: Annotated[
        str | None,
        typer.Option(help="Add what the flash of a board costs, for example stm32l4r5."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Give up after so many instructions.")] = 2_000_000_000,
    rows: Annotated[int, typer.Option(min=0, help="How many functions and source lines the table shows.")] = 12,
    json: JsonFlag = False,
) -> None:
    """Emulate a program on a core and model its cycles, so that the model can be held against silicon.

    It starts at the ELF's entry with the stack of its vector table (where it begins with one) and ends at BKPT, at
    semihosting's exit (BKPT 0xAB, R0 = 0x18 or 0x20), where the entry returns, or at --until. Its code lies in one
    segment; RAM is what its variables and stack need and 1 MiB behind them; there are no peripherals and no
    interrupts. Semihosting's output is shown. Compile with -g for cycles by source line.

    Instructions are counted; cycles are modelled, at zero wait states. Exit code 0: it ended; 1: it faulted or did not
    end; 2: no program that this can run.
    """
    from edgebci.pipeline.program_cycles import program_cycles

    found = program_cycles(program, core, entry, until, limit, board)
    if json:
        print_json(found)
        return
    print_rows(f"{program} on {found.core}", _rows(found))
    for title, costs in (("function", found.functions), ("line", found.lines)):
        if costs:
            print_rows(
                f"cycles by {title} ({found.band})",
                [
                    (c.name, f"{c.cycles:,} cycles, {c.cycles / found.cycles:.1%}; {c.instructions:,}")
                    for c in costs[:rows]
                ],
            )


def _rows(found: ProgramCycles) -> list[tuple[str, str]]:
    rows = [
        ("ended", f"{found.ended}, code {found.exit_code}"),
        ("instructions", f"{found.instructions:,} counted"),
        ("cycles", f"{found.cycles:,}, {found.cycles / found.instructions:.3f} an instruction; {found.band}"),
        ("the model", f"against silicon, {found.validation} (edgebci/pipeline/cycle_validation.toml)"),
        ("may be spared", f"{found.avoidable_cycles:,} cycles, by the data: divisions, conditions that fail"),
    ]
    if found.flash is not None:
        rows.append(("with flash", found.flash.sentence()))
    rows.append(
        (
            "emulated at",
            f"{found.emulated_per_s / 1e6:,.0f} million instructions per second of processor time; measured",
        )
    )
    if found.stack_bytes is not None:
        rows.append(("stack", f"{found.stack_bytes:,} bytes at most"))
    return [*rows, ("printed", found.printed)] if found.printed else rows
