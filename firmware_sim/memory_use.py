"""How much flash and RAM a program needs, and whether a chip has it."""

from __future__ import annotations

from dataclasses import dataclass

from edgebci.errors import CapacityError
from edgebci.firmware_sim.firmware_image import FirmwareImage


@dataclass(frozen=True)
class MemoryUse:
    """Bytes on the chip: flash = text + constants + initial values; RAM = data + bss + the deepest stack seen."""

    flash_bytes: int
    static_ram_bytes: int
    stack_bytes: int

    @property
    def ram_bytes(self) -> int:
        """All RAM."""
        return self.static_ram_bytes + self.stack_bytes


def memory_use(image: FirmwareImage, stack_bytes: int) -> MemoryUse:
    """Take the sizes from the linked program and the stack from its run (`Machine.stack_peak_bytes`)."""
    return MemoryUse(image.flash_bytes, image.static_ram_bytes, stack_bytes)


def require_fits(use: MemoryUse, chip: str, flash_bytes: int, ram_bytes: int) -> None:
    """Check a program against the memories of a chip.

    Raises:
        CapacityError: it does not fit; says by how much, for both memories at once.
    """
    faults = [_shortage("flash", use.flash_bytes, flash_bytes), _shortage("RAM", use.ram_bytes, ram_bytes)]
    if any(faults):
        found = " and ".join(fault for fault in faults if fault)
        raise CapacityError(
            f"the decoder does not fit {chip}: it needs {found}; choose a smaller decoder or a larger chip"
        )


def _shortage(memory: str, needed_bytes: int, available_bytes: int) -> str:
    missing = needed_bytes - available_bytes
    if missing <= 0:
        return ""
    return f"{needed_bytes:,} bytes of {memory} where there are {available_bytes:,} ({missing:,} too many)"
