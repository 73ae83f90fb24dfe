"""Instruction counts are exact: against counts known by reading, and against single steps."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from unicorn.unicorn_const import UC_HOOK_CODE

from edgebci.firmware_sim.block_profile import EdgeProfile
from edgebci.firmware_sim.emulator import Machine
from edgebci.firmware_sim.firmware_image import FirmwareImage
from edgebci.firmware_sim.thumb import Instruction, decode

KNOWN = [
    # function, argument, instructions, result
    ("straight", 0, 4, 7),
    ("loop", 1, 6, 3),
    ("loop", 1000, 3003, 3000),
    ("conditional", 0, 6, 11),
    ("conditional", 1, 6, 20),
    ("early_return", 0, 3, 0),
    ("early_return", 1, 5, 7),
    ("floating", 49, 9, 7),
    ("dividing", 63, 3, 9),
    ("calling", 0, 12, 7),
    ("compare_and_branch", 0, 2, 0),
    ("compare_and_branch", 1, 3, 5),
    ("table", 0, 4, 11),
    ("table", 1, 3, 22),
    ("long", 0, 1201, 1200),
    ("across_a_page", 0, 6, 1),
    ("across_a_page", 3, 6, 2),
    ("recursive", 10, 52, 0),
    ("outer", 0, 24, 4),
]
COMPILED = [
    ("dense", (4, 37)),
    ("float_dense", (3, 21)),
    ("exponentials", (20,)),
    ("collatz", (27,)),
    ("saturate", (200,)),
    ("fibonacci", (9,)),
    ("deep_stack", (5,)),
]


def profile_of(machine: Machine) -> EdgeProfile:
    assert machine.counter is not None
    return machine.counter.profile()


@pytest.mark.parametrize(("function", "argument", "instructions", "result"), KNOWN)
def test_instructions_are_those_known_by_reading(
    counted: FirmwareImage, function: str, argument: int, instructions: int, result: int
) -> None:
    machine = Machine(counted)
    assert machine.call(function, argument) == result
    assert machine.instructions == instructions


def test_counts_of_many_calls_add_up(counted: FirmwareImage) -> None:
    machine = Machine(counted)
    for function, argument, _, result in KNOWN:
        assert machine.call(function, argument) == result
    assert machine.instructions == sum(instructions for _, _, instructions, _ in KNOWN)


def steps_taken(machine: Machine) -> list[int]:
    """Make the machine note the address of every instruction that it executes; conditions that fail are left out."""
    addresses: list[int] = []

    def note(_engine: Any, address: int, _size: int, _data: Any) -> None:
        addresses.append(address)

    machine._engine.hook_add(UC_HOOK_CODE, note)
    return addresses


def with_skipped(image: FirmwareImage, addresses: list[int]) -> int:
    """Count single steps and the instructions between them that a failed condition skipped."""
    code = image.code
    by_address: dict[int, Instruction] = {}

    def at(address: int) -> Instruction:
        if address not in by_address:
            first_half = code.content[address - code.address + 1] >> 3
            size = 4 if first_half >= 0x1D else 2
            offset = address - code.address
            by_address[address] = decode(code.content[offset : offset + size], address)[0]
        return by_address[address]

    count = len(addresses)
    for here, there in pairwise(addresses):
        between = at(here).end
        while not at(here).branches and between != there:
            count, between = count + 1, at(between).end
    return count


@pytest.mark.parametrize(("function", "arguments"), COMPILED)
def test_count_equals_single_steps_of_compiled_code(
    programs: FirmwareImage, function: str, arguments: tuple[int, ...]
) -> None:
    machine = Machine(programs)
    machine.call(function, *arguments)
    stepped = Machine(programs, profile=False)
    addresses = steps_taken(stepped)
    stepped.call(function, *arguments)
    # The last step is the address that the function returns to, outside the program.
    inside = [a for a in addresses if programs.code.address <= a]
    assert machine.instructions == with_skipped(programs, inside)


@pytest.mark.parametrize(("function", "arguments"), COMPILED)
def test_profiling_changes_no_result(programs: FirmwareImage, function: str, arguments: tuple[int, ...]) -> None:
    generator = np.random.default_rng(7)
    content = generator.integers(0, 256, 256 * 256, dtype=np.uint8).tobytes()
    results = []
    for profile in (True, False):
        machine = Machine(programs, profile=profile)
        machine.write("weights", content)
        machine.write("activations", content[:256])
        result = machine.call(function, *arguments)
        results.append((result, machine.read("sums"), machine.read("float_sums"), machine.stack_peak_bytes))
    assert results[0] == results[1]


def test_edges_sum_to_blocks_and_blocks_to_instructions(programs: FirmwareImage) -> None:
    machine = Machine(programs)
    for function, arguments in COMPILED:
        machine.call(function, *arguments)
    profile = profile_of(machine)
    left = np.zeros(len(profile.block_address), np.uint64)
    np.add.at(left, profile.edge_source, profile.edge_count)
    # What enters a block leaves it, but for the last block of each call, from which the host goes on.
    ended = profile.executions[1:] - left[1:]
    assert int(ended.sum()) == len(COMPILED) == int(left[0])
    assert profile.instructions == machine.instructions


def test_no_edge_and_no_block_is_listed_twice(programs: FirmwareImage) -> None:
    machine = Machine(programs)
    for function, arguments in COMPILED:
        machine.call(function, *arguments)
    profile = profile_of(machine)
    edges = set(zip(profile.edge_source.tolist(), profile.edge_target.tolist(), strict=True))
    blocks = set(zip(profile.block_address.tolist(), profile.block_size.tolist(), strict=True))
    assert len(edges) == len(profile.edge_count)
    assert len(blocks) == len(profile.block_address)


def test_regions_hold_what_their_function_calls_and_nothing_else(counted: FirmwareImage) -> None:
    machine = Machine(counted, regions={"a": "first", "b": "second"})
    for _ in range(5):
        machine.call("outer")
    profile = profile_of(machine)
    work = profile.executions * profile.block_instructions
    in_region = [int(work[profile.block_region == r].sum()) for r in range(3)]
    assert machine.region_names == ("", "a", "b")
    assert in_region == [5 * (24 - 6 - 10), 5 * 6, 5 * 10]
