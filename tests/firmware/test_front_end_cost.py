"""Cycles of the front end: shared out to stages without a rest, and in fixed point within the budget of an implant."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgebci.device_reference import FrontEndForm
from edgebci.edge_student import load_edge_student
from edgebci.pipeline.front_end_cost import STAGES, FrontEndCost, measure_front_end, stage_of

EDGE_STUDENT = Path(__file__).resolve().parent.parent.parent / "examples" / "edge_student.toml"


@pytest.fixture(scope="module")
def costs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, FrontEndCost]:
    student, folder = load_edge_student(EDGE_STUDENT), tmp_path_factory.mktemp("cost")
    forms: tuple[FrontEndForm, ...] = ("float32", "fixed")
    return {form: measure_front_end(student, "cortex-m4f", form, folder / form, n_frames=3) for form in forms}


def test_stages_add_up_to_the_front_end(costs: dict[str, FrontEndCost]) -> None:
    for cost in costs.values():
        assert set(cost.stages) == {*STAGES, "other"}
        assert all(cost.stages[stage] > 0 for stage in STAGES)
        # Start-up is in no step; where a branch enters a function, its refill is the caller's in the one sum alone.
        assert sum(cost.stages.values()) - cost.stages["other"] == pytest.approx(cost.front_end, rel=0.01)


def test_fixed_point_leaves_the_decoder_seven_of_17_million_cycles_a_second(costs: dict[str, FrontEndCost]) -> None:
    """The whole program is to stay under 17 million on an M4F, of which the decoder may take 140,000 a step."""
    assert costs["fixed"].front_end <= 17e6 - 50 * 140_000
    assert costs["fixed"].front_end < 0.45 * costs["float32"].front_end


def test_a_function_that_no_stage_names_is_other() -> None:
    assert [stage_of(name) for name in ("filter_band_3", "log_power", "start_anew")] == ["filters", "power", "other"]
