"""What the commands share that run a program on an emulated core: which cores can be asked for, and costs as rows."""

from __future__ import annotations

from collections.abc import Iterable

from edgebci.documents import Document
from edgebci.errors import InputError
from edgebci.firmware_sim.cores import CORES, Core, find_core
from edgebci.firmware_sim.cycles import CycleReport
from edgebci.firmware_sim.flash_waits import FlashWaits
from edgebci.firmware_sim.source_lines import LineCycles
from edgebci.hardware import MemoryModel, load_profile


class Cost(Document):
    """What one function, or one line, took over a whole run."""

    name: str
    instructions: int
    cycles: int


class FlashCost(Document):
    """What a board's flash adds: misses are counted, cycles modelled from them, both over the whole run."""

    board: str
    clock_mhz: float
    fetch_misses: int
    load_misses: int
    fetch_stalls: int
    load_stalls: int
    cycles_with_flash: int
    """Of the core and of the waits together."""

    def sentence(self) -> str:
        """For a table."""
        share = (self.fetch_stalls + self.load_stalls) / self.cycles_with_flash
        return (
            f"{self.cycles_with_flash:,} cycles on {self.board} at {self.clock_mhz:g} MHz, {share:.1%} of them waits: "
            f"{self.fetch_misses:,} fetches and {self.load_misses:,} loads missed; modelled"
        )


def flash_cost(cycles: int, waits: FlashWaits | None) -> FlashCost | None:
    """The waits beside `cycles` of the core."""
    if waits is None:
        return None
    return FlashCost(
        board=waits.board,
        clock_mhz=waits.clock_mhz,
        fetch_misses=waits.fetch_misses,
        load_misses=waits.load_misses,
        fetch_stalls=waits.fetch_stalls,
        load_stalls=waits.load_stalls,
        cycles_with_flash=cycles + waits.cycles,
    )


def board_memory(board: str | None, core: Core) -> MemoryModel | None:
    """The memory of a board.

    Raises:
        InputError: there is no such board, or it has another core.
    """
    if board is None:
        return None
    found = load_profile(MemoryModel, board)
    if found.core != core.name:
        raise InputError(
            f"{board} has a {found.core}, asked was {core.name}; give another board, or --core {found.core}"
        )
    return found


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
