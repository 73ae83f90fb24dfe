"""What an instruction does to a pipeline: the classes that the tables of cycles are written in."""

from __future__ import annotations

from enum import Enum, auto

from edgebci.errors import VerificationError
from edgebci.firmware_sim.helium import CONTROL, GATHER, INTEGER, LOAD, MULTIPLY, STORE
from edgebci.firmware_sim.thumb import Instruction


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
    LOOP_END = auto()
    VECTOR_LOAD = auto()
    VECTOR_GATHER = auto()
    VECTOR_STORE = auto()
    VECTOR_INTEGER = auto()
    VECTOR_MULTIPLY = auto()
    VECTOR_CONTROL = auto()


_NAMES = {
    Kind.ALU: "adc add addw adr and asr bfc bfi bic clz cmn cmp eor lsl lsr mov movt movw mvn mul mla mls neg nop "
    "orn orr pkhbt pkhtb qadd qadd16 qadd8 qasx qdadd qdsub qsax qsub qsub16 qsub8 rbit rev rev16 revsh ror rrx rsb "
    "sadd16 sadd8 sasx sbc sbfx sel shadd16 shadd8 shasx shsax shsub16 shsub8 smlabb smlabt smlatb smlatt smlad "
    "smladx smlal smlalbb smlalbt smlaltb smlaltt smlald smlaldx smlawb smlawt smlsd smlsdx smlsld smlsldx smmla "
    "smmlar smmls smmlsr smmul smmulr smuad smuadx smulbb smulbt smultb smultt smull smulwb smulwt smusd smusdx "
    "ssat ssat16 ssax ssub16 ssub8 sub subw sxtab sxtab16 sxtah sxtb sxtb16 sxth teq tst uadd16 uadd8 uasx ubfx "
    "uhadd16 uhadd8 uhasx uhsax uhsub16 uhsub8 umaal umlal umull uqadd16 uqadd8 uqasx uqsax uqsub16 uqsub8 usad8 "
    "usada8 usat usat16 usax usub16 usub8 uxtab uxtab16 uxtah uxtb uxtb16 uxth csel dls shift64",
    Kind.DIVIDE: "sdiv udiv",
    Kind.LOAD: "ldr ldrb ldrh ldrsb ldrsh ldrex ldrexb ldrexh ldrt ldrbt ldrht ldrsbt ldrsht vldr",
    Kind.STORE: "str strb strh strex strexb strexh strt strbt strht vstr",
    Kind.MULTIPLE: "ldm ldmdb stm stmdb push pop ldrd strd vldmia vldmdb vstmia vstmdb vpush vpop",
    Kind.BRANCH: "b bl bx blx cbz cbnz wls",
    Kind.TABLE_BRANCH: "tbb tbh",
    Kind.IT: "it",
    Kind.SYSTEM: "mrs msr cps dmb dsb isb clrex bkpt svc wfi wfe sev yield",
    Kind.FP_ARITHMETIC: "vadd vsub vmul vnmul vcvt vcvtr vcvtb vcvtt vcvta vcvtn vcvtp vcvtm vmaxnm vminnm vrinta "
    "vrintm vrintn vrintp vrintr vrintx vrintz vsel vseleq vselge vselgt vselvs",
    Kind.FP_PLAIN: "vabs vneg vmov vcmp vcmpe vmrs vmsr",
    Kind.FP_MULTIPLY_ADD: "vmla vmls vnmla vnmls vfma vfms vfnma vfnms",
    Kind.FP_DIVIDE: "vdiv vsqrt",
    Kind.LOOP_END: "le",
    Kind.VECTOR_LOAD: LOAD,
    Kind.VECTOR_GATHER: GATHER,
    Kind.VECTOR_STORE: STORE,
    Kind.VECTOR_INTEGER: INTEGER,
    Kind.VECTOR_MULTIPLY: MULTIPLY,
    Kind.VECTOR_CONTROL: CONTROL,
}
KINDS = {name: kind for kind, names in _NAMES.items() for name in names.split()}
VECTOR_KINDS = {Kind.VECTOR_LOAD, Kind.VECTOR_GATHER, Kind.VECTOR_STORE, Kind.VECTOR_INTEGER, Kind.VECTOR_MULTIPLY}
"""Of Helium: two beats in their pipe."""
FP_KINDS = {Kind.FP_ARITHMETIC, Kind.FP_PLAIN, Kind.FP_MULTIPLY_ADD, Kind.FP_DIVIDE}


def kind_of(instruction: Instruction) -> Kind:
    """Classify; an instruction without figures raises VerificationError rather than counting as nothing."""
    kind = KINDS.get(instruction.name)
    if kind is None:
        raise VerificationError(
            f"the cycle model has no figure for {instruction.text!r} at 0x{instruction.address:08x}; "
            "add it to instruction_kinds.py"
        )
    return kind


def is_double(instruction: Instruction) -> bool:
    """Whether a floating-point load or store moves two words."""
    moved = instruction.writes if instruction.name == "vldr" else instruction.reads - instruction.address_registers
    return instruction.name in ("vldr", "vstr") and len(moved) == 2
