"""Figures of the study of losses: the largest bound of each way leads, against its goal."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgebci.comparison import Comparison, Interval, Verdict
from edgebci.pipeline import quantization_sessions
from edgebci.pipeline.proof.claim import DATA_VARIABLE, CannotMeasureError, Place
from edgebci.pipeline.proof.quantization_claim import measure_quantization, quantization_claim
from edgebci.pipeline.quantization_stream import Disturbance
from edgebci.pipeline.quantization_study import MARGINS, LossRow, LossTable, Way
from edgebci.pipeline.studies.rats import RATS
from edgebci.progress import silent
from edgebci.quantization_error import goal, loss_bound


def row(case: str, way: Way, loss: float, *, start_kept: bool = False) -> LossRow:
    found = Comparison(
        difference=Interval(value=-loss, low=-loss - 0.001, high=-loss + 0.001),
        per_axis=(),
        margin=MARGINS[way],
        verdict=Verdict.CANNOT_TELL,
        standard_error=0.0005,
        power_at_margin=0.9,
        block_s=5.0,
        n_blocks=700,
        n_seeds=1,
        reason="",
    )
    return LossRow(
        case=case,
        cell="gru",
        way=way,
        stream="held-out",
        seconds=3600.0,
        r2_float=0.5,
        r2_integers=0.5 - loss,
        comparison=found,
        upper_loss=loss_bound(found),
        goal=goal(found),
        start_kept=start_kept,
    )


ROWS = (
    row("gru", "int8 after training", 0.001),
    row("s4d", "int8 after training", 0.0045),
    row("gru", "int8 in training", 0.0005, start_kept=True),
)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    for rat in RATS:
        (tmp_path / rat.file).write_bytes(b"")
    table = LossTable(size="full", rows=ROWS, margins=dict(MARGINS), disturbance=Disturbance())
    monkeypatch.setattr(quantization_sessions, "reproduce_quantization", lambda *_: table)
    return Place(tmp_path, tmp_path, runs=tmp_path / "runs")


def test_the_worst_row_of_each_way_leads_and_goals_are_counted(place: Place) -> None:
    figures = measure_quantization(place, silent)
    assert [figure.name for figure in figures if figure.headline] == [
        "worst_int8_after_training",
        "worst_int8_in_training",
    ]
    after, within = figures[:2]
    assert after.value == pytest.approx(0.0055)
    assert after.note == "goal 0.005 reached in 1 of 2; worst: s4d, held-out, cannot tell"
    assert within.note == "goal 0.002 reached in 1 of 1; worst: gru, held-out, reached"


def test_a_loss_carries_its_interval_and_a_kept_start_is_said(place: Place) -> None:
    figures = {figure.name: figure for figure in measure_quantization(place, silent)}
    found = figures["gru_int8_in_training_held_out"]
    assert (found.value, found.low, found.high) == pytest.approx((0.0005, -0.0005, 0.0015))
    assert "start of the training kept" in found.note


def test_without_a_rat_the_earlier_figures_stand(place: Place) -> None:
    (place.folder / RATS[0].file).unlink()
    with pytest.raises(CannotMeasureError, match=RATS[0].file):
        measure_quantization(place, silent)


def test_the_claim_follows_what_rounds_and_what_trains() -> None:
    checkout = Path(__file__).parents[2]
    files = quantization_claim(()).sources.paths(checkout)
    named = {path.relative_to(checkout).as_posix() for path in files}
    assert {
        "export/quantization.py",
        "training/quantization_aware/twin.py",
        "edgebci/pipeline/studies/rats.py",
    } <= named
