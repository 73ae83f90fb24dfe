"""What goes wrong on the emulated core is told with its place, never swallowed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edgebci.errors import InputError, VerificationError
from edgebci.firmware_sim import block_profile
from edgebci.firmware_sim.emulator import Machine
from edgebci.firmware_sim.firmware_image import FirmwareImage

FAULTS = {
    "read_null": r"a read from 0x00000000, which is not mapped, in function read_null at 0x[0-9a-f]{8} \(read_null\+",
    "write_code": r"a write to 0x08000000 \(.*\), which is not writable, in function write_code at",
    "write_past_everything": r"a write to 0x[0-9a-f]{8} \(\d+ bytes past the end of \w+\), which is not mapped, in",
    "undefined_instruction": r"an instruction that a Cortex-M4F does not have.* in function undefined_instruction at",
    "double_precision": r"an instruction that a Cortex-M4F does not have.* in function double_precision at",
    "jump_into_data": r"0x20[0-9a-f]{6} \(activations\+0\)",
}


@pytest.mark.parametrize(("function", "message"), FAULTS.items())
def test_a_fault_names_address_and_function(programs: FirmwareImage, function: str, message: str) -> None:
    with pytest.raises(VerificationError, match=message):
        Machine(programs).call(function)


def test_a_run_that_never_ends_is_stopped_at_its_limit(programs: FirmwareImage) -> None:
    machine = Machine(programs)
    with pytest.raises(VerificationError, match=r"spin did not return within 100000 instructions.*function spin at"):
        machine.call("spin", instruction_limit=100_000)
    assert 100_000 <= machine.instructions < 100_100


def test_the_limit_is_of_one_call_not_of_the_machines_life(programs: FirmwareImage) -> None:
    machine = Machine(programs)
    for _ in range(20):
        machine.call("collatz", 27, instruction_limit=2_000)
    assert machine.instructions > 10_000


def test_a_profile_that_overflows_stops_the_run_instead_of_dropping_counts(
    programs: FirmwareImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(block_profile, "CAPACITY", 8)
    with pytest.raises(VerificationError, match="exponentials has more blocks of code than the profile can count"):
        Machine(programs).call("exponentials", 5)


def test_a_stack_overflow_is_told_as_such(programs: FirmwareImage) -> None:
    with pytest.raises(VerificationError, match=r"the stack overflowed its 8192 bytes .* in function deep_stack"):
        Machine(programs, stack_bytes=8192).call("deep_stack", 100)


def test_a_machine_works_on_after_a_fault(programs: FirmwareImage) -> None:
    machine = Machine(programs)
    with pytest.raises(VerificationError):
        machine.call("read_null")
    assert machine.call("fibonacci", 10) == 55


def test_an_unknown_function_is_answered_with_the_nearest(programs: FirmwareImage) -> None:
    with pytest.raises(InputError, match=r"no symbol 'fibonaci'; did you mean 'fibonacci'\?"):
        Machine(programs).call("fibonaci", 3)


def test_content_that_is_larger_than_its_variable_is_refused(programs: FirmwareImage) -> None:
    machine = Machine(programs)
    with pytest.raises(InputError, match="1025 bytes do not fit 'sums', which has 1024"):
        machine.write("sums", bytes(1025))


def test_variables_are_read_and_written_in_place(programs: FirmwareImage) -> None:
    machine = Machine(programs)
    machine.write("weights", bytes([2, 3, 255]))
    machine.view("activations", "i1")[:3] = [10, 100, 7]
    machine.call("dense", 1, 3)
    assert machine.view("sums", "<i4")[0] == 20 + 300 - 7
    assert machine.view("divisor", "<i4")[0] == 3  # initialised data


def test_a_program_for_another_core_is_refused(programs: FirmwareImage) -> None:
    assert programs.cpu == "cortex-m4"
    with pytest.raises(InputError, match="is for cortex-m3, emulated are cortex-m4f, cortex-m7, cortex-m33"):
        Machine(replace(programs, cpu="cortex-m3"))


def test_a_missing_file_and_a_file_that_is_no_firmware_are_input_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="compile the firmware first"):
        FirmwareImage.load(tmp_path / "absent.elf")
    (tmp_path / "text.elf").write_text("not an ELF")
    with pytest.raises(InputError, match="not an ELF file"):
        FirmwareImage.load(tmp_path / "text.elf")
    with pytest.raises(InputError, match="not a 32-bit Arm core"):
        FirmwareImage.load(Path("/proc/self/exe"))
