"""`edgebci cycles`: the cycles of any bare-metal program, as a document."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from edgebci.documents import Document
from edgebci.errors import InputError
from edgebci.firmware_sim.bare_program import BareRun, run_bare
from edgebci.firmware_sim.cores import Core, core_of
from edgebci.firmware_sim.firmware_image import FirmwareImage
from edgebci.pipeline.cycle_costs import (
    Cost,
    FlashCost,
    board_memory,
    emulated_core,
    flash_cost,
    function_costs,
    line_costs,
)
from edgebci.pipeline.cycle_validation import load_cycle_validation


class ProgramCycles(Document):
    """What a program took: instructions are counted, cycles are modelled at zero wait states."""

    schema_version: Literal["edgebci.program_cycles/1"] = "edgebci.program_cycles/1"
    program: str
    core: str
    evidence: Literal["model", "estimate"]
    error_fraction: float
    branchy_error_fraction: float
    band: str
    """What is said beside every cycle figure."""
    validation: str
    """How the core's model did on programs that it was not chosen on."""
    ended: str
    exit_code: int
    printed: str
    instructions: int
    cycles: int
    avoidable_cycles: int
    """Charged at their most: what divisions and failed conditions may take less, by the data."""
    stack_bytes: int | None
    flash: FlashCost | None
    """What the board adds, where one was given."""
    emulated_per_s: float
    """Instructions per second of processor time, profile included: measured on this machine."""
    functions: tuple[Cost, ...]
    lines: tuple[Cost, ...]


def program_cycles(
    program: Path,
    core: str | None,
    entry: str | None,
    until: str | None,
    instruction_limit: int,
    board: str | None = None,
) -> ProgramCycles:
    """Emulate `program` and model its cycles; see `edgebci cycles --help`.

    Raises:
        InputError: no such program, core or symbol, or one that cannot be run here.
        VerificationError: it faulted, did not end, or has an instruction without a figure.
    """
    chosen = emulated_core(core) if core else _core_said_by(program)
    memory = board_memory(board, chosen)
    return _document(program, chosen, run_bare(program, chosen, entry, until, instruction_limit, memory))


def _core_said_by(program: Path) -> Core:
    said = FirmwareImage.load(program).cpu
    core = core_of(said)
    if core is None:
        raise InputError(f"{program} says {said or 'nothing'} of its core, which is none of ours; give --core")
    return emulated_core(core.name)


def _document(program: Path, core: Core, run: BareRun) -> ProgramCycles:
    cycles = run.cycles
    return ProgramCycles(
        program=program.name,
        core=core.name,
        evidence=cycles.model.evidence,
        error_fraction=cycles.error_fraction,
        branchy_error_fraction=cycles.branchy_error_fraction,
        band=cycles.band,
        validation=load_cycle_validation().sentence(core.name),
        ended=run.ended,
        exit_code=run.exit_code,
        printed=run.printed,
        instructions=cycles.instructions,
        cycles=cycles.cycles,
        avoidable_cycles=cycles.avoidable_cycles,
        stack_bytes=run.stack_peak_bytes,
        flash=flash_cost(cycles.cycles, run.flash),
        emulated_per_s=cycles.instructions / run.seconds,
        functions=function_costs(cycles),
        lines=line_costs(run.lines),
    )
