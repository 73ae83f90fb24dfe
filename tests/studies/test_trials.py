"""The grid of a study: trials are kept, and compared over subjects."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgebci.comparison import Verdict
from edgebci.decoding_data import DecodingData, Floats
from edgebci.pipeline.configuration import SplitConfig
from edgebci.pipeline.imports import training_sources
from edgebci.pipeline.studies.cohort import CohortSpec, obtain_cohort, preparation
from edgebci.pipeline.studies.trial import Grid, Way
from edgebci.progress import Progress, silent
from edgebci.session import Session
from edgebci.synthetic.acceptance import TUNING_SEEDS
from edgebci.synthetic.specification import SyntheticSpec

SMALL = CohortSpec(
    subjects=2,
    pretraining_sessions=1,
    held_out_sessions=1,
    generator=SyntheticSpec.model_validate({"duration_s": 45, "n_channels": 4, "population": {"grid_mm": 0.4}}),
    split=SplitConfig(train=0.4, validation=0.3, test=0.3),
)


def toy_session(subject: int, session: int) -> Session:
    """Frames that carry the target with noise; a minute at 20 Hz."""
    rng = np.random.default_rng([subject, session])
    targets = rng.normal(size=(1200, 2)).astype(np.float32)
    frames = targets + 0.5 * rng.normal(size=targets.shape).astype(np.float32)
    everything = np.ones(1200, dtype=bool)
    times_s = np.arange(1200) / 20
    data = DecodingData(
        frames, targets, everything, times_s, ((0, 600),), ((620, 800),), ((820, 1200),), ("x", "y"), "cm/s"
    )
    return Session(f"subject{subject}_session{session}", f"subject{subject}", data)


SESSIONS = [toy_session(subject, session) for subject in range(6) for session in range(2)]


def shrink(name: str, factor: float, calls: list[str] | None = None) -> Way:
    """Decode by the frame itself times a factor, plus a little that depends on the seed."""

    def decode(session: Session, seed: int, folder: Path, progress: Progress) -> Floats:
        if calls is not None:
            calls.append(f"{session.name} {seed}")
        noise = np.random.default_rng(seed).normal(size=session.data.targets.shape)
        return (factor * session.data.frames + 0.01 * noise).astype(np.float32)

    return Way(name, f"factor {factor}", decode, ("edgebci.training.ridge",))


def test_a_better_way_is_superior_over_six_subjects(tmp_path: Path) -> None:
    grid = Grid(tmp_path, seeds=(1, 2))
    # The best factor for unit targets with noise of variance 0.25 is 0.8: R2 0.8 against 0.75 without shrinking.
    result = grid.compare(SESSIONS, shrink("shrunk", 0.8), shrink("plain", 1.0), margin=0.02)
    assert result.verdict is Verdict.SUPERIOR
    assert result.difference.value == pytest.approx(0.05, abs=0.02)  # 2 x 380 values a session, 12 sessions
    assert result.n_seeds == 2
    assert result.candidate_r2 == pytest.approx(grid.mean_r2(SESSIONS, shrink("shrunk", 0.8)))


def test_finished_trials_are_read_and_not_run_again(tmp_path: Path) -> None:
    calls: list[str] = []
    grid = Grid(tmp_path, seeds=(1, 2))
    first = grid.trials(shrink("kept", 0.8, calls), SESSIONS[0])
    again = grid.trials(shrink("kept", 0.8, calls), SESSIONS[0])
    assert calls == ["subject0_session0 1", "subject0_session0 2"]
    assert all(np.array_equal(a.decoded, b.decoded) for a, b in zip(first, again, strict=True))


def test_another_recipe_or_other_data_is_another_trial(tmp_path: Path) -> None:
    calls: list[str] = []
    grid = Grid(tmp_path, seeds=(1,))
    grid.trials(shrink("way", 0.8, calls), SESSIONS[0])
    grid.trials(shrink("way", 0.7, calls), SESSIONS[0])
    renamed = Session(SESSIONS[0].name, "subject0", SESSIONS[1].data)
    grid.trials(shrink("way", 0.7, calls), renamed)
    assert len(calls) == 3


def test_a_way_without_chance_is_tried_once(tmp_path: Path) -> None:
    way = shrink("fixed", 0.8)
    fixed = replace(way, is_random=False)
    assert len(Grid(tmp_path, seeds=(1, 2, 3)).trials(fixed, SESSIONS[0])) == 1


def test_a_cohort_holds_sessions_out_of_pretraining_in_every_subject(tmp_path: Path) -> None:
    cohort = obtain_cohort(SMALL, tmp_path, silent)
    assert [s.name for s in cohort.pretraining] == ["subject01_session01", "subject02_session01"]
    assert [s.name for s in cohort.held_out] == ["subject01_session02", "subject02_session02"]
    assert [s.subject for s in cohort.held_out] == ["subject01", "subject02"]
    assert cohort.held_out[0].spikes is not None
    assert cohort.held_out[0].data.frames.shape[1] == 4 * 4


def test_no_study_uses_a_seed_that_the_generator_was_tuned_on() -> None:
    many = SMALL.model_copy(update={"subjects": 100})
    seeds = {preparation(many, subject, 1).recording.synthetic.seed for subject in range(1, 101)}  # type: ignore[union-attr]
    assert len(seeds) == 100
    assert seeds.isdisjoint(TUNING_SEEDS)


def test_a_trial_is_as_old_as_the_code_that_trained_it_and_no_older() -> None:
    sources = training_sources("edgebci.training.realm.finetune")
    assert {"training/realm/finetune.py", "training/realm/model.py", "training/loop.py", "training/ssm.py"} <= sources
    assert not any("possm" in file or "crossmodal" in file for file in sources)
    assert training_sources("edgebci.training.ridge") < training_sources("edgebci.training.realm.readout")
