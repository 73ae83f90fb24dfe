"""Instructions of Helium go to the pipe that their source names, and take its beats there."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edgebci.firmware_sim.core_pipelines import core_model, new_pipeline
from edgebci.firmware_sim.firmware_image import FirmwareImage
from edgebci.firmware_sim.thumb import Instruction, decode

Built = Callable[[str, str], FirmwareImage]
PIPES = {
    "helium_load": 5,
    "helium_gather": 1,
    "helium_store": 2,
    "helium_integer": 12,
    "helium_multiply": 12,
    "helium_control": 1,
}
"""How many of each helium.s has."""


@pytest.fixture(scope="module")
def code(built_for: Built) -> dict[str, tuple[Instruction, ...]]:
    """The instructions behind each label."""
    image = built_for("helium.s", "cortex-m55")
    labels = [one for one in image.symbols if one.is_function]
    found = {}
    for one, behind in zip(labels, [*labels[1:], None], strict=True):
        start = one.address - image.code.address
        end = behind.address - image.code.address if behind else start + 2
        found[one.name] = decode(image.code.content[start:end], one.address, with_helium=True)
    return found


@pytest.mark.parametrize("label", PIPES)
def test_each_instruction_goes_to_its_pipe(code: dict[str, tuple[Instruction, ...]], label: str) -> None:
    assert [one.name for one in code[label]] == [label.replace("_", "-")] * PIPES[label]


def test_registers_are_those_that_the_assembler_wrote(code: dict[str, tuple[Instruction, ...]]) -> None:
    _, moving, before, pair, _ = code["helium_load"]
    (gather,) = code["helium_gather"]
    assert moving.address_registers == {"r2"}
    assert moving.writes == {"r2", "s4", "s5", "s6", "s7"}
    assert "r3" in before.writes
    assert len(pair.writes) == 8  # of two vectors
    assert gather.reads == {"r0", "s4", "s5", "s6", "s7"}
    total, long_total, *_, comparison, _ = code["helium_multiply"]
    assert total.writes == {"r2"} < total.reads
    assert long_total.writes == {"r2", "r3"}
    assert comparison.writes == {"vpr"}
    assert [one.name for one in code["others"]] == ["dls", "wls", "le", "csel", "shift64", "vmrs"]
    assert [one.branches for one in code["others"]] == [False, True, True, False, False, False]


@pytest.mark.parametrize(("label", "cycles"), [("overlapping", 5), ("waiting", 6)])
def test_beats_overlap_in_different_pipes_alone(
    code: dict[str, tuple[Instruction, ...]], label: str, cycles: int
) -> None:
    pipeline = new_pipeline(core_model("cortex-m55"))
    for instruction in code[label]:
        pipeline.run(instruction)
    assert pipeline.cycle == cycles + 1  # the store behind has begun


def test_a_gather_waits_for_its_offsets_longer_and_gives_later_than_a_load(
    code: dict[str, tuple[Instruction, ...]],
) -> None:
    pipeline = new_pipeline(core_model("cortex-m55"))
    for instruction in code["gathering"]:
        pipeline.run(instruction)
    assert pipeline.cycle == 1 + (1 + 4) + 2, "the sum, its latency and four cycles before, the gather's latency"


def test_a_low_overhead_loop_goes_back_for_nothing(code: dict[str, tuple[Instruction, ...]]) -> None:
    pipeline = new_pipeline(core_model("cortex-m55"))
    _, load, end = code["looping"]
    for _ in range(10):
        pipeline.run(load)
        pipeline.run(end)
        pipeline.refill(end)
    assert pipeline.cycle == 10 * 2 - 1
