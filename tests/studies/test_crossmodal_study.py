"""The cross-modal study: what it asks, that its controls break what they should, and that it runs end to end."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgebci.comparison import Verdict
from edgebci.decoding_data import DecodingData
from edgebci.pipeline.studies import (
    crossmodal_linear_study,
    crossmodal_rat_study,
    crossmodal_study,
    crossmodal_worlds_study,
    rats,
)
from edgebci.pipeline.studies.cohort import Cohort, CohortSpec
from edgebci.pipeline.studies.crossmodal_study import MAIN, families, recipe_for, run
from edgebci.pipeline.studies.rats import R1838
from edgebci.pipeline.studies.size import FULL, QUICK
from edgebci.pipeline.systems import crossmodal
from edgebci.pipeline.systems.alignment import PICTURE_NAME, TABLE_NAME, AlignmentTable, shown, subsets
from edgebci.pipeline.systems.crossmodal import (
    ALONE,
    ALONE_WITH_LABELS,
    SHIFTED,
    SHIFTED_TEACHER,
    TAUGHT,
    TAUGHT_WITH_LABELS,
    TEACHER,
    CrossModalSystem,
    Kind,
    Models,
    exchanged,
    recipe_of,
)
from edgebci.progress import silent
from edgebci.session import Session, SpikeEvents
from edgebci.training.causal_decoder import from_checkpoint, predict

pytestmark = pytest.mark.usefixtures("few_replicates")
TINY = QUICK.model_copy(update={"teacher_epochs": 1, "student_epochs": 1})
FRAMES, CHANNELS, UNITS = 1240, 6, 12


def toy_session(subject: int, session: int) -> Session:
    """Two slow latents move the hand, twelve units, and the slow features of six channels; 25 s at 50 Hz."""
    rng, mixing = np.random.default_rng([subject, session]), np.random.default_rng(subject)
    latents = np.zeros((FRAMES, 2))
    for t in range(1, FRAMES):
        latents[t] = 0.95 * latents[t - 1] + 0.31 * rng.standard_normal(2)
    frames = latents @ mixing.standard_normal((2, 2 * CHANNELS)) + rng.standard_normal((FRAMES, 2 * CHANNELS))
    counts = rng.poisson(np.exp(latents @ mixing.standard_normal((2, UNITS)) - 1.0))
    times_s = (np.arange(FRAMES) + 1) / 50
    frame, unit = np.repeat(np.indices(counts.shape).reshape(2, -1), counts.ravel(), axis=1)
    data = DecodingData(
        frames=frames.astype(np.float32),
        targets=latents.astype(np.float32),
        valid=np.ones(FRAMES, dtype=bool),
        times_s=times_s,
        train=((0, 500),),
        validation=((540, 800),),
        test=((840, FRAMES),),
        target_names=("x", "y"),
        target_unit="cm/s",
        feature_channels=np.tile(np.arange(CHANNELS), 2),
    )
    spikes = SpikeEvents(times_s[frame] - 0.01, unit.astype(np.int64), UNITS)
    return Session(f"subject{subject}_session{session}", f"subject{subject}", data, spikes)


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    made = [[toy_session(subject, session) for session in (1, 2, 3)] for subject in (1, 2)]
    return Cohort(tuple(s for of in made for s in of[:2]), tuple(of[2] for of in made))


def obtained(cohort: Cohort) -> Callable[..., Cohort]:
    """In place of `obtain_cohort`."""
    return lambda *_: cohort


def test_the_study_runs_and_leaves_a_table_and_a_plot_of_the_alignment(
    cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crossmodal_study, "obtain_cohort", obtained(cohort))
    rows = run(TINY, tmp_path, silent)
    pairs = [(row.candidate, row.reference) for row in rows]
    assert ("cross-modal", "LFP only") in pairs
    assert ("cross-modal, supervised", "LFP only, supervised") in pairs
    assert ("cross-modal", "ridge") in pairs
    assert ("cross-modal", "shifted spikes") in pairs
    assert all(row.comparison.verdict is Verdict.CANNOT_TELL for row in rows), "two subjects support no verdict"
    table = AlignmentTable.model_validate(json.loads((tmp_path / TABLE_NAME).read_text()))
    assert {row.student for row in table.rows} == {"cross-modal", "LFP only"}
    assert {(row.n_channels, round(row.window_s, 6)) for row in table.rows} == {
        (n, w) for n in (2, 3, 6) for w in (0.02, 0.1, 0.5, 2.0)
    }
    assert "retrieval" in (tmp_path / PICTURE_NAME).read_text()
    files = sorted(path.stat().st_mtime_ns for path in tmp_path.rglob("model.safetensors"))
    assert len(files) == 2 * (2 + 8), "two teachers and eight students for each subject"
    again = families(cohort, TINY, tmp_path / MAIN / "models", silent)
    again.train((TAUGHT, SHIFTED, ALONE), TINY.seeds)
    assert sorted(path.stat().st_mtime_ns for path in tmp_path.rglob("model.safetensors")) == files, "kept"


def test_a_second_process_finds_work_while_the_first_trains_the_teacher(
    cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    family = families(cohort, TINY, tmp_path, silent)
    offered: list[str] = []
    monkeypatch.setattr(crossmodal, "share", lambda stages: offered.extend(name for _, name, _ in stages))
    family.train((TAUGHT, ALONE, TAUGHT_WITH_LABELS, ALONE_WITH_LABELS), (1,))
    of_a_subject = ["teacher_1", "LFP only_1", "LFP only, supervised_1", "cross-modal_1", "cross-modal, supervised_1"]
    assert offered == 2 * of_a_subject


def test_other_worlds_are_asked_the_same_with_the_sessions_and_seeds_of_a_control(
    cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crossmodal_study, "obtain_cohort", obtained(cohort))
    rows = crossmodal_worlds_study.run(TINY, tmp_path, silent)
    assert [(row.candidate, row.reference, row.expected) for row in rows] == [
        ("cross-modal", "LFP only", "superior"),
        ("cross-modal, supervised", "LFP only, supervised", "no difference"),
        ("cross-modal", "ridge", "superior"),
        ("cross-modal, supervised", "ridge", "superior"),
        ("cross-modal", "spike teacher", "either"),
    ]
    assert all(row.question.endswith("(rho 0)") and not row.headline for row in rows)
    assert not list(tmp_path.rglob("shifted*")), "the controls are the other study's"


def test_a_full_study_sweeps_rho_and_expects_labels_to_leave_nothing_to_teach_where_it_is_0() -> None:
    worlds = FULL.asked_of(crossmodal_worlds_study.WORLDS)
    assert [(world.name, world.generator["latents"]) for world in worlds] == [
        ("rho 0", {"rho": 0.0}),
        ("rho 0.9", {"rho": 0.9}),
    ]
    assert [world.with_labels for world in worlds] == ["no difference", "superior"]


def test_where_all_is_linear_nothing_is_expected_beyond_ridge(
    cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, object]] = []

    def obtain(spec: CohortSpec, root: Path, progress: object) -> Cohort:
        asked.append({"linear": spec.generator.linear, "rho": spec.generator.latents.rho})
        return cohort

    monkeypatch.setattr(crossmodal_study, "obtain_cohort", obtain)
    rows = crossmodal_linear_study.run(TINY, tmp_path, silent)
    assert asked == [{"linear": True, "rho": 0.5}]
    assert [row.expected for row in rows if row.reference == "ridge"] == ["no difference", "no difference"]
    assert all(row.study == "crossmodal_linear" and row.question.endswith("(linear)") for row in rows)


def test_a_rat_with_sorted_units_is_a_study_of_its_own(
    cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rats, "recordings_folder", lambda _: tmp_path / "no recordings here")
    assert crossmodal_rat_study.run(TINY, tmp_path, silent) == ()
    monkeypatch.setattr(rats, "recordings_folder", lambda _: tmp_path)
    R1838.path.touch()
    monkeypatch.setattr(crossmodal_rat_study, "obtain_rat", lambda *_: cohort.held_out[0])
    (row,) = crossmodal_rat_study.run(TINY, tmp_path, silent)
    assert (row.candidate, row.reference, row.comparison.n_subjects) == ("cross-modal", "LFP only", 1)


@pytest.mark.parametrize(("taught", "alone"), [(TAUGHT, ALONE), (TAUGHT_WITH_LABELS, ALONE_WITH_LABELS)])
def test_students_with_and_without_a_teacher_differ_in_the_weight_of_the_teacher_alone(
    taught: Kind, alone: Kind
) -> None:
    recipes = [recipe_of(recipe_for(FULL), kind, 3).student.model_dump() for kind in (taught, alone)]
    assert recipes[0].pop("alignment_weight") > 0
    assert recipes[1].pop("alignment_weight") == 0
    assert recipes[0] == recipes[1]


def test_controls_break_the_pairs_and_nothing_else(cohort: Cohort) -> None:
    sessions = cohort.pretraining[:2]
    strangers = exchanged(sessions)
    for session, other, stranger in zip(sessions, sessions[::-1], strangers, strict=True):
        assert np.array_equal(stranger.spike_counts(), session.spike_counts())
        assert np.array_equal(stranger.data.frames, other.data.frames)
    assert recipe_of(recipe_for(QUICK), SHIFTED, 1).shift_spikes
    assert recipe_of(recipe_for(QUICK), SHIFTED_TEACHER, 1).shift_spikes
    assert not recipe_of(recipe_for(QUICK), TEACHER, 1).shift_spikes


def test_a_subset_shows_whole_channels_with_all_of_their_features(cohort: Cohort) -> None:
    session = cohort.held_out[0]
    assert [len(channels) for channels in subsets(session)] == [2, 3, 6]
    frames = shown(session, subsets(session)[0]).data.frames
    assert np.flatnonzero(frames.any(axis=0)).tolist() == [0, 5, 6, 11]
    assert np.array_equal(shown(session, subsets(session)[-1]).data.frames, session.data.frames)


def test_the_system_hands_the_exporter_what_it_decoded_itself(cohort: Cohort, tmp_path: Path) -> None:
    recipe, session = recipe_for(TINY), cohort.held_out[0]
    models = Models(cohort.pretraining[:2], recipe, tmp_path, silent)
    system = CrossModalSystem(models)
    system.learn((1,))
    checkpoint = system.deployable(session, 1, tmp_path)
    decoded = system.ways()[-1].decode(session, 1, tmp_path, silent)
    # Targets of unit variance in float32; the stream is cut differently.
    np.testing.assert_allclose(predict(from_checkpoint(checkpoint), session.data), decoded, atol=1e-4)
    assert "MACs per output" in system.costs(session)
    without = replace(session, spikes=None)
    (plot,) = system.plots([without, session], 1, tmp_path)
    assert "retrieval" in plot.svg
    assert plot.note.startswith("1 held-out sessions")
    assert system.plots([without], 1, tmp_path) == (), "no spikes, nothing to align with"
