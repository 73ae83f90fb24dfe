"""What the commands share that run a program on an emulated core: which cores can be asked for, and costs as rows."""

from __future__ import annotations

from collections.abc import Iterable

from edgebci.documents import Document
from edgebci.errors import InputError
from edgebci.firmware_sim.cores import CORES, Core, find_core
from edgebci.firmware_sim.cycles import CycleReport
from edgebci.firmware_sim.source_lines import LineCycles


class Cost(Document):
    """What one function, or one line, took over a whole run."""

    name: str
    instructions: int
    cycles: int


def emulated_core(name: str) -> Core:
    """Find a core that runs here with a cycle model.

    Raises:
        InputError: there is none of that name, or it is run by an emulator from which no cycles can be had here.
    """
    core = find_core(name)
    if core.emulator != "unicorn" or not core.is_thumb:
        can = ", ".join(one.name for one in CORES.values() if one.emulator == "unicorn" and one.is_thumb)
        raise InputError(f"{name} runs by {core.emulator}, of which no cycles can be had here; give one of {can}")
    return core


def function_costs(cycles: CycleReport) -> tuple[Cost, ...]:
    """Functions, most cycles first."""
    return tuple(Cost(name=f.name, instructions=f.instructions, cycles=f.cycles) for f in cycles.by_function)


def line_costs(lines: Iterable[LineCycles]) -> tuple[Cost, ...]:
    """Lines as file:line, in their order."""
    return tuple(
        Cost(
            name=f"{one.file}:{one.line}" if one.line else "no line known",
            instructions=one.instructions,
            cycles=one.cycles,
        )
        for one in lines
    )
