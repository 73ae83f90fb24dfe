"""Studies end to end, at sizes that show that they run and not what is true."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from edgebci.comparison import Verdict
from edgebci.errors import InputError
from edgebci.hierarchical import SubjectsComparison
from edgebci.pipeline.configuration import SplitConfig
from edgebci.pipeline.proof.claim import DATA_VARIABLE
from edgebci.pipeline.studies import distillation_study, rats_study, realm_study
from edgebci.pipeline.studies.rats import R1838
from edgebci.pipeline.studies.reproduce import PICTURE_NAME, TABLE_NAME, reproduce
from edgebci.pipeline.studies.size import FULL, QUICK, StudySize
from edgebci.pipeline.studies.table import Expected, Table
from edgebci.pipeline.studies.time_study import Race, time_row
from edgebci.progress import silent
from tests.study_rows import found, row

pytestmark = pytest.mark.usefixtures("few_replicates")
TINY = QUICK.model_copy(update={"name": "tiny", "teacher_epochs": 1, "student_epochs": 1, "duration_s": 75.0})
SHORT_TRAINING = SplitConfig(train=0.1, validation=0.05, test=0.85)
"""Two minutes of a rat, of which a question takes one."""


def test_the_distillation_study_runs_and_what_it_found_is_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        distillation_study, "WORLDS", {"kernel": {"units": {"n_units": 20}, "population": {"grid_mm": 0.4}}}
    )
    table = reproduce(TINY, tmp_path, ["distillation"], silent)
    assert [(r.candidate, r.reference) for r in table.rows] == [
        ("distilled", "alone"),
        ("distilled", "ridge"),
        ("alone", "ridge"),
        ("guided", "ridge"),
        ("guided", "distilled"),
    ]
    assert all(r.comparison.verdict is Verdict.CANNOT_TELL for r in table.rows), "two subjects support no verdict"
    assert Table.model_validate(json.loads((tmp_path / TABLE_NAME).read_text())) == table
    assert table.rows[0].question in (tmp_path / PICTURE_NAME).read_text()
    trained = sorted(path.stat().st_mtime_ns for path in tmp_path.rglob("student.safetensors"))
    assert len(trained) == 6, "two subjects, three kinds of student"
    assert reproduce(TINY, tmp_path, ["distillation"], silent) == table
    assert sorted(path.stat().st_mtime_ns for path in tmp_path.rglob("student.safetensors")) == trained


def test_a_race_that_the_student_lost_counts_as_an_endless_one() -> None:
    won, lost = Race("a", large_s=20.0, distilled_s=2.0), Race("b", large_s=20.0, distilled_s=None)
    assert time_row([won, won, lost], [5.0]).ratio.value == 10.0
    seldom = time_row([won, lost, lost], [5.0, 6.0])
    assert (seldom.ratio.value, seldom.reached, seldom.races, seldom.pretraining_s) == (0.0, 1, 3, 11.0)
    assert (seldom.ratio.low, seldom.ratio.high) == (0.0, 10.0), "subjects are drawn, not races"


def test_an_unknown_study_is_refused_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no study 'distilation'; did you mean 'distillation'"):
        reproduce(TINY, tmp_path, ["distilation"], silent)
    assert list(tmp_path.iterdir()) == []


def test_the_student_by_itself_gets_the_epochs_that_the_teacher_took() -> None:
    _, alone, distilled, _ = distillation_study.ways(FULL)
    by_itself, taught = json.loads(alone.identity), json.loads(distilled.identity)
    epochs = taught["student"]["optimiser"]["epochs"] + taught["teacher"]["optimiser"]["epochs"]
    assert by_itself["student"]["optimiser"]["epochs"] == epochs
    assert by_itself["student"]["alignment_weight"] == 0
    assert taught["student"]["alignment_weight"] == 1


def test_a_full_study_has_the_subjects_sessions_and_seeds_that_a_verdict_needs() -> None:
    sizes: StudySize = FULL
    assert (sizes.subjects, sizes.held_out_sessions, len(sizes.seeds)) == (6, 3, 5)


@pytest.mark.parametrize(
    ("expected", "comparison", "holds"),
    [
        ("superior", found(0.01, 0.02, 0.03, Verdict.SUPERIOR), True),
        ("superior", found(-0.01, 0.0, 0.01, Verdict.NON_INFERIOR), False),
        ("superior", found(-0.1, 0.0, 0.1, Verdict.CANNOT_TELL), None),
        ("no difference", found(-0.01, 0.0, 0.01, Verdict.NON_INFERIOR), True),
        ("no difference", found(0.001, 0.005, 0.01, Verdict.SUPERIOR), True),  # within the margin
        ("no difference", found(0.03, 0.05, 0.07, Verdict.SUPERIOR), False),
        ("no difference", found(-0.07, -0.05, -0.03, Verdict.INFERIOR), False),
        ("no gain", found(-0.07, -0.05, -0.03, Verdict.INFERIOR), True),
        ("no gain", found(0.03, 0.05, 0.07, Verdict.SUPERIOR), False),
        ("either", found(0.03, 0.05, 0.07, Verdict.SUPERIOR), None),
    ],
)
def test_a_row_says_whether_the_answer_was_expected(
    expected: Expected, comparison: SubjectsComparison, holds: bool | None
) -> None:
    assert row(expected, comparison).holds is holds


def test_a_rat_that_is_not_here_is_named_and_the_rest_still_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match=r"nothing to show: rat_r1838_open_field\.nwb is not in"):
        reproduce(TINY, tmp_path, ["rats"], silent)


def test_the_claims_are_asked_of_a_rat_by_itself(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DATA_VARIABLE, str(shared_data))
    monkeypatch.setattr(rats_study, "RATS", (replace(R1838, split=SHORT_TRAINING),))
    monkeypatch.setattr(distillation_study, "questions", lambda _: ())
    whole = realm_study.questions
    monkeypatch.setattr(realm_study, "questions", lambda encoders, size: whole(encoders, size)[2:3])
    table = reproduce(TINY, tmp_path, ["rats"], silent)
    assert [row.question for row in table.rows] == [
        "is label-free better than ridge? (r1838)",
        "1 min of labels: does fine-tuning pay? (r1838)",
        "1 min of labels: is label-free better than ridge? (r1838)",
    ]
    assert all(row.comparison.n_subjects == 1 for row in table.rows)
    assert all(row.comparison.reason.endswith("for this recording alone") for row in table.rows)
    assert table.not_run == ()
