"""Fetches and loads from flash go through the caches of a board: misses are those known by reading."""

from __future__ import annotations

import pytest

from edgebci.errors import InputError
from edgebci.firmware_sim.cores import find_core
from edgebci.firmware_sim.emulator import Machine
from edgebci.firmware_sim.firmware_image import FirmwareImage
from edgebci.firmware_sim.flash_waits import FlashWaits
from edgebci.firmware_sim.thumb import Load, load_at
from edgebci.hardware import MemoryModel, load_profile
from edgebci.pipeline.cycle_costs import board_memory

L4, U5 = load_profile(MemoryModel, "stm32l4r5"), load_profile(MemoryModel, "stm32u575")


def waits(machine: Machine, cycles: float) -> FlashWaits:
    found = machine.flash_waits(cycles)
    assert found is not None
    return found


def lines_of(image: FirmwareImage, function: str, size_bytes: int, line_bytes: int) -> int:
    address = image.symbol(function).address
    return (address + size_bytes - 1) // line_bytes - address // line_bytes + 1


def test_straight_code_misses_each_line_once_in_a_cache_that_holds_it(counted: FirmwareImage) -> None:
    machine = Machine(counted, core=find_core("cortex-m33"), flash=U5)
    expected = lines_of(counted, "long", 2 * 1201, 16)
    machine.call("long")
    assert waits(machine, 1200).fetch_misses == expected
    machine.call("long")  # 2,402 bytes lie in 8 KiB now
    found = waits(machine, 2400)
    assert found.fetch_misses == expected
    assert found.fetch_stalls == expected * U5.miss_cycles.typical


def test_straight_code_misses_again_in_a_cache_that_is_too_small(counted: FirmwareImage) -> None:
    machine = Machine(counted, flash=L4)
    machine.call("long")
    first = waits(machine, 1200)
    machine.call("long")  # of 2,402 bytes, 1 KiB has the last, and the least recently used go before they are wanted
    assert waits(machine, 2400).fetch_misses == 2 * first.fetch_misses


def test_a_prefetch_hides_what_is_executed_meanwhile(counted: FirmwareImage) -> None:
    machine = Machine(counted, flash=L4)
    machine.call("long")
    slow, fast = waits(machine, 5000), waits(machine, 1200)
    # At half a cycle a byte, a line of 8 bytes takes 4 of the 5 cycles that the next one needs.
    assert fast.fetch_stalls == pytest.approx(fast.fetch_misses * 1, abs=8)
    assert slow.fetch_stalls < fast.fetch_stalls


def test_loads_that_stream_through_flash_miss_once_a_line(counted: FirmwareImage) -> None:
    machine = Machine(counted, flash=L4)
    machine.call("read_words", counted.code.address, 256)
    found = waits(machine, 3000)
    assert found.load_misses == 1024 / 8
    assert found.load_stalls == 128 * L4.load_miss_cycles.typical


def test_loads_from_ram_cost_no_waits(programs: FirmwareImage) -> None:
    machine = Machine(programs, flash=L4)
    machine.call("dense", 16, 64)
    assert waits(machine, 10_000).load_misses <= 4  # literals


def test_following_caches_changes_neither_results_nor_counts(programs: FirmwareImage) -> None:
    plain, followed = Machine(programs), Machine(programs, flash=L4)
    for machine in (plain, followed):
        machine.call("exponentials", 20)
    assert plain.instructions == followed.instructions
    assert plain.read("float_sums") == followed.read("float_sums")
    assert plain.flash_waits(1.0) is None


def test_a_board_of_another_core_is_refused() -> None:
    with pytest.raises(InputError, match="stm32u575 has a cortex-m33, asked was cortex-m4f; give another board"):
        board_memory("stm32u575", find_core("cortex-m4f"))
    with pytest.raises(InputError, match="no profile 'stm32u57' in memories"):
        board_memory("stm32u57", find_core("cortex-m33"))


# What the assembler makes of each instruction.
LOADS = {
    "6868": ("ldr r0, [r5, #4]", Load(4, "r5", offset=4)),
    "55f8041b": ("ldr r1, [r5], #4", Load(4, "r5")),
    "55f8081d": ("ldr r1, [r5, #-8]!", Load(4, "r5", offset=-8)),
    "1a57": ("ldrsb r2, [r3, r4]", Load(1, "r3", "r4")),
    "53f82420": ("ldr r2, [r3, r4, lsl #2]", Load(4, "r3", "r4", 2)),
    "d2e90201": ("ldrd r0, r1, [r2, #8]", Load(8, "r2", offset=8)),
    "91ed010b": ("vldr d0, [r1, #4]", Load(8, "r1", offset=4)),
    "0ec8": ("ldm r0!, {r1, r2, r3}", Load(12, "r0")),
    "10e90600": ("ldmdb r0, {r1, r2}", Load(8, "r0", offset=-8)),
    "10bd": ("pop {r4, pc}", Load(8, "sp")),
    "bdec048b": ("vpop {d8, d9}", Load(16, "sp")),
    "baf80290": ("ldrh r9, [r10, #2]", Load(2, "sl", offset=2)),
    "0248": ("ldr r0, [pc, #8] at 0x102", Load(4, offset=0x104 + 8)),
    "0860": ("str r0, [r1]", Load()),
    "0844": ("add r0, r1", Load()),
}


@pytest.mark.parametrize("code", LOADS, ids=lambda code: LOADS[code][0])
def test_what_an_instruction_loads_is_known_from_its_code(code: str) -> None:
    assert load_at(bytes.fromhex(code), 0x102) == LOADS[code][1]
