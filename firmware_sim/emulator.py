"""An emulated core that runs a linked program, function by function.

    machine = Machine(FirmwareImage.load(path))
    machine.write("counts", samples.tobytes())
    frames = machine.call("edgebci_harness_push", 20)

Whatever touches memory that is not the program's, runs an instruction that the core lacks or never returns becomes a
VerificationError that says where. One fault of a real core goes unnoticed: a misaligned LDRD, LDM or VLDR.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray
from unicorn.arm_const import (
    UC_ARM_REG_LR,
    UC_ARM_REG_PC,
    UC_ARM_REG_R0,
    UC_ARM_REG_R1,
    UC_ARM_REG_R2,
    UC_ARM_REG_R3,
    UC_ARM_REG_SP,
    UC_CPU_ARM_CORTEX_M4,
    UC_CPU_ARM_CORTEX_M7,
    UC_CPU_ARM_CORTEX_M33,
)
from unicorn.unicorn_const import (
    UC_ARCH_ARM,
    UC_ERR_EXCEPTION,
    UC_ERR_INSN_INVALID,
    UC_HOOK_INTR,
    UC_MODE_MCLASS,
    UC_MODE_THUMB,
)
from unicorn.unicorn_py3.unicorn import Uc, UcError

from edgebci.errors import InputError, VerificationError
from edgebci.firmware_sim.block_profile import LIMIT_REACHED, TABLE_FULL, BlockCounter
from edgebci.firmware_sim.cores import CORES, Core, core_of
from edgebci.firmware_sim.firmware_image import FirmwareImage
from edgebci.firmware_sim.flash_waits import FlashCounter, FlashWaits
from edgebci.firmware_sim.target_memory import RETURN_ADDRESS, STACK_TOP, Fault, TargetMemory
from edgebci.hardware import MemoryModel

DEFAULT_STACK_BYTES = 32 * 1024
DEFAULT_INSTRUCTION_LIMIT = 2_000_000_000
_MODELS = {"CORTEX_M4": UC_CPU_ARM_CORTEX_M4, "CORTEX_M7": UC_CPU_ARM_CORTEX_M7, "CORTEX_M33": UC_CPU_ARM_CORTEX_M33}
_BREAKPOINTS = (7, 16)  # EXCP_BKPT and EXCP_SEMIHOST of the emulator
_BKPT = 0xBE  # the first byte of the instruction
_ARGUMENTS = (UC_ARM_REG_R0, UC_ARM_REG_R1, UC_ARM_REG_R2, UC_ARM_REG_R3)


class Machine:
    """One program on one core, from power-on; its memory lives on between calls.

    Args:
        image: the program.
        regions: parts of the program to count apart: a name and the function that enters it, which is not recursive.
        profile: count instructions and edges. Without it a run cannot be limited and only its results are known.
        stack_bytes: what the stack may use, rounded up to whole pages of 4,096 bytes.
        core: which core to be; None is the one that the program was compiled for.
        flash: a board whose caches are to be followed; see `flash_waits`.

    Raises:
        InputError: the program is for another core, or lacks the function of a region.
    """

    def __init__(
        self,
        image: FirmwareImage,
        regions: Mapping[str, str] | None = None,
        profile: bool = True,
        stack_bytes: int = DEFAULT_STACK_BYTES,
        core: Core | None = None,
        flash: MemoryModel | None = None,
    ) -> None:
        self.core = core or _core_for(image)
        self.image = image
        self.region_names = ("", *(regions or {}))
        self._engine = Uc(UC_ARCH_ARM, UC_MODE_THUMB | UC_MODE_MCLASS)
        self._engine.ctl_set_cpu_model(_MODELS[self.core.model])
        self._memory = TargetMemory(self._engine, image, stack_bytes)
        entries = tuple(image.symbol(function).address for function in (regions or {}).values())
        self._flash = FlashCounter(self._engine, flash, self._memory.code, image.code.address) if flash else None
        self.counter = BlockCounter(self._engine, image, self._memory.code, entries) if profile else None

    def call(self, function: str, *arguments: int, instruction_limit: int = DEFAULT_INSTRUCTION_LIMIT) -> int:
        """Call a function with up to four integer arguments and run it until it returns; the result is R0, unsigned.

        Raises:
            InputError: there is no such function.
            VerificationError: the program faulted, overflowed its stack or did not return within `instruction_limit`.
        """
        engine, address = self._engine, self.image.symbol(function).address
        for register, value in zip(_ARGUMENTS, arguments, strict=False):
            engine.reg_write(register, value & 0xFFFFFFFF)
        self.run_from(address, function, STACK_TOP, instruction_limit=instruction_limit)
        return int(engine.reg_read(UC_ARM_REG_R0))

    def run_from(
        self,
        address: int,
        name: str,
        stack_top: int,
        until: int = RETURN_ADDRESS,
        instruction_limit: int = DEFAULT_INSTRUCTION_LIMIT,
    ) -> None:
        """Run code at `address`, called `name` in messages, until it returns, comes to `until` or is stopped.

        Raises:
            VerificationError: as `call`.
        """
        engine = self._engine
        engine.reg_write(UC_ARM_REG_SP, stack_top)
        engine.reg_write(UC_ARM_REG_LR, RETURN_ADDRESS | 1)
        self._memory.fault = None
        if self.counter:
            self.counter.begin(instruction_limit)
        try:
            engine.emu_start(address | 1, until)
        except UcError as error:
            self._explain(error)
        self._require_return(name, instruction_limit)

    def on_breakpoint(self, goes_on: Callable[[int], bool]) -> None:
        """Hand the number of every BKPT to `goes_on`; the run stops where that says no, else after the BKPT."""

        def interrupted(engine: Uc, number: int, _data: object) -> None:
            if number not in _BREAKPOINTS:
                raise UcError(UC_ERR_EXCEPTION)
            address = int(engine.reg_read(UC_ARM_REG_PC)) & ~1
            code = int.from_bytes(engine.mem_read(address, 2), "little")
            if code >> 8 == _BKPT and goes_on(code & 0xFF):
                engine.reg_write(UC_ARM_REG_PC, (address + 2) | 1)
            else:
                engine.emu_stop()

        self._engine.hook_add(UC_HOOK_INTR, interrupted)

    def register(self, number: int) -> int:
        """R0 to R3, unsigned."""
        return int(self._engine.reg_read(_ARGUMENTS[number]))

    def set_result(self, value: int) -> None:
        """Write R0."""
        self._engine.reg_write(UC_ARM_REG_R0, value & 0xFFFFFFFF)

    def read_at(self, address: int, size_bytes: int) -> bytes:
        """Bytes of the memory at any address.

        Raises:
            VerificationError: it is not mapped.
        """
        try:
            return bytes(self._engine.mem_read(address, size_bytes))
        except UcError as error:
            raise VerificationError(
                f"{size_bytes} bytes at 0x{address:08x} are not all the program's memory; it has a defect"
            ) from error

    @property
    def instructions(self) -> int:
        """Instructions executed since power-on."""
        return self.counter.instructions if self.counter else 0

    def flash_waits(self, cycles: float) -> FlashWaits | None:
        """What flash added so far to `cycles` of the core; None without a board."""
        if self._flash is None or self.counter is None:
            return None
        profile = self.counter.profile()
        return self._flash.waits(cycles, float(profile.executions @ profile.block_size.astype(np.uint64)))

    @property
    def stack_peak_bytes(self) -> int:
        """The most stack that any call has used so far."""
        return self._memory.stack_peak_bytes

    def view(self, symbol: str, dtype: str = "u1") -> NDArray[Any]:
        """The variable itself as a one-dimensional array: reading and writing it touches the machine's memory."""
        return self._memory.view(symbol, dtype)

    def read(self, symbol: str) -> bytes:
        """Return the bytes of a variable."""
        return self.view(symbol).tobytes()

    def write(self, symbol: str, content: bytes) -> None:
        """Overwrite the beginning of a variable.

        Raises:
            InputError: the variable is smaller than `content`.
        """
        variable = self.view(symbol)
        if len(content) > len(variable):
            raise InputError(f"{len(content)} bytes do not fit {symbol!r}, which has {len(variable)}; write fewer")
        variable[: len(content)] = np.frombuffer(content, np.uint8)

    def _explain(self, error: UcError) -> NoReturn:
        where, fault = self._where(), self._memory.fault
        if fault is not None:
            raise VerificationError(f"{self._refused(fault)} in {where}; the firmware has a defect") from error
        if error.errno in (UC_ERR_INSN_INVALID, UC_ERR_EXCEPTION):
            raise VerificationError(
                f"an instruction that a {self.core.title} does not have, or a trap, in {where}; "
                f"compile for {self.core.name}"
            ) from error
        raise VerificationError(f"the core stopped with {error} in {where}; the firmware has a defect") from error

    def _refused(self, fault: Fault) -> str:
        if self._memory.overflows_stack(fault.address):
            size_bytes = STACK_TOP - self._memory.stack_bottom
            return f"the stack overflowed its {size_bytes} bytes (access to 0x{fault.address:08x})"
        return f"{fault.kind} {self.image.place(fault.address)}, which is not {fault.lack},"

    def _where(self) -> str:
        address, code = int(self._engine.reg_read(UC_ARM_REG_PC)) & ~1, self.image.code
        if code.address <= address < code.address + code.size_bytes:
            return f"function {self.image.function_at(address)} at {self.image.place(address)}"
        link = int(self._engine.reg_read(UC_ARM_REG_LR)) & ~1
        caller = "the host" if link == RETURN_ADDRESS else self.image.place(link - 2)
        return f"{self.image.place(address)}, outside the code, last called from {caller}"

    def _require_return(self, function: str, instruction_limit: int) -> None:
        stopped = self.counter.stopped if self.counter else 0
        if stopped == LIMIT_REACHED:
            raise VerificationError(
                f"{function} did not return within {instruction_limit} instructions, it was in {self._where()}; "
                "it may never end, or the limit is too low"
            )
        if stopped == TABLE_FULL:
            raise VerificationError(f"{function} has more blocks of code than the profile can count; report it")


def _core_for(image: FirmwareImage) -> Core:
    core = core_of(image.cpu)
    if core is None or core.model not in _MODELS:
        emulated = [core.name for core in CORES.values() if core.model in _MODELS]
        raise InputError(
            f"{image.path.name} is for {image.cpu or 'an unknown core'}, emulated are {', '.join(emulated)}; "
            "compile it for one of them"
        )
    return core
