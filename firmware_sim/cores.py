"""The cores that firmware is compiled for, and what runs it: Unicorn, from PyPI, or QEMU where it is installed.

Everything that depends on the core goes by its name through `CORES`: compiler flags, emulator, what the core can do.
What its instructions take is in `hardware_profiles/cores/`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgebci.documents import nearest
from edgebci.errors import InputError

Emulator = Literal["unicorn", "qemu-system-arm", "qemu-aarch64", "qemu-riscv32", "native"]

_THUMB = "thumb-freestanding-eabihf"


@dataclass(frozen=True)
class Core:
    """One core, as the compiler and the emulator know it.

    Fields:
        triple, zig_cpu, flags: what the compiler is told. The plain names of Arm's cores silently give soft float, no
            DSP extension (M33) and no vectors (M55), so each unit is asked for by name.
        elf_cpus: how compilers name it in an ELF, in lower case.
        emulator, model: what runs it, and the emulator's name for it (of a QEMU machine: the board).
    """

    name: str
    title: str
    triple: str
    zig_cpu: str
    emulator: Emulator
    model: str
    elf_cpus: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    has_dsp: bool = False  # packed 16-bit multiply-accumulate
    has_fpu: bool = True
    has_mve: bool = False  # Helium

    @property
    def is_thumb(self) -> bool:
        """Whether it runs Thumb code: an Arm Cortex-M."""
        return self.triple == _THUMB


_ALL = (
    Core(
        "cortex-m4f", "Cortex-M4F", _THUMB, "cortex_m4+vfp4d16sp", "unicorn", "CORTEX_M4", ("cortex-m4",), has_dsp=True
    ),
    Core(
        "cortex-m7",
        "Cortex-M7",
        _THUMB,
        "cortex_m7+fp_armv8d16sp",
        "unicorn",
        "CORTEX_M7",
        ("cortex-m7",),
        has_dsp=True,
    ),
    Core(
        "cortex-m33",
        "Cortex-M33",
        _THUMB,
        "cortex_m33+dsp+fp_armv8d16sp",
        "unicorn",
        "CORTEX_M33",
        ("cortex-m33",),
        has_dsp=True,
    ),
    Core(
        "cortex-m55",
        "Cortex-M55",
        _THUMB,
        "cortex_m55+mve_fp+fp_armv8d16",
        "qemu-system-arm",
        "mps3-an547",
        ("cortex-m55",),
        has_dsp=True,
        has_mve=True,
    ),
    Core("aarch64", "Arm 64-bit, as in a Cortex-A", "aarch64-linux-none", "generic", "qemu-aarch64", "max"),
    Core(
        "riscv32",
        "RISC-V RV32IMFC",
        "riscv32-linux-none",
        "generic_rv32+m+f+c",
        "qemu-riscv32",
        "",
        flags=("-mabi=ilp32f",),
    ),
    Core("host", "this machine", "native", "native", "native", ""),
)
CORES: dict[str, Core] = {core.name: core for core in _ALL}
"""By name."""


def find_core(name: str) -> Core:
    """Look up a core; an unknown name raises InputError with the nearest one."""
    if name not in CORES:
        raise InputError(f"unknown core {name!r}, {nearest(name, list(CORES))}")
    return CORES[name]


def core_of(elf_cpu: str) -> Core | None:
    """The core that a compiler means by the name that it wrote into an ELF; None if it is none of ours."""
    return next((core for core in _ALL if elf_cpu.lower() in core.elf_cpus), None)
