"""What a decoder can be exported for: which forms a target takes, and in which precisions."""

from __future__ import annotations

from typing import Literal, get_args

from edgebci.documents import Document, nearest
from edgebci.errors import InputError

Precision = Literal["fp32", "fp16", "int8", "mixed"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
Arithmetic = Literal["int8", "fixed"]
"""Of a decoder in int8: activations in int8 with float32 between quantizers, or int16 in fixed point throughout."""


class Target(Document):
    """One name that `--target` takes.

    Fields:
        name: as the user writes it.
        kind: what a bundle for it holds: microcontroller and host C with the int8 graph it came from, onnxruntime and
            jetson graphs.
        core: whose kernels the C generator takes; None where there is no C.
        state: what the decoder's states are stored in.
        precisions: what `--precision` may be.
        default_precision: what it is where the user does not say.
        note: what it is, in a few words.
    """

    name: str
    kind: Literal["microcontroller", "host", "onnxruntime", "jetson"]
    core: str | None
    state: Literal["int16", "float32"]
    precisions: tuple[Precision, ...]
    default_precision: Precision
    note: str


def _integers(name: str, kind: Literal["microcontroller", "host"], note: str, core: str = "cortex-m4f") -> Target:
    """A target of C: it computes in integers, or where it is asked to in float32, states and all."""
    return Target(
        name=name,
        kind=kind,
        core=core,
        state="int16",
        precisions=("fp32", "int8", "mixed"),
        default_precision="int8",
        note=note,
    )


def _runtime(name: str, note: str) -> Target:
    return Target(
        name=name,
        kind="onnxruntime",
        core=None,
        state="int16",
        precisions=PRECISIONS,
        default_precision="int8",
        note=note,
    )


def _jetson(name: str, note: str) -> Target:
    """TensorRT keeps recurrence and state in float32: it has no int16 to store them in."""
    return Target(
        name=name,
        kind="jetson",
        core=None,
        state="float32",
        precisions=("fp32", "fp16", "int8"),
        default_precision="int8",
        note=note,
    )


_ALL = (
    _integers("cortex-m4f", "microcontroller", "C99 for an Arm Cortex-M4 with its floating-point unit"),
    _integers("cortex-m7", "microcontroller", "C99 for an Arm Cortex-M7 with its floating-point unit", "cortex-m7"),
    _integers("cortex-m33", "microcontroller", "C99 for an Arm Cortex-M33 with DSP extension and FPU", "cortex-m33"),
    _integers("cortex-m55", "microcontroller", "C99 for an Arm Cortex-M55 with Helium", "cortex-m55"),
    _integers("riscv32", "microcontroller", "C99 for a 32-bit RISC-V with an FPU (RV32IMFC)", "riscv32"),
    _integers("aarch64", "host", "the same C for a 64-bit Arm, its large kernels in vectors", "aarch64"),
    _integers("host", "host", "the same C for this machine, its large kernels in vectors", "host"),
    _runtime("cpu", "ONNX Runtime on this machine"),
    _runtime("raspberry-pi-5", "ONNX Runtime on a Raspberry Pi 5 (aarch64)"),
    _jetson("jetson-orin-nano", "TensorRT on a Jetson Orin Nano"),
    _jetson("jetson-orin-nx", "TensorRT on a Jetson Orin NX"),
    _jetson("jetson-agx-orin", "TensorRT on a Jetson AGX Orin"),
    _jetson("jetson-agx-thor", "TensorRT on a Jetson AGX Thor"),
)
TARGETS: dict[str, Target] = {one.name: one for one in _ALL}
"""By name."""
ALIASES = {"jetson": "jetson-orin-nano"}
"""Names that ask for nothing in particular, and what they get."""


def target(name: str) -> Target:
    """Find a target by its name or alias.

    Raises:
        InputError: there is none; says which is nearest.
    """
    found = TARGETS.get(ALIASES.get(name, name))
    if found is None:
        raise InputError(f"no target {name!r}, {nearest(name, [*TARGETS, *ALIASES])}")
    return found


def precision_for(wanted: Target, precision: str | None) -> Precision:
    """The precision that the user asked for, or the target's own.

    Raises:
        InputError: the target cannot be had in that precision; says in which it can.
    """
    if precision is None:
        return wanted.default_precision
    for allowed in wanted.precisions:
        if allowed == precision:
            return allowed
    raise InputError(
        f"{wanted.name} cannot be exported in {precision!r}, allowed: {', '.join(wanted.precisions)}; "
        "change --precision"
    )
