"""Which line of C each instruction came from, and what each line took: read from the program's debug lines (DWARF)."""

from __future__ import annotations

import bisect
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np
from elftools.dwarf.compileunit import CompileUnit
from elftools.dwarf.lineprogram import LineProgram
from elftools.dwarf.ranges import RangeEntry
from elftools.elf.elffile import ELFFile
from numpy.typing import NDArray

from edgebci.errors import InputError
from edgebci.firmware_sim.block_profile import EdgeProfile
from edgebci.firmware_sim.cycles import EdgeCosts


@dataclass(frozen=True)
class LineCycles:
    """What one line of a source file took over a run; line 0 is code that no line is known for."""

    file: str
    line: int
    instructions: int
    cycles: int


class SourceLines:
    """The line table of one program."""

    def __init__(self, rows: list[tuple[int, str, int]]) -> None:
        self._rows = sorted(rows)
        self._addresses = [address for address, _, _ in self._rows]

    @classmethod
    def load(cls, path: Path, addresses: NDArray[np.uint32]) -> SourceLines:
        """Read the table of a linked program, of those of its parts that hold one of `addresses`.

        Raises:
            InputError: the program was compiled without -g.
        """
        with path.open("rb") as file:
            elf = ELFFile(file)
            if not elf.has_dwarf_info():
                raise InputError(f"{path} has no debug lines; compile it with -g")
            dwarf = elf.get_dwarf_info()
            ran = np.unique(addresses)
            programs = [dwarf.line_program_for_CU(unit) for unit in dwarf.iter_CUs() if _holds(unit, ran)]
        return cls([row for program in programs if program is not None for row in _rows(program)])

    def at(self, address: int) -> tuple[str, int]:
        """File name and line of the instruction at `address`; ("", 0) where none is known."""
        i = bisect.bisect_right(self._addresses, address) - 1
        return self._rows[i][1:] if i >= 0 else ("", 0)


def by_line(
    elf: Path, profile: EdgeProfile, costs: EdgeCosts, surprises: NDArray[np.float64]
) -> tuple[LineCycles, ...]:
    """Share the cycles and instructions of a run out to lines, most cycles first; what a branch adds is its own.

    Raises:
        InputError: the program was compiled without -g.
    """
    lines = SourceLines.load(elf, profile.block_address)
    cycles: dict[tuple[str, int], float] = defaultdict(float)
    instructions: dict[tuple[str, int], int] = defaultdict(int)
    for edge, count in enumerate(profile.edge_count.tolist()):
        for address, taken in costs.steps[edge]:
            line = lines.at(address)
            cycles[line] += count * taken
            instructions[line] += count
        payer = lines.at(costs.branch[edge])
        cycles[payer] += count * costs.refill[edge] + surprises[edge] * costs.mispredicted[edge]
    found = (LineCycles(*line, instructions[line], round(total)) for line, total in cycles.items())
    return tuple(sorted(found, key=lambda each: (-each.cycles, each.file, each.line)))


def _holds(unit: CompileUnit, ran: NDArray[np.uint32]) -> bool:
    """Whether a unit of the program has code that ran; decoding the lines of one that has not would take seconds."""
    return any(np.searchsorted(ran, start) < np.searchsorted(ran, end) for start, end in _ranges(unit))


def _ranges(unit: CompileUnit) -> list[tuple[int, int]]:
    """Where the unit's code lies; code that the linker left out is said to lie at 0 or 1."""
    top = unit.get_top_DIE().attributes
    lists = unit.dwarfinfo.range_lists()
    if "DW_AT_ranges" in top and lists is not None:
        found = lists.get_range_list_at_offset(top["DW_AT_ranges"].value, cu=unit)
        ranges = [(e.begin_offset, e.end_offset) for e in found if isinstance(e, RangeEntry)]
    elif "DW_AT_low_pc" in top and "DW_AT_high_pc" in top:
        low, high = top["DW_AT_low_pc"].value, top["DW_AT_high_pc"]
        ranges = [(low, high.value if high.form == "DW_FORM_addr" else low + high.value)]
    else:
        ranges = []
    return [(start, end) for start, end in ranges if start > 1]


def _rows(program: LineProgram) -> list[tuple[int, str, int]]:
    """Address, file and line where each line begins; the sequences of code that was left out are dropped."""
    header = program.header
    first = 0 if header["version"] >= 5 else 1
    names = [PurePath(entry.name.decode()).name for entry in header["file_entry"]]
    rows: list[tuple[int, str, int]] = []
    sequence: list[tuple[int, str, int]] = []
    for state in (entry.state for entry in program.get_entries()):
        if state is None:
            continue
        known = ("", 0) if state.end_sequence else (names[state.file - first], int(state.line))
        sequence.append((int(state.address), *known))
        if state.end_sequence:
            rows += sequence if sequence[0][0] > 1 else []
            sequence = []
    return rows
