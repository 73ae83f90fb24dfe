"""Any bare-metal program for a Cortex-M, as its user linked it, emulated from its entry to its end.

It starts at the ELF's entry, or at a function, with the stack that its vector table names (else with one of ours). It
ends where that code returns, at BKPT, at semihosting's exit, or at a symbol. Semihosting's output is kept.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from elftools.elf.constants import P_FLAGS, SH_FLAGS
from elftools.elf.elffile import ELFFile
from elftools.elf.segments import Segment as ElfSegment

from edgebci.errors import InputError, VerificationError
from edgebci.firmware_sim.cores import Core
from edgebci.firmware_sim.cycles import CycleMeter, CycleReport
from edgebci.firmware_sim.emulator import Machine
from edgebci.firmware_sim.firmware_image import FirmwareImage, Segment
from edgebci.firmware_sim.flash_waits import FlashWaits
from edgebci.firmware_sim.source_lines import LineCycles, by_line
from edgebci.firmware_sim.target_memory import RETURN_ADDRESS, STACK_TOP
from edgebci.hardware import MemoryModel

RAM_BYTES = 1 << 20  # at least so much around each block of data: a program may use what lies behind its variables
STACK_BYTES = 1 << 16
FLASH_BYTES = 1 << 26  # what is stored within so much of the code is in the same memory
_PAGE = 4096
_SEMIHOSTING = 0xAB
# Arm, Semihosting for AArch32 and AArch64: numbers of operations.
_WRITE_CHARACTER, _WRITE_TEXT, _WRITE, _EXIT, _EXIT_EXTENDED = 0x03, 0x04, 0x05, 0x18, 0x20
_NORMAL_END = 0x20026


@dataclass(frozen=True)
class BareRun:
    """What a program did: instructions are counted, cycles modelled."""

    cycles: CycleReport
    lines: tuple[LineCycles, ...]  # most cycles first; empty where the program has no debug lines
    printed: str  # by semihosting
    ended: str  # how, in a few words
    exit_code: int  # by semihosting, or R0 where a function returned
    stack_peak_bytes: int | None  # None where the program brings its own stack
    flash: FlashWaits | None  # what the board's flash adds to the cycles, where one was given
    seconds: float  # of processor time that the emulation took, profile included: the one thing here that is measured


@dataclass
class _End:
    """How the run ended, and what it printed on the way."""

    ended: str = ""
    exit_code: int = 0
    printed: list[str] = field(default_factory=list)


def run_bare(
    elf: Path,
    core: Core,
    entry: str | None = None,
    until: str | None = None,
    instruction_limit: int = 2_000_000_000,
    board: MemoryModel | None = None,
) -> BareRun:
    """Emulate a program from its entry, or from the function `entry`, to its end, or to the symbol `until`.

    Raises:
        InputError: no such file or symbol, or not a program that this can run.
        VerificationError: it faulted, or did not end within `instruction_limit`.
    """
    image, start, vector_stack = load_bare(elf)
    name = entry or "the program"
    if entry is not None:
        start = image.symbol(entry).address
    stack = vector_stack if vector_stack and entry is None else STACK_TOP
    machine, end = Machine(image, core=core, stack_bytes=STACK_BYTES, flash=board), _End()
    meter = CycleMeter(machine)
    machine.on_breakpoint(lambda number: _breakpoint(machine, end, number))
    stop = image.symbol(until).address if until else RETURN_ADDRESS
    began = time.process_time()
    machine.run_from(start, name, stack, stop, instruction_limit)
    seconds = time.process_time() - began
    if not end.ended:
        end.ended, end.exit_code = (f"came to {until}" if until else "returned"), machine.register(0)
    cycles = meter.report(np.array([meter.lap()]))
    return BareRun(
        cycles=cycles,
        lines=by_line(elf, *meter.counted()) if _has_lines(elf) else (),
        printed="".join(end.printed),
        ended=end.ended,
        exit_code=end.exit_code,
        stack_peak_bytes=machine.stack_peak_bytes if stack == STACK_TOP else None,
        flash=machine.flash_waits(cycles.cycles),
        seconds=seconds,
    )


def load_bare(path: Path) -> tuple[FirmwareImage, int, int]:
    """Read a program: its image, laid out as a chip would hold it; the entry; the stack of its vector table, or 0.

    Raises:
        InputError: no such file, not an ELF for a 32-bit Arm core, or code that does not lie in one piece.
    """
    image = FirmwareImage.load(path)
    with path.open("rb") as file:
        elf = ELFFile(file)
        if elf["e_type"] != "ET_EXEC":
            raise InputError(f"{path} is {elf['e_type']}, not a linked program; link it for the addresses of a chip")
        loadable = [s for s in elf.iter_segments("PT_LOAD") if s["p_memsz"]]
        coded = [s for s in loadable if _holds_code(elf, s)]
        if len(coded) != 1:
            raise InputError(f"{path} has code in {len(coded)} segments, it must lie in one; link all code into flash")
        flash = _flash(coded[0], loadable)
        data = [s for s in loadable if s["p_flags"] & P_FLAGS.PF_W and s is not coded[0]]
        entry, stack = _start(flash, int(elf["e_entry"]))
        ram = _ram(data, stack)
    if any(s.address < flash.address + flash.size_bytes and flash.address < s.address + s.size_bytes for s in ram):
        raise InputError(f"{path} has code and variables in the same memory; link code to flash and data to RAM")
    return FirmwareImage(path, (flash, *ram), image.symbols, image.cpu), entry, stack


def _holds_code(elf: ELFFile, segment: ElfSegment) -> bool:
    return any(
        section["sh_flags"] & SH_FLAGS.SHF_EXECINSTR and section["sh_size"] and segment.section_in_segment(section)
        for section in elf.iter_sections()
    )


def _flash(code: ElfSegment, segments: list[ElfSegment]) -> Segment:
    """What is burnt into the chip: code, constants, and the initial values that the program copies to RAM."""
    stored = {int(s["p_paddr"]): s.data() for s in segments if s["p_filesz"] and _is_near(code, s)}
    start = min(stored)
    content = bytearray(max(address + len(bytes_there) for address, bytes_there in stored.items()) - start)
    for address, bytes_there in stored.items():
        content[address - start : address - start + len(bytes_there)] = bytes_there
    return Segment(start, bytes(content), len(content), writable=False, executable=True)


def _is_near(code: ElfSegment, segment: ElfSegment) -> bool:
    """Whether it is stored in the same memory as the code."""
    return abs(int(segment["p_paddr"]) - int(code["p_paddr"])) < FLASH_BYTES


def _ram(data: list[ElfSegment], stack: int) -> tuple[Segment, ...]:
    """Memory around each block of variables and under the stack, joined where it touches."""
    wanted = [(int(s["p_vaddr"]) // _PAGE * _PAGE, int(s["p_vaddr"]) + max(int(s["p_memsz"]), RAM_BYTES)) for s in data]
    wanted += [(max(0, stack - STACK_BYTES) // _PAGE * _PAGE, stack)] if stack else []
    joined: list[tuple[int, int]] = []
    for start, end in sorted(wanted):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    return tuple(_filled(start, end, data) for start, end in joined)


def _filled(start: int, end: int, data: list[ElfSegment]) -> Segment:
    content = bytearray()
    for each in sorted(data, key=lambda s: int(s["p_vaddr"])):
        if start <= each["p_vaddr"] < end and each["p_filesz"]:
            content = content.ljust(each["p_vaddr"] - start, b"\0") + each.data()
    return Segment(start, bytes(content), -(-(end - start) // _PAGE) * _PAGE, writable=True, executable=False)


def _start(flash: Segment, entry: int) -> tuple[int, int]:
    """Where the program starts and its stack: what its vector table says, if it begins with one; else no stack."""
    stack, reset = (int.from_bytes(flash.content[i : i + 4], "little") for i in (0, 4))
    within = flash.address <= reset < flash.address + flash.size_bytes
    if within and reset & 1 and stack and entry in (reset, flash.address, 0):
        return reset & ~1, stack
    return entry & ~1, 0


def _has_lines(path: Path) -> bool:
    with path.open("rb") as file:
        return ELFFile(file).has_dwarf_info()


def _breakpoint(machine: Machine, end: _End, number: int) -> bool:
    """Do what a BKPT asks for; whether the program goes on."""
    if number != _SEMIHOSTING:
        end.ended = f"BKPT {number}"
        return False
    operation, argument = machine.register(0), machine.register(1)
    if operation in (_EXIT, _EXIT_EXTENDED):
        end.ended, end.exit_code = "semihosting exit", _exit_code(machine, operation, argument)
        return False
    end.printed.append(_printed(machine, operation, argument))
    machine.set_result(0)
    return True


def _exit_code(machine: Machine, operation: int, argument: int) -> int:
    if operation == _EXIT:
        return 0 if argument == _NORMAL_END else 1
    reason, code = np.frombuffer(machine.read_at(argument, 8), "<u4").tolist()
    return int(code) if reason == _NORMAL_END else 1


def _printed(machine: Machine, operation: int, argument: int) -> str:
    if operation == _WRITE_CHARACTER:
        return machine.read_at(argument, 1).decode("latin-1")
    if operation == _WRITE_TEXT:
        text = bytearray()
        while (byte := machine.read_at(argument + len(text), 1)) != b"\0":
            text += byte
        return text.decode("latin-1")
    if operation == _WRITE:
        _, address, size = np.frombuffer(machine.read_at(argument, 12), "<u4").tolist()
        return machine.read_at(address, size).decode("latin-1")
    raise VerificationError(
        f"the program asks semihosting for operation 0x{operation:02x}, offered are output and exit; leave it out"
    )
