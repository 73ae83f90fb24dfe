"""Figures of the studies: what was asked, what was found, whether it was expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgebci.comparison import Interval, Verdict
from edgebci.pipeline.proof import study_claims
from edgebci.pipeline.proof.claim import Place
from edgebci.pipeline.proof.study_answers import measure_study
from edgebci.pipeline.studies import reproduce as reproduction
from edgebci.pipeline.studies.reproduce import STUDIES, studies_root
from edgebci.pipeline.studies.size import FULL, StudySize
from edgebci.pipeline.studies.table import Table, TimeRow
from edgebci.progress import Progress, silent
from tests.study_rows import found, row

ROOT = Path(__file__).parents[2]


RACE = TimeRow(
    study="time",
    question="how many times faster?",
    claimed_ratio=10.0,
    ratio=Interval(value=4.0, low=3.0, high=5.0),
    reached=5,
    races=6,
    n_subjects=6,
    large_s=40.0,
    pretraining_s=100.0,
)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[StudySize, Path, list[str]]]:
    calls: list[tuple[StudySize, Path, list[str]]] = []

    def reproduce(size: StudySize, root: Path, only: list[str], progress: Progress) -> Table:
        calls.append((size, root, only))
        better = found(0.01, 0.03, 0.05, Verdict.SUPERIOR)
        rows = (row("superior", better), row("no difference", better, headline=False))
        second = rows[1].model_copy(update={"question": "does it help by chance?"})
        return Table(size="full", rows=(rows[0], second), times=(RACE,))

    monkeypatch.setattr(reproduction, "reproduce", reproduce)
    return calls


def test_every_answer_becomes_a_figure_that_says_whether_it_was_expected(
    tmp_path: Path, asked: list[tuple[StudySize, Path, list[str]]]
) -> None:
    helps, control, race = measure_study("realm", Place(tmp_path / "proof" / "realm", ROOT, None, tmp_path), silent)
    assert (helps.value, helps.low, helps.high, helps.unit) == (0.03, 0.01, 0.05, "R²")
    assert helps.label == "does the teacher help? taught − alone"
    assert helps.note.startswith("superior; R² 0.430 against 0.400")
    assert "superior, NOT as expected" in control.note
    assert (helps.headline, control.headline) == (True, False)
    assert (race.value, race.unit) == (4.0, "times")
    assert "claimed: 10; as good in 5 of 6 races" in race.note


def test_the_proof_takes_the_trials_of_the_command_line(
    tmp_path: Path, asked: list[tuple[StudySize, Path, list[str]]]
) -> None:
    measure_study("possm", Place(tmp_path / "proof" / "possm", ROOT, None, tmp_path), silent)
    assert asked == [(FULL, studies_root(tmp_path, FULL), ["possm"])]


def test_every_study_can_be_a_claim_with_sources_of_its_own() -> None:
    claims = study_claims.study_claims(tuple(STUDIES), ())
    assert [claim.name for claim in claims] == [f"study_{name}" for name in STUDIES]
    for claim in claims:
        files = {path.relative_to(ROOT).as_posix() for path in claim.sources.paths(ROOT)}
        assert f"edgebci/pipeline/studies/{claim.name.removeprefix('study_')}_study.py" in files
        assert "training/loop.py" in files
