"""Instructions of Arm v8.1-M that the disassembler does not know: Helium, loops without overhead, shifts of two words.

For the cycle model alone: which pipe an instruction goes to and which registers it needs, from the fields of its
encoding (Arm v8-M Architecture Reference Manual, DDI 0553, C2.4). A vector register q1 is given as its words s4 to s7.
Which instructions go to the integer pipe, and which to that of floating point and multiplication, is from the head and
tables of llvm-project's ARMScheduleM55.td at 2f206a08; what is not told apart here counts as the latter, the slower.
"""

from __future__ import annotations

from dataclasses import dataclass

LOAD, GATHER, STORE, CONTROL = "helium-load", "helium-gather", "helium-store", "helium-control"
INTEGER, MULTIPLY = "helium-integer", "helium-multiply"
_MEMORY, _DATA = (0xEC, 0xED, 0xFC, 0xFD), (0xEE, 0xEF, 0xFE, 0xFF)  # high bytes of the first half
_FLOATING_POINT = (0x9, 0xA, 0xB)  # coprocessors, bits 11 to 8 of the second half
_CORE = [*(f"r{i}" for i in range(13)), "sp", "lr", "pc"]  # as capstone names them, but for r9 to r12
_CORE[9:13] = ["sb", "sl", "fp", "ip"]


@dataclass(frozen=True)
class Extended:
    """Name and registers of one instruction, of 32 bits."""

    name: str
    reads: frozenset[str]
    writes: frozenset[str]
    address_registers: frozenset[str] = frozenset()


def extended(first: int, second: int) -> Extended | None:
    """The instruction of these two halves, or None where it is not one of these."""
    group, coprocessor = first >> 8, second >> 8 & 0xF
    if group == 0xF0 and second & 0xD001 == 0xC001:
        return _loop(first, second)
    if first & 0xFFE0 == 0xEA40 and second & 0xF in (0xD, 0xF):
        return _long_shift(first, second)
    if first & 0xFFF0 == 0xEA50 and second & 0x8000:
        return Extended("csel", _core(first) | _core(second) | {"cpsr"}, _core(second >> 8))
    if group in _MEMORY and coprocessor not in _FLOATING_POINT:
        return _moved(first, second) if first & 0xFFE0 == 0xEC00 else _memory(first, second)
    if first & 0xFFEF == 0xEEED and second & 0x0FFF == 0x0A10:  # VMSR and VMRS of the predicates
        given, vpr = _core(second >> 12), frozenset(("vpr",))
        return Extended("vmrs", vpr, given) if first & 0x10 else Extended("vmsr", given, vpr)
    if first & 0xFF90 == 0xEE80 and second & 0x0F10 == 0x0B10:
        return Extended(INTEGER, _core(second >> 12), _vector(first >> 1))
    if group in _DATA and (group & 1 or coprocessor not in _FLOATING_POINT):
        return _reduction(first, second) or _data(first, second)
    return None


def _core(field: int) -> frozenset[str]:
    return frozenset((_CORE[field & 0xF],))


def _vector(field: int, n: int = 1) -> frozenset[str]:
    """The words of `n` vector registers from the one that the low three bits of a field name."""
    return frozenset(f"s{i}" for i in range(4 * (field & 7), 4 * (field & 7) + 4 * n))


def _loop(first: int, second: int) -> Extended:
    """DLS, WLS, LE and VCTP with their kin."""
    if second & 0xF801 == 0xE801:
        return Extended(CONTROL, _core(first), frozenset(("vpr",)))
    if second & 0xE000 == 0xE000:
        return Extended("dls", _core(first), _core(14))
    if first & 0xF == 0xF:
        return Extended("le", _core(14), _core(14))
    return Extended("wls", _core(first), _core(14))


def _long_shift(first: int, second: int) -> Extended:
    both = _core(first & 0xE) | (_core(second >> 8) if second >> 8 & 0xF != 0xF else frozenset())
    return Extended("shift64", both, both)


def _moved(first: int, second: int) -> Extended:
    """Two lanes to or from core registers."""
    vector, core = _vector(second >> 13), _core(first) | _core(second)
    return Extended(INTEGER, core, vector) if first & 0x10 else Extended(INTEGER, vector, core)


def _memory(first: int, second: int) -> Extended:
    interleaves = bool(first & 0x1000 and second & 0x1000)  # VLD2, VLD4 and their stores
    gathers = bool(first & 0x1000 and not second & 0x1000)
    data = _vector(second >> 13, (4 if second & 1 else 2) if interleaves else 1)
    base = _core(first if second & 0x1000 or gathers else first & 7)
    reads = base | (_vector(second >> 1) if gathers else frozenset())
    written = base if first & 0x20 else frozenset()
    if first & 0x10:
        return Extended(GATHER if gathers else LOAD, reads, data | written, base)
    return Extended(STORE, reads | data, written, base)


def _reduction(first: int, second: int) -> Extended | None:
    """Sums and extremes of a vector, or of products of two, in core registers."""
    if first & 0xEF80 != 0xEE80 or second & 0x0E00 != 0x0E00 or second & 0x41:
        return None
    extreme = first & 0xFFF0 in (0xEEE0, 0xFEE0)
    total = _core(second >> 12) if extreme else _core(second >> 12 & 0xE)
    if not extreme and first >> 4 & 7 != 7:
        total |= _core((first >> 4 & 7) * 2 + 1)
    accumulated = total if extreme or second & 0x20 else frozenset()
    return Extended(MULTIPLY, _vector(first >> 1) | _vector(second >> 1) | accumulated, total)


def _data(first: int, second: int) -> Extended:
    if first & 0xFFBF == 0xFE31 and second & 0x1FFF == 0x0F4D:  # VPST, VPNOT
        return Extended(CONTROL, frozenset(), frozenset(("vpr",)))
    name = INTEGER if _is_integer(first, second) else MULTIPLY
    compares = name == MULTIPLY and not first & 0x0180 and second & 0x0F00 == 0x0F00
    by_scalar = not first & 0x0180 and second & 0x0E40 == 0x0E40
    reads = _core(second) if by_scalar else _vector(second >> 1)
    if not first & 0x80:
        reads |= _vector(first >> 1)
    accumulates = second & 0x0F00 == (0x0C00 if first & 0x0100 else 0x0E00) and name == MULTIPLY
    result = frozenset(("vpr",)) if compares else _vector(second >> 13)
    return Extended(name, reads | result if accumulates else reads, result)


def _is_integer(first: int, second: int) -> bool:
    """Whether an instruction on vectors goes to the integer pipe."""
    kind = second >> 8 & 0xF
    if not first & 0x0100:
        if kind == 0xF:
            scalar = second & 0x40 and first & 0xFF00 == 0xEE00
            return bool(scalar) or (first & 0xFFF1 == 0xFE31 and second & 0x1FD1 == 0x0F01)  # the latter is VPSEL
        return kind == 0xE and bool(second & 1) and first & 0x70 == 0x30  # VMOVN
    if first & 0xFFB0 == 0xFFB0:
        return first & 3 < 2 and not kind & 4  # others are of floats
    if first & 0x80:
        return bool(first & 0x38)  # shifts; without these bits a constant
    return kind < 8 or (kind == 8 and not second & 0x10)
