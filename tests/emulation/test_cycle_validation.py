"""The file of comparisons with silicon keeps choosing and judging apart, and tells what was missed."""

from __future__ import annotations

import pytest

from edgebci.firmware_sim.core_pipelines import core_model
from edgebci.hardware import CoreModel, MemoryModel, profile_names
from edgebci.pipeline.cycle_validation import Comparison, load_cycle_validation

FILE = load_cycle_validation()


def test_no_program_is_both_chosen_on_and_judged_on() -> None:
    chosen = {(one.core, one.program) for one in FILE.entries if one.role == "chosen"}
    judged = [(one.core, one.board, one.program) for one in FILE.entries if one.role == "judged"]
    assert chosen
    assert len(judged) == len(set(judged)) >= 10
    assert not chosen & {(core, program) for core, _, program in judged}


@pytest.mark.parametrize("core", profile_names(CoreModel))
def test_every_core_was_judged_or_is_an_estimate_and_its_band_holds_what_was_found(core: str) -> None:
    without_waits = [one for one in FILE.judged(core) if one.board is None]
    assert bool(FILE.judged(core)) == (core_model(core).evidence == "model")
    for one in without_waits:
        assert abs(one.error) <= core_model(core).branchy_error.typical, one.program


def test_boards_of_comparisons_have_profiles_of_their_core() -> None:
    boards = [one.board for one in FILE.entries if one.board]
    assert boards
    assert set(boards) <= set(profile_names(MemoryModel))


def test_what_was_missed_is_said_to_be_missed() -> None:
    assert {(one.core, one.board) for one in FILE.missed()} == {("cortex-m4f", "stm32l4r5")}
    assert "1 beyond the expected ±10%" in FILE.sentence("cortex-m4f")
    assert "beyond" not in FILE.sentence("cortex-m7")
    assert FILE.sentence("cortex-m55") == "held against no program that it was not chosen on"


def test_a_worse_figure_is_reported_as_missed() -> None:
    worse = FILE.entries[2].model_copy(update={"modelled_cycles": 2 * FILE.entries[2].hardware_cycles})
    changed = FILE.model_copy(update={"entries": (worse,)})
    assert changed.missed() == (worse,)
    assert worse.error == pytest.approx(1.0)
    assert isinstance(worse, Comparison)
