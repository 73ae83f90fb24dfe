"""How fast the decode step in fixed point is, and that nothing is faster than what its scheme needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgebci.edge_student import load_edge_student
from edgebci.pipeline.kernel_bounds import StepCycles, step_cycles
from edgebci.pipeline.proof.fixed_step_claim import (
    MOST_CYCLES_A_STEP,
    MOST_CYCLES_PER_MAC,
    MOST_MILLION_CYCLES_A_SECOND,
    figures,
    verdict,
)

STUDENT = Path(__file__).resolve().parents[2] / "examples" / "edge_student.toml"


@pytest.fixture(scope="module")
def measured() -> tuple[StepCycles, ...]:
    return step_cycles(load_edge_student(STUDENT), tuple(MOST_CYCLES_A_STEP))


def test_dense_layers_are_as_fast_as_asked(measured: tuple[StepCycles, ...]) -> None:
    for step in measured:
        dense = next(one for one in step.parts if one.name == "dense_fixed")
        assert dense.units == 78336
        assert dense.cycles / dense.units <= MOST_CYCLES_PER_MAC[step.core]


def test_a_step_is_as_fast_as_asked(measured: tuple[StepCycles, ...]) -> None:
    for step in measured:
        assert step.step <= MOST_CYCLES_A_STEP[step.core]


def test_the_whole_program_is_as_fast_as_asked_while_the_normaliser_learns(measured: tuple[StepCycles, ...]) -> None:
    for step in measured:
        assert step.program_per_s / 1e6 <= MOST_MILLION_CYCLES_A_SECOND.get(step.core, 10.0), step.rows()[0]
        # What is neither front end nor decoder hands samples on.
        assert 0 < step.program_per_s - step.front_end_per_s - 50 * step.step < 0.01 * step.program_per_s


def test_no_part_is_faster_than_its_bound_and_the_parts_make_the_step(measured: tuple[StepCycles, ...]) -> None:
    for step in measured:
        assert all(one.over_bound >= 1.0 for one in step.parts), step.rows()
        # Some steps rewrite more heads than others.
        assert sum(one.cycles for one in step.parts) == pytest.approx(step.step, rel=1e-3)
        assert len(step.rows()) == len(step.parts) + 2


def test_figures_of_the_proof_say_what_was_asked_and_carry_the_band(measured: tuple[StepCycles, ...]) -> None:
    assert verdict(0.26, 0.26) == "met, asked was at most 0.26"
    assert verdict(67_178.0, 35_000) == "MISSED, asked was at most 35,000"
    for step in measured:
        whole, dense, program = figures(step)
        assert whole.label == f"decode step on a {step.core}: {verdict(step.step, MOST_CYCLES_A_STEP[step.core])}"
        assert whole.low == pytest.approx(step.step * (1 - step.error_fraction))
        assert "its scheme needs" in dense.note
        assert ("asked" in program.label) == (step.core in MOST_MILLION_CYCLES_A_SECOND)
