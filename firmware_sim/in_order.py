"""How many cycles an in-order core of one or two issue slots takes for a run of instructions, from zero-wait memory.

A scoreboard: an instruction starts in the first cycle in which its operands are there, its unit is free and, where it
would share the cycle of the one before, the two may go together. The figures are those of the core's profile
(hardware_profiles/cores): latencies, units, rules of pairing. Stages are counted from that of the adder: an operand is
needed `address_early` cycles before it (addresses, shifted operands), `gather_index_early` before (offsets of a gather)
or `accumulator_late` after (sums, data to store).

It does not know: unaligned accesses, conflicts of two loads in one memory bank, fetch, wait states, caches.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from edgebci.firmware_sim.instruction_kinds import FP_KINDS, VECTOR_KINDS, Kind, is_double, kind_of
from edgebci.firmware_sim.thumb import Instruction
from edgebci.hardware import CoreModel

_MULTIPLIES = ("mul", "mla", "mls", "sml", "smm", "smu", "sms", "uml", "umu", "uma")
_SIMD = re.compile(
    r"[su]?(sat|sat16|bfx|xt|xta)[bh]?(16)?|[suq]h?[suq]?(add|sub)(8|16)|.*a[sd]x|pkh..|sel|rev.*|rbit|bf[ci]|clz|q.*"
)
_SHIFTED = re.compile(r"(\w+), (?:lsl|lsr|asr|ror|rrx) #")
_NARROW_PARTNERS = {"nop", "it", "b", "cbz", "cbnz", "mov", "uxtb", "uxth", "sxtb", "sxth"}
_MOVES = {Kind.LOAD, Kind.STORE, Kind.MULTIPLE, Kind.VECTOR_LOAD, Kind.VECTOR_GATHER, Kind.VECTOR_STORE}
_PIPES = {
    Kind.VECTOR_LOAD: "vector memory",
    Kind.VECTOR_GATHER: "vector memory",
    Kind.VECTOR_STORE: "vector memory",
    Kind.VECTOR_INTEGER: "vector integer",
    Kind.VECTOR_MULTIPLY: "fpu",  # vectors are multiplied where floats are
    Kind.VECTOR_CONTROL: "vector control",
}
_ALONE = {Kind.DIVIDE, Kind.MULTIPLE, Kind.SYSTEM, Kind.TABLE_BRANCH}
_FLAGS = {"cpsr", "apsr", "pc"}  # forwarded to whatever asks for them
_NARROW_LOADS = {"ldrb", "ldrh", "ldrsb", "ldrsh"}


@dataclass
class InOrder:
    """The core while it runs a sequence of instructions: `cycle` is how many cycles have begun."""

    model: CoreModel
    cycle: float = 0
    slack: float = 0
    _before: Instruction | None = None  # the last in the current cycle, if another may join it
    _together: int = 0  # instructions in the current cycle
    _used: dict[str, int] = field(default_factory=dict)  # units taken in the current cycle
    _free: dict[str, float] = field(default_factory=dict)  # cycle in which a unit can begin another
    _ready: dict[str, float] = field(default_factory=dict)  # cycle in which the adder's stage can have a register

    @property
    def indirect(self) -> float:
        """What a return or another indirect branch adds."""
        return self._of("indirect_taken")

    @property
    def mispredicted(self) -> float:
        """What a branch costs more where it was predicted wrongly."""
        return self._of("mispredicted")

    def run(self, instruction: Instruction) -> None:
        """Advance by one instruction; what a taken branch adds is told by `refill`."""
        kind = kind_of(instruction)
        if kind is Kind.LOOP_END:
            self.cycle += self._of("loop_end")
            return
        unit = _unit(instruction, kind)
        start = max(self._operands(instruction, kind), self._free.get(unit, 0))
        if start > self.cycle - 1 or not self._joins(instruction, kind, unit):
            self._begin(max(start, self.cycle))
        self._together += 1
        self._used[unit] = self._used.get(unit, 0) + 1
        self._before = None if kind in _ALONE else instruction
        self._write(instruction, kind)

    def refill(self, instruction: Instruction) -> None:
        """Add what the taken branch `instruction`, predicted where the core predicts, costs beyond its own cycle."""
        if instruction.name == "le":
            return  # its own figure is all
        direct = instruction.name in ("b", "bl", "cbz", "cbnz", "wls")
        self.cycle += self._of("branch_taken" if direct else "indirect_taken")
        self._before = None

    def _of(self, figure: str) -> float:
        return self.model.cycles[figure].typical

    def _begin(self, at: float) -> None:
        """Start a cycle: cycles are counted from 0, so `at` + 1 have then begun."""
        self.cycle = at + 1
        self._together, self._used, self._before = 0, {}, None

    def _joins(self, instruction: Instruction, kind: Kind, unit: str) -> bool:
        before, slots = self._before, self.model.slots
        if before is None or kind in _ALONE or self._together >= slots["issue"].typical:
            return False
        if slots["narrow_pairs"].typical:
            return before.size == instruction.size == 2 and (_is_partner(before) or _is_partner(instruction))
        return unit != "simd" and self._used.get(unit, 0) < slots[unit].typical

    def _operands(self, instruction: Instruction, kind: Kind) -> float:
        """The first cycle in which all operands are there when they are needed."""
        late = self._of("fp_accumulator_late" if kind is Kind.FP_MULTIPLY_ADD else "accumulator_late")
        needed = dict.fromkeys(self._needed_last(instruction, kind), -late)
        if kind is Kind.VECTOR_GATHER:
            needed |= dict.fromkeys(instruction.reads, self._of("gather_index_early"))
        needed |= dict.fromkeys(instruction.address_registers | _shifted(instruction), self._of("address_early"))
        read = (instruction.reads - _FLAGS) & self._ready.keys()
        return max((self._ready[register] + needed.get(register, 0.0) for register in read), default=0.0)

    def _needed_last(self, instruction: Instruction, kind: Kind) -> frozenset[str]:
        if kind is Kind.STORE:
            return instruction.reads - instruction.address_registers
        accumulates = kind is Kind.FP_MULTIPLY_ADD or instruction.name.startswith(_MULTIPLIES)
        return instruction.reads & instruction.writes if accumulates else frozenset()

    def _write(self, instruction: Instruction, kind: Kind) -> None:
        issued = self.cycle - 1
        blocked = self._blocks(instruction, kind)
        self.cycle += blocked
        self.slack += self._avoidable(instruction, kind, blocked)
        if kind in FP_KINDS:
            self._free["fpu"] = issued + (self._of("fp_divide_busy") if kind is Kind.FP_DIVIDE else self._fp_busy(kind))
        elif kind in VECTOR_KINDS:
            self._free[_unit(instruction, kind)] = issued + self._of("vector_beats")
        latency = self._latency(instruction, kind)
        for register in instruction.writes:
            updates_base = register in instruction.address_registers and kind in _MOVES
            overwritten = updates_base and register not in _destination(instruction)
            soon = overwritten or register.startswith("fpscr")
            self._ready[register] = issued + blocked + (self._of("alu") if soon else latency)

    def _fp_busy(self, kind: Kind) -> float:
        return self._of("fp_multiply_add_busy") if kind is Kind.FP_MULTIPLY_ADD else 1.0

    def _blocks(self, instruction: Instruction, kind: Kind) -> float:
        """Cycles beyond its own in which nothing else starts."""
        words_at_once = self.model.slots["words"].typical
        if kind is Kind.MULTIPLE:
            return max(0.0, -(-(instruction.n_listed or 2) // words_at_once) + self._of("multiple_first") - 1)
        if is_double(instruction):
            return -(-2 // words_at_once) - 1
        figures = {Kind.DIVIDE: "divide", Kind.SYSTEM: "system", Kind.TABLE_BRANCH: "table_branch"}
        return self._of(figures[kind]) - 1 if kind in figures else 0.0

    def _avoidable(self, instruction: Instruction, kind: Kind, blocked: float) -> float:
        """How many cycles fewer it may take by its operands, or when its condition fails."""
        if instruction.conditional and kind is not Kind.BRANCH:
            return blocked
        return self._of("divide") - self.model.cycles["divide"].low if kind is Kind.DIVIDE else 0.0

    def _latency(self, instruction: Instruction, kind: Kind) -> float:
        if instruction.name.startswith(_MULTIPLIES):
            return self._of("multiply")
        if kind is Kind.LOAD:
            narrow = instruction.name in _NARROW_LOADS
            return self._of("load_narrow" if narrow else "fp_load" if instruction.name == "vldr" else "load")
        figures = {
            Kind.FP_ARITHMETIC: "fp_arithmetic",
            Kind.FP_MULTIPLY_ADD: "fp_multiply_add",
            Kind.FP_DIVIDE: "fp_divide",
            Kind.FP_PLAIN: "fp_move",
            Kind.MULTIPLE: "load",
            Kind.VECTOR_LOAD: "vector_load",
            Kind.VECTOR_GATHER: "vector_gather",
            Kind.VECTOR_INTEGER: "vector_integer",
            Kind.VECTOR_MULTIPLY: "vector_multiply",
        }
        return self._of(figures.get(kind, "alu"))


def _unit(instruction: Instruction, kind: Kind) -> str:
    if kind in FP_KINDS:
        return "fpu"
    if kind in _PIPES:
        return _PIPES[kind]
    if instruction.name.startswith(_MULTIPLIES):
        return "multiplier"
    if kind is Kind.ALU and _SIMD.fullmatch(instruction.name):
        return "simd"
    return {Kind.LOAD: "load", Kind.STORE: "store", Kind.BRANCH: "branch"}.get(kind, "alu")


def _is_partner(instruction: Instruction) -> bool:
    """Whether a 16-bit instruction is one of those that can go with any other of 16 bits."""
    immediate = instruction.name in ("add", "sub") and "#" in instruction.text
    return immediate or instruction.name in _NARROW_PARTNERS


def _shifted(instruction: Instruction) -> frozenset[str]:
    found = _SHIFTED.search(instruction.text) if not instruction.address_registers else None
    return frozenset(found.groups()) if found else frozenset()


def _destination(instruction: Instruction) -> str:
    """The operand of a load that its data go to."""
    return instruction.text.split("[")[0]
