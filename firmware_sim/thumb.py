"""Thumb instructions, reduced to what decides their cycles."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import capstone
from capstone import arm_const

from edgebci.errors import VerificationError
from edgebci.firmware_sim.helium import Extended, extended


@dataclass(frozen=True)
class Instruction:
    """One decoded instruction. Register names are the assembler's; a double d4 is given as its halves s8 and s9."""

    address: int
    size: int  # bytes, 2 or 4
    name: str  # without condition, width and flag suffix: `ldreq.w` is `ldr`
    text: str
    conditional: bool
    reads: frozenset[str]
    writes: frozenset[str]
    address_registers: frozenset[str]  # what a load or store computes its address from
    has_register_offset: bool
    n_listed: int  # words in the register list of a multiple load or store

    @property
    def end(self) -> int:
        """Address of the instruction after it."""
        return self.address + self.size

    @property
    def branches(self) -> bool:
        """Whether it can change the flow of control."""
        return "pc" in self.writes or self.name in _BRANCHES

    @property
    def always_branches(self) -> bool:
        """Whether it changes the flow of control each time it runs."""
        return self.branches and not self.conditional and self.name not in ("cbz", "cbnz", "le", "wls")


_BRANCHES = {"b", "bl", "bx", "blx", "cbz", "cbnz", "tbb", "tbh", "le", "wls"}
_LISTS_WITH_BASE = {"ldm", "ldmdb", "stm", "stmdb", "vldmia", "vldmdb", "vstmia", "vstmdb"}
_LISTS = _LISTS_WITH_BASE | {"push", "pop", "vpush", "vpop"}
# Names under which capstone hands out the same operation.
_SYNONYMS = {"fconsts": "vmov", "fmstat": "vmrs", "movs": "mov", "hint": "nop"}
_NO_CONDITION = (arm_const.ARM_CC_AL, arm_const.ARM_CC_INVALID)


def decode(code: bytes, address: int, with_helium: bool = False) -> tuple[Instruction, ...]:
    """Decode a block of Thumb code that starts at `address`, for a core with or without Helium.

    Raises:
        VerificationError: not all bytes are instructions of the core.
    """
    known = _all(code, address) if with_helium else map(_instruction, _decoder().disasm(code, address))
    instructions = tuple(known)
    if sum(i.size for i in instructions) != len(code):
        end = instructions[-1].end if instructions else address
        raise VerificationError(f"no instruction can be decoded at 0x{end:08x}; compile the firmware for cortex-m4f")
    return instructions


def _all(code: bytes, address: int) -> Iterator[Instruction]:
    """What capstone knows in runs, so that it follows IT; the extensions of v8.1-M one by one."""
    begin = at = 0
    while at < len(code):
        first, second = (int.from_bytes(code[i : i + 2], "little") for i in (at, at + 2))
        wide = first >> 11 >= 0x1D
        found = extended(first, second) if wide else None
        if found is not None:
            yield from map(_instruction, _decoder().disasm(code[begin:at], address + begin))
            yield _extended_instruction(found, f"{found.name} 0x{first:04x}{second:04x}", address + at)
            begin = at + 4
        at += 4 if wide else 2
    yield from map(_instruction, _decoder().disasm(code[begin:], address + begin))


def _extended_instruction(found: Extended, text: str, address: int) -> Instruction:
    registers = found.reads, found.writes, found.address_registers
    return Instruction(address, 4, found.name, text, False, *registers, has_register_offset=False, n_listed=0)


def _decoder() -> capstone.Cs:
    decoder = capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS)
    decoder.detail = True
    return decoder


def _instruction(raw: capstone.CsInsn) -> Instruction:
    name = raw.insn_name()
    read, written = raw.regs_access()
    memory = [o.mem for o in raw.operands if o.type == arm_const.ARM_OP_MEM]
    return Instruction(
        address=raw.address,
        size=raw.size,
        name=_SYNONYMS.get(name, name),
        text=f"{raw.mnemonic} {raw.op_str}".strip(),
        conditional=raw.cc not in _NO_CONDITION and name != "it",
        reads=_single_words(raw.reg_name(r) for r in read),
        writes=_single_words(raw.reg_name(r) for r in written),
        address_registers=frozenset(raw.reg_name(r) for m in memory for r in (m.base, m.index) if r),
        has_register_offset=any(m.index for m in memory),
        n_listed=_words(raw, name),
    )


def _words(raw: capstone.CsInsn, name: str) -> int:
    if name not in _LISTS:
        return 0
    registers = [raw.reg_name(o.reg) for o in raw.operands if o.type == arm_const.ARM_OP_REG]
    return len(_single_words(registers[name in _LISTS_WITH_BASE :]))


def _single_words(names: Iterable[str]) -> frozenset[str]:
    result: set[str] = set()
    for name in names:
        is_double = name[0] == "d" and name[1:].isdigit()
        result |= {f"s{2 * int(name[1:])}", f"s{2 * int(name[1:]) + 1}"} if is_double else {name}
    return frozenset(result)


@dataclass(frozen=True)
class Load:
    """Where an instruction loads from: base + (index << shift) + offset; no bytes if it loads none."""

    size_bytes: int = 0
    base: str = ""
    index: str = ""
    shift: int = 0
    offset: int = 0


_NARROW = {"ldrb": 1, "ldrsb": 1, "ldrh": 2, "ldrsh": 2}


def load_at(code: bytes, address: int) -> Load:
    """What the first instruction of `code`, which lies at `address`, loads."""
    raw = next(_decoder().disasm(code, address, 1), None)
    if raw is None or not raw.insn_name().startswith(("ldr", "ldm", "vld", "pop", "vpop")):
        return Load()
    name, memory = raw.insn_name(), [o for o in raw.operands if o.type == arm_const.ARM_OP_MEM]
    if not memory:
        size_bytes = 4 * _words(raw, name)
        base = raw.reg_name(raw.operands[0].reg) if name in _LISTS_WITH_BASE else "sp"
        return Load(size_bytes, base, offset=-size_bytes if name.endswith("db") else 0)
    given = memory[0].mem
    loaded = _single_words(raw.reg_name(o.reg) for o in raw.operands if o.type == arm_const.ARM_OP_REG)
    size_bytes = _NARROW.get(name, 8 if name == "ldrd" or len(loaded) == 2 else 4)
    base, index = raw.reg_name(given.base) or "", raw.reg_name(given.index) or ""
    if base == "pc":
        return Load(size_bytes, offset=(address + 4) // 4 * 4 + given.disp)
    offset = 0 if raw.post_index else given.disp
    return Load(size_bytes, base, index, memory[0].shift.value if index else 0, offset)
