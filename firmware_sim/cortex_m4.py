"""How many cycles a Cortex-M4F takes for a run of instructions, from zero-wait-state memory.

An in-order, single-issue pipeline. Each figure below carries where it is from. Beyond the table of instructions the
model knows:
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
from enum import Enum, auto

from edgebci.errors import VerificationError
from edgebci.firmware_sim.thumb import Instruction
from edgebci.quantity import EvidenceClass, Quantity


def _cycles(low: int, typical: int, high: int, source: str, evidence: EvidenceClass) -> Quantity:
    return Quantity(low=low, typical=typical, high=high, unit="cycles", source=source, evidence_class=evidence)


_TABLE = "TI SWCU192 table 3-25, Cortex-M4F instruction cycles at zero wait states"
_FPU_TABLE = "TI SWCU192 table 3-27, Cortex-M4F FPU instruction cycles"
_PAIRING = "TI SWCU185 section on load/store timings of the Cortex-M4F"
_GCC = "GCC pipeline description of the Cortex-M4, cortex-m4.md and cortex-m4-fpu.md"
_FITTED = (
    "fitted to 12 ML-KEM operations timed on an STM32L4R5 at 24 MHz and zero wait states (pqm4), error -1.9..+2.1 %"
)

ALU = _cycles(1, 1, 1, _TABLE, "primary")
DIVIDE = _cycles(2, 12, 12, _TABLE + "; depends on the operands, charged at its most", "primary")
LOAD = _cycles(2, 2, 2, _TABLE, "primary")
LOAD_AFTER_LOAD = _cycles(1, 1, 1, _PAIRING, "primary")
STORE = _cycles(1, 1, 1, _PAIRING + ": with an immediate offset always one", "primary")
STORE_REGISTER_OFFSET = _cycles(2, 2, 2, _GCC, "secondary")
MULTIPLE_FIRST = _cycles(1, 1, 1, _TABLE + ": 1 + N words, never overlapped", "primary")
ADDRESS_STALL = _cycles(1, 1, 1, _PAIRING, "primary")
BRANCH_REFILL = _cycles(1, 2, 3, _FITTED + "; the table says 1 to 3", "derived")
INDIRECT_REFILL = _cycles(1, 3, 3, _FITTED, "derived")
LOAD_TO_PC = _cycles(2, 2, 2, _PAIRING + ": 2 and a refill of 3", "primary")
TABLE_BRANCH = _cycles(3, 3, 3, _PAIRING + ": 2, 1 for the addition, and a refill of 3", "primary")
IT_FOLDED = _cycles(0, 0, 1, "Arm Cortex-M TRM note: can be folded onto a preceding 16-bit instruction", "primary")
SYSTEM = _cycles(1, 2, 2, _TABLE, "primary")
FP_ARITHMETIC = _cycles(1, 1, 1, _FPU_TABLE, "primary")
FP_USE_STALL = _cycles(1, 1, 1, "Arm Cortex-M4 TRM note on the FPU table, and " + _GCC, "secondary")
FP_MULTIPLY_ADD = _cycles(3, 3, 3, _FPU_TABLE, "primary")
FP_DIVIDE = _cycles(14, 14, 14, _FPU_TABLE + "; integer instructions go on: " + _GCC, "primary")
FP_LOAD_DOUBLE = _cycles(3, 3, 3, _FPU_TABLE, "primary")
FP_STORE = _cycles(1, 1, 2, _GCC + "; the FPU table says 2", "secondary")
FP_CORE_MOVE = _cycles(1, 2, 2, _FPU_TABLE + "; a measurement on an STM32 found 1", "primary")

FIGURES: dict[str, Quantity] = {name: value for name, value in list(globals().items()) if isinstance(value, Quantity)}
"""Every number of the model by name, for reports."""


class Kind(Enum):
    """What an instruction does to the pipeline."""

    ALU = auto()
    DIVIDE = auto()
    LOAD = auto()
    STORE = auto()
    MULTIPLE = auto()
    BRANCH = auto()
    TABLE_BRANCH = auto()
    IT = auto()
    SYSTEM = auto()
    FP_ARITHMETIC = auto()
    FP_PLAIN = auto()
    FP_MULTIPLY_ADD = auto()
    FP_DIVIDE = auto()


_NAMES = {
    Kind.ALU: "adc add addw adr and asr bfc bfi bic clz cmn cmp eor lsl lsr mov movt movw mvn mul mla mls neg nop "
    "orn orr pkhbt pkhtb qadd qadd16 qadd8 qasx qdadd qdsub qsax qsub qsub16 qsub8 rbit rev rev16 revsh ror rrx rsb "
    "sadd16 sadd8 sasx sbc sbfx sel shadd16 shadd8 shasx shsax shsub16 shsub8 smlabb smlabt smlatb smlatt smlad "
    "smladx smlal smlalbb smlalbt smlaltb smlaltt smlald smlaldx smlawb smlawt smlsd smlsdx smlsld smlsldx smmla "
    "smmlar smmls smmlsr smmul smmulr smuad smuadx smulbb smulbt smultb smultt smull smulwb smulwt smusd smusdx "
    "ssat ssat16 ssax ssub16 ssub8 sub subw sxtab sxtab16 sxtah sxtb sxtb16 sxth teq tst uadd16 uadd8 uasx ubfx "
    "uhadd16 uhadd8 uhasx uhsax uhsub16 uhsub8 umaal umlal umull uqadd16 uqadd8 uqasx uqsax uqsub16 uqsub8 usad8 "
    "usada8 usat usat16 usax usub16 usub8 uxtab uxtab16 uxtah uxtb uxtb16 uxth",
    Kind.DIVIDE: "sdiv udiv",
    Kind.LOAD: "ldr ldrb ldrh ldrsb ldrsh ldrex ldrexb ldrexh ldrt ldrbt ldrht ldrsbt ldrsht vldr",
    Kind.STORE: "str strb strh strex strexb strexh strt strbt strht vstr",
    Kind.MULTIPLE: "ldm ldmdb stm stmdb push pop ldrd strd vldmia vldmdb vstmia vstmdb vpush vpop",
    Kind.BRANCH: "b bl bx blx cbz cbnz",
    Kind.TABLE_BRANCH: "tbb tbh",
    Kind.IT: "it",
    Kind.SYSTEM: "mrs msr cps dmb dsb isb clrex",
    Kind.FP_ARITHMETIC: "vadd vsub vmul vnmul vcvt vcvtr vcvtb vcvtt",
    Kind.FP_PLAIN: "vabs vneg vmov vcmp vcmpe vmrs vmsr",
    Kind.FP_MULTIPLY_ADD: "vmla vmls vnmla vnmls vfma vfms vfnma vfnms",
    Kind.FP_DIVIDE: "vdiv vsqrt",
}
KINDS = {name: kind for kind, names in _NAMES.items() for name in names.split()}
_FP_KINDS = {Kind.FP_ARITHMETIC, Kind.FP_PLAIN, Kind.FP_MULTIPLY_ADD, Kind.FP_DIVIDE}
_FPU_BUSY = {Kind.FP_MULTIPLY_ADD: FP_MULTIPLY_ADD, Kind.FP_DIVIDE: FP_DIVIDE}
_NONE: frozenset[str] = frozenset()


def kind_of(instruction: Instruction) -> Kind:
    """Classify; an instruction without figures raises VerificationError rather than counting as nothing."""
    kind = KINDS.get(instruction.name)
    if kind is None:
        raise VerificationError(
            f"the cycle model has no figure for {instruction.text!r} at 0x{instruction.address:08x}; "
            "add it to cortex_m4.py"
        )
    return kind


@dataclass
class Pipeline:
    """The core while it runs a sequence of instructions: `cycle` is when the next one can start."""

    cycle: float = 0  # always a whole number
    slack: float = 0  # cycles charged that the data may spare: divisions, conditions that fail
    _loaded: frozenset[str] = _NONE  # by the load just before, if the next load or store can overlap with it
    _overlaps: bool = False
    _computed: frozenset[str] = _NONE  # by the data-processing instruction just before
    _narrow_before: bool = False
    _fpu_free: float = 0
    _ready: dict[str, float] = field(default_factory=dict)  # when a floating-point result can be used

    def run(self, instruction: Instruction) -> None:
        """Advance by one instruction; what a taken branch adds is told by `refill`."""
        kind = kind_of(instruction)
        start = self.cycle
        if kind in _FP_KINDS or instruction.name in ("vldr", "vstr"):
            self._wait_for_fpu(instruction)
        issue = self.cycle
        self.cycle += self._cost(instruction, kind)
        self._finish(instruction, kind, issue)
        self.slack += self._avoidable(instruction, kind, self.cycle - start)

    def refill(self, instruction: Instruction) -> None:
        """Add what the taken branch `instruction` costs beyond its own cycles."""
        direct = instruction.name in ("b", "bl", "cbz", "cbnz")
        self.cycle += (BRANCH_REFILL if direct else INDIRECT_REFILL).typical
        self._loaded, self._overlaps, self._computed, self._narrow_before = _NONE, False, _NONE, False

    def _wait_for_fpu(self, instruction: Instruction) -> None:
        used = instruction.reads if instruction.name != "vldr" else _NONE
        ready = max((self._ready.get(register, 0) for register in used), default=0.0)
        self.cycle = max(self.cycle, self._fpu_free, ready)

    def _cost(self, instruction: Instruction, kind: Kind) -> float:
        if kind is Kind.LOAD or kind is Kind.STORE:
            return self._access_cost(instruction, kind)
        if kind is Kind.MULTIPLE:
            return self._address_stall(instruction) + MULTIPLE_FIRST.typical + (instruction.n_listed or 2)
        if kind is Kind.IT:
            return IT_FOLDED.typical if self._narrow_before else ALU.typical
        if kind is Kind.DIVIDE:
            return DIVIDE.typical
        if kind is Kind.FP_PLAIN and _moves_between_files(instruction):
            return FP_CORE_MOVE.typical
        costs = {Kind.TABLE_BRANCH: TABLE_BRANCH, Kind.SYSTEM: SYSTEM}
        return costs.get(kind, ALU).typical

    def _access_cost(self, instruction: Instruction, kind: Kind) -> float:
        dependent = bool(self._loaded & instruction.address_registers)
        overlaps = self._overlaps and not dependent
        stall = self._address_stall(instruction)
        if _is_double(instruction):
            return stall + FP_LOAD_DOUBLE.typical
        if kind is Kind.LOAD:
            return stall + (LOAD_AFTER_LOAD if overlaps else LOAD).typical
        if instruction.has_register_offset:
            return stall + STORE_REGISTER_OFFSET.typical - overlaps
        return stall + (FP_STORE if instruction.name == "vstr" else STORE).typical

    def _address_stall(self, instruction: Instruction) -> float:
        return ADDRESS_STALL.typical if self._computed & instruction.address_registers else 0

    def _avoidable(self, instruction: Instruction, kind: Kind, cycles: float) -> float:
        """How many cycles the instruction may take less than charged, by its operands or when its condition fails."""
        if instruction.conditional and kind is not Kind.BRANCH:
            return max(cycles, _FPU_BUSY.get(kind, ALU).typical) - ALU.typical
        return DIVIDE.typical - DIVIDE.low if kind is Kind.DIVIDE else 0.0

    def _finish(self, instruction: Instruction, kind: Kind, issue: float) -> None:
        single_load = kind is Kind.LOAD and not _is_double(instruction) and "pc" not in instruction.writes
        self._overlaps = single_load
        self._loaded = instruction.writes if single_load else _NONE
        self._computed = instruction.writes if kind in (Kind.ALU, Kind.DIVIDE) else _NONE
        self._narrow_before = instruction.size == 2 and kind is not Kind.IT
        busy = _FPU_BUSY.get(kind, FP_ARITHMETIC).typical
        if kind in _FP_KINDS:
            self._fpu_free = issue + busy
        delayed = kind in (Kind.FP_ARITHMETIC, Kind.FP_MULTIPLY_ADD, Kind.FP_DIVIDE)
        for register in instruction.writes if delayed else _NONE:
            self._ready[register] = issue + busy + FP_USE_STALL.typical


def _moves_between_files(instruction: Instruction) -> bool:
    return instruction.name == "vmov" and any(r[0] != "s" or r == "sp" for r in instruction.reads | instruction.writes)


def _is_double(instruction: Instruction) -> bool:
    moved = instruction.writes if instruction.name == "vldr" else instruction.reads - instruction.address_registers
    return instruction.name in ("vldr", "vstr") and len(moved) == 2
