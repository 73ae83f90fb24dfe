"""Flash, RAM and stack of a program, against the memories of a chip."""

from __future__ import annotations

import pytest

from edgebci.errors import CapacityError
from edgebci.firmware_sim.emulator import Machine
from edgebci.firmware_sim.firmware_image import FirmwareImage
from edgebci.firmware_sim.memory_use import MemoryUse, memory_use, require_fits


def test_sizes_are_those_of_the_variables(programs: FirmwareImage) -> None:
    arrays = 256 * 256 + 256 + 4 * 256 + 4 * 256 * 256 + 4 * 256 + 4 * 256 + 4
    # Alignment of the sections to 16 bytes and what the compiler's own library keeps.
    assert arrays <= programs.static_ram_bytes < arrays + 256
    code = programs.code
    # Initial values of data are stored in flash too: here `divisor`.
    assert code.size_bytes + 4 <= programs.flash_bytes < code.size_bytes + 64


def test_stack_peak_grows_by_the_frame_of_each_call(programs: FirmwareImage) -> None:
    machine = Machine(programs)
    assert machine.stack_peak_bytes == 0
    machine.call("deep_stack", 3)
    three = machine.stack_peak_bytes
    machine.call("deep_stack", 10)
    ten = machine.stack_peak_bytes
    # 256 bytes of filler and at most 32 of saved registers in each of the 7 further calls.
    assert 7 * 256 <= ten - three <= 7 * 288
    machine.call("deep_stack", 0)
    assert machine.stack_peak_bytes == ten
    assert memory_use(programs, ten).ram_bytes == programs.static_ram_bytes + ten


def test_a_program_that_fits_exactly_passes() -> None:
    use = MemoryUse(flash_bytes=1000, static_ram_bytes=300, stack_bytes=200)
    require_fits(use, "chip", flash_bytes=1000, ram_bytes=500)
    assert use.ram_bytes == 500


def test_a_program_that_does_not_fit_says_by_how_much() -> None:
    use = MemoryUse(flash_bytes=1_000_000, static_ram_bytes=60_000, stack_bytes=5_537)
    with pytest.raises(
        CapacityError, match=r"1,000,000 bytes of flash where there are 262,144 \(737,856 too many\)"
    ) as e:
        require_fits(use, "nRF52", flash_bytes=262_144, ram_bytes=65_536)
    assert "65,537 bytes of RAM where there are 65,536 (1 too many)" in str(e.value)
    with pytest.raises(CapacityError) as only_ram:
        require_fits(use, "nRF52", flash_bytes=1 << 20, ram_bytes=65_536)
    assert "flash" not in str(only_ram.value)
