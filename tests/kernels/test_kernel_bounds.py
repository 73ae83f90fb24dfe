"""How fast the decode step in fixed point is, and that nothing is faster than what its scheme needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgebci.edge_student import load_edge_student
from edgebci.pipeline.kernel_bounds import StepCycles, step_cycles

STUDENT = Path(__file__).resolve().parents[2] / "examples" / "edge_student.toml"
MOST_PER_MAC = {"cortex-m4f": 1.38, "cortex-m7": 0.80, "cortex-m33": 1.29}
"""Dense layers, requantization included: what is asked for."""
MOST_A_STEP = {"cortex-m4f": 140_000, "cortex-m7": 75_000, "cortex-m33": 128_000}
"""The whole step: what is asked for."""
MOST_A_SECOND = {"cortex-m4f": 17e6, "cortex-m33": 14e6}
"""The whole device program, which also takes in, filters and normalises: what is asked for."""


@pytest.fixture(scope="module")
def measured() -> tuple[StepCycles, ...]:
    return step_cycles(load_edge_student(STUDENT), tuple(MOST_PER_MAC))


def test_dense_layers_are_as_fast_as_asked(measured: tuple[StepCycles, ...]) -> None:
    for step in measured:
        dense = next(one for one in step.parts if one.name == "dense_fixed")
        assert dense.units == 78336
        assert dense.cycles / dense.units <= MOST_PER_MAC[step.core]


def test_a_step_is_as_fast_as_asked(measured: tuple[StepCycles, ...]) -> None:
    for step in measured:
        assert step.step <= MOST_A_STEP[step.core]


def test_the_whole_program_is_as_fast_as_asked_while_the_normaliser_learns(measured: tuple[StepCycles, ...]) -> None:
    for step in measured:
        assert step.program_per_s <= MOST_A_SECOND.get(step.core, 10e6), step.rows()[0]
        # What is neither front end nor decoder hands samples on.
        assert 0 < step.program_per_s - step.front_end_per_s - 50 * step.step < 0.01 * step.program_per_s


def test_no_part_is_faster_than_its_bound_and_the_parts_make_the_step(measured: tuple[StepCycles, ...]) -> None:
    for step in measured:
        assert all(one.over_bound >= 1.0 for one in step.parts), step.rows()
        # Some steps rewrite more heads than others.
        assert sum(one.cycles for one in step.parts) == pytest.approx(step.step, rel=1e-3)
        assert len(step.rows()) == len(step.parts) + 2
