"""Students on sessions that they never met: with a readout fitted there, and with no label of that session at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgebci.decoding_data import Floats
from edgebci.errors import InputError
from edgebci.metrics import r2
from edgebci.session import Session
from edgebci.training.crossmodal.files import load_student
from edgebci.training.crossmodal.readout import Readout, decode, fit_readout, lfp_view, own_readout
from edgebci.training.crossmodal.recipe import CrossModalRecipe
from edgebci.training.crossmodal.spike_teacher import pretrain
from edgebci.training.crossmodal.student import distill
from edgebci.training.crossmodal.student_model import Student

PENALTIES = (0.0, 1e-2, 1.0)


@pytest.fixture(scope="module")
def unseen(make_session: Callable[..., Session]) -> Session:
    """Another day of the same subject: nothing of it is in the sessions that taught."""
    return make_session("unseen", 77)


def score(student: Student, readout: Readout, session: Session) -> float:
    rows = session.data.rows("test")
    truth = session.data.targets[rows].astype(np.float64)
    decoded: Floats = decode(lfp_view(student, 50), readout, session)
    return float(r2(truth, decoded[rows].astype(np.float64)).mean())


def test_distillation_pays_on_a_session_that_was_never_distilled_on(
    make_session: Callable[..., Session],
    recipe: CrossModalRecipe,
    changed: Callable[..., CrossModalRecipe],
    folder: Path,
) -> None:
    # Rebuilding frames keeps the distractors, which are larger; the spikes say what matters.
    known = [make_session(f"crowded {seed}", seed, 24, 10, 6) for seed in (11, 12, 13)]
    unseen = make_session("crowded unseen", 78, 24, 10, 6)
    paths = [folder / f"crowded {name}.safetensors" for name in ("teacher", "taught", "untaught")]
    pretrain(known, recipe, paths[0])
    distill(known, paths[0], recipe, paths[1])
    distill(known, None, changed(alignment_weight=0.0), paths[2])
    taught, untaught = (load_student(path) for path in paths[1:])
    scores = [
        score(model, fit_readout(lfp_view(model, 50), [unseen], PENALTIES), unseen) for model in (taught, untaught)
    ]
    assert unseen.name not in [session.name for session in taught.sessions]
    assert scores[0] > scores[1] + 0.02
    assert scores[0] > 0.7


def test_a_readout_of_the_known_sessions_decodes_a_new_one_without_its_labels(
    sessions: list[Session], unseen: Session, student: Path
) -> None:
    model = load_student(student)
    view = lfp_view(model, 50)
    readout = fit_readout(view, sessions, PENALTIES)
    unlabelled = replace(unseen, data=replace(unseen.data, targets=np.zeros_like(unseen.data.targets)))
    assert np.array_equal(decode(view, readout, unlabelled), decode(view, readout, unseen))
    assert score(model, readout, unseen) > 0.3
    shuffled = replace(unseen.data, frames=np.random.default_rng(0).permutation(unseen.data.frames))
    assert score(model, readout, replace(unseen, data=shuffled)) < 0.1


def test_the_head_of_a_supervised_student_decodes_in_the_unit_of_the_target(
    sessions: list[Session], unseen: Session, supervised: Path
) -> None:
    model = load_student(supervised)
    readout = own_readout(model, sessions[:1], 50)
    assert readout.validation_r2 > 0.3
    # Distilled on one session, its patches serve both the other that it never met and a new one.
    assert [session.name for session in model.sessions] == ["first"]
    assert score(model, readout, sessions[1]) > 0.3
    assert score(model, readout, unseen) > 0.3


def test_the_head_that_rebuilds_frames_is_no_decoder(sessions: list[Session], student: Path) -> None:
    with pytest.raises(InputError, match="rebuilds frames"):
        own_readout(load_student(student), sessions, 50)
