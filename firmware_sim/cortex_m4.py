"""How many cycles a Cortex-M4F takes for a run of instructions, from zero-wait-state memory.

An in-order, single-issue pipeline; its figures are in hardware_profiles/cores/cortex-m4f.toml. Beyond the table of
instructions the model knows:
  * a load or a store after a load overlaps with it, unless its address comes from that load;
  * an address that the instruction before computed costs a cycle more;
  * a floating-point result that the next instruction uses costs a cycle more;
  * a floating-point division, square root or multiply-accumulate keeps its unit busy while integer instructions go on;
  * a taken branch refills the pipeline;
  * IT after a 16-bit instruction is free.
It does not know: unaligned accesses (the compiler emits none for aligned data), bus contention between literal loads
and fetch, fetch penalties of misaligned 32-bit instructions, wait states.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from edgebci.firmware_sim.instruction_kinds import FP_KINDS, Kind, is_double, kind_of
from edgebci.firmware_sim.thumb import Instruction
from edgebci.hardware import CoreModel

_FPU_BUSY = {Kind.FP_MULTIPLY_ADD: "fp_multiply_add", Kind.FP_DIVIDE: "fp_divide"}
_NONE: frozenset[str] = frozenset()


@dataclass
class Pipeline:
    """The core while it runs a sequence of instructions: `cycle` is when the next one can start."""

    model: CoreModel
    cycle: float = 0  # always a whole number
    slack: float = 0  # cycles charged that the data may spare: divisions, conditions that fail
    _loaded: frozenset[str] = _NONE  # by the load just before, if the next load or store can overlap with it
    _overlaps: bool = False
    _computed: frozenset[str] = _NONE  # by the data-processing instruction just before
    _narrow_before: bool = False
    _fpu_free: float = 0
    _ready: dict[str, float] = field(default_factory=dict)  # when a floating-point result can be used

    @property
    def indirect(self) -> float:
        """What a return or another indirect branch adds."""
        return self._of("indirect_refill")

    @property
    def mispredicted(self) -> float:
        """What a branch costs more where it was predicted wrongly: nothing is predicted."""
        return 0.0

    def run(self, instruction: Instruction) -> None:
        """Advance by one instruction; what a taken branch adds is told by `refill`."""
        kind = kind_of(instruction)
        start = self.cycle
        if kind in FP_KINDS or instruction.name in ("vldr", "vstr"):
            self._wait_for_fpu(instruction)
        issue = self.cycle
        self.cycle += self._cost(instruction, kind)
        self._finish(instruction, kind, issue)
        self.slack += self._avoidable(instruction, kind, self.cycle - start)

    def refill(self, instruction: Instruction) -> None:
        """Add what the taken branch `instruction` costs beyond its own cycles."""
        direct = instruction.name in ("b", "bl", "cbz", "cbnz")
        self.cycle += self._of("branch_refill" if direct else "indirect_refill")
        self._loaded, self._overlaps, self._computed, self._narrow_before = _NONE, False, _NONE, False

    def _of(self, figure: str) -> float:
        return self.model.cycles[figure].typical

    def _wait_for_fpu(self, instruction: Instruction) -> None:
        used = instruction.reads if instruction.name != "vldr" else _NONE
        ready = max((self._ready.get(register, 0) for register in used), default=0.0)
        self.cycle = max(self.cycle, self._fpu_free, ready)

    def _cost(self, instruction: Instruction, kind: Kind) -> float:
        if kind is Kind.LOAD or kind is Kind.STORE:
            return self._access_cost(instruction, kind)
        if kind is Kind.MULTIPLE:
            return self._address_stall(instruction) + self._of("multiple_first") + (instruction.n_listed or 2)
        if kind is Kind.IT:
            return self._of("it_folded") if self._narrow_before else self._of("alu")
        if kind is Kind.DIVIDE:
            return self._of("divide")
        if kind is Kind.FP_PLAIN and _moves_between_files(instruction):
            return self._of("fp_core_move")
        return self._of({Kind.TABLE_BRANCH: "table_branch", Kind.SYSTEM: "system"}.get(kind, "alu"))

    def _access_cost(self, instruction: Instruction, kind: Kind) -> float:
        dependent = bool(self._loaded & instruction.address_registers)
        overlaps = self._overlaps and not dependent
        stall = self._address_stall(instruction)
        if is_double(instruction):
            return stall + self._of("fp_load_double")
        if kind is Kind.LOAD:
            return stall + self._of("load_after_load" if overlaps else "load")
        if instruction.has_register_offset:
            return stall + self._of("store_register_offset") - overlaps
        return stall + self._of("fp_store" if instruction.name == "vstr" else "store")

    def _address_stall(self, instruction: Instruction) -> float:
        return self._of("address_stall") if self._computed & instruction.address_registers else 0

    def _avoidable(self, instruction: Instruction, kind: Kind, cycles: float) -> float:
        """How many cycles the instruction may take less than charged, by its operands or when its condition fails."""
        if instruction.conditional and kind is not Kind.BRANCH:
            return max(cycles, self._of(_FPU_BUSY.get(kind, "alu"))) - self._of("alu")
        return self._of("divide") - self.model.cycles["divide"].low if kind is Kind.DIVIDE else 0.0

    def _finish(self, instruction: Instruction, kind: Kind, issue: float) -> None:
        single_load = kind is Kind.LOAD and not is_double(instruction) and "pc" not in instruction.writes
        self._overlaps = single_load
        self._loaded = instruction.writes if single_load else _NONE
        self._computed = instruction.writes if kind in (Kind.ALU, Kind.DIVIDE) else _NONE
        self._narrow_before = instruction.size == 2 and kind is not Kind.IT
        busy = self._of(_FPU_BUSY.get(kind, "fp_arithmetic"))
        if kind in FP_KINDS:
            self._fpu_free = issue + busy
        delayed = kind in (Kind.FP_ARITHMETIC, Kind.FP_MULTIPLY_ADD, Kind.FP_DIVIDE)
        for register in instruction.writes if delayed else _NONE:
            self._ready[register] = issue + busy + self._of("fp_use_stall")


def _moves_between_files(instruction: Instruction) -> bool:
    return instruction.name == "vmov" and any(r[0] != "s" or r == "sp" for r in instruction.reads | instruction.writes)
