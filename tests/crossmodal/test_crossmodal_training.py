"""Teachers and students learn what they should, from what they may see, and come back from their files unchanged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from edgebci.checkpoint import read_tensors
from edgebci.decoding_data import Floats
from edgebci.documents import load_toml
from edgebci.errors import InputError
from edgebci.metrics import F64
from edgebci.session import Session
from edgebci.training.crossmodal.alignment import linear_cka
from edgebci.training.crossmodal.corpus import Corpus, counts_of
from edgebci.training.crossmodal.files import StudentHeader, load_student, load_teacher
from edgebci.training.crossmodal.readout import lfp_view, spike_view
from edgebci.training.crossmodal.recipe import CrossModalRecipe, TransformerBody
from edgebci.training.crossmodal.spec import EncoderSpec, TokenSpec
from edgebci.training.crossmodal.spike_teacher import MaskedSpikes, fine_tune, pretrain
from edgebci.training.crossmodal.student import Distillation, distill, new_student

TEST = (1260, 1600)


def test_masked_autoencoding_says_more_about_spikes_than_their_mean_rates(
    sessions: list[Session], recipe: CrossModalRecipe, teacher: Path
) -> None:
    corpus = Corpus(sessions, spike_patch=8)
    model = load_teacher(teacher)
    learned = MaskedSpikes(model, corpus, 0.6, recipe.teacher.optimiser).score(model)
    losses = []
    for session in sessions:
        counts = counts_of(session)
        rate = counts[:1000].mean(axis=0)
        losses.append((rate - counts[1010:1250] * np.log(rate)).mean())
    # Sessions count by their units, 10 and 6.
    assert learned > -np.average(losses, weights=[10, 6])


def test_a_spike_teacher_aligns_its_student_and_one_that_sees_shifted_spikes_does_not(
    sessions: list[Session], recipe: CrossModalRecipe, teacher: Path, student: Path, alone: Path, folder: Path
) -> None:
    # The same teacher throughout, so that all are measured in the same space.
    shifted = folder / "shifted.safetensors"
    distill(sessions, teacher, recipe.model_copy(update={"shift_spikes": True}), shifted)
    truth = _centred(spike_view(load_teacher(teacher))(sessions[0], TEST))
    taught_view, shifted_view, alone_view = (
        _centred(lfp_view(load_student(path), 50)(sessions[0], TEST)) for path in (student, shifted, alone)
    )
    assert _cosine(taught_view, truth) > 0.3
    assert _cosine(taught_view, truth) > _cosine(shifted_view, truth) + 0.2
    assert linear_cka(taught_view, truth) > linear_cka(shifted_view, truth)
    assert linear_cka(taught_view, truth) > linear_cka(alone_view, truth)


def _centred(view: Floats) -> F64:
    """Without the first frames, which have no past."""
    kept = view[10:].astype(np.float64)
    centred: F64 = kept - kept.mean(axis=0)
    return centred


def _cosine(x: F64, y: F64) -> float:
    return float((x * y).sum() / np.linalg.norm(x) / np.linalg.norm(y))


def test_what_test_intervals_hold_changes_no_weight(
    sessions: list[Session], recipe: CrossModalRecipe, changed: Callable[..., CrossModalRecipe], folder: Path
) -> None:
    short = recipe.student.optimiser.model_copy(update={"epochs": 2})
    quick = changed(optimiser=short)
    quick = quick.model_copy(update={"teacher": recipe.teacher.model_copy(update={"optimiser": short})})
    written: list[tuple[bytes, bytes]] = []
    for name, seen in (("clean", sessions), ("noisy", [_noise_in_test(session) for session in sessions])):
        paths = folder / f"{name} teacher.safetensors", folder / f"{name} student.safetensors"
        pretrain(seen, quick, paths[0])
        # The student's teacher is the same for both: what the student itself sees must not matter either.
        distill(seen, folder / "clean teacher.safetensors", quick, paths[1])
        written.append((paths[0].read_bytes(), paths[1].read_bytes()))
    assert written[0] == written[1]


def test_a_teacher_goes_on_with_a_new_session(recipe: CrossModalRecipe, sessions: list[Session], teacher: Path) -> None:
    out = teacher.with_name("tuned.safetensors")
    fine_tune([replace(sessions[0], name="target")], teacher, recipe, out)
    assert [session.name for session in load_teacher(out).sessions] == ["first", "second.b", "target"]
    assert not any(parameter.requires_grad for parameter in load_teacher(out).parameters())


@pytest.mark.parametrize("task", ["frames", "behaviour"])
def test_the_papers_student_learns_both_tasks_and_comes_back_from_its_file(
    sessions: list[Session],
    recipe: CrossModalRecipe,
    changed: Callable[..., CrossModalRecipe],
    teacher: Path,
    task: str,
) -> None:
    tokens = TokenSpec(kind="lfp", patch=4)
    body = TransformerBody(encoder=EncoderSpec(tokens=tokens, transformer=recipe.teacher.predictor))
    short = recipe.student.optimiser.model_copy(update={"epochs": 2})
    out = teacher.with_name(f"{task}.safetensors")
    distill(sessions, teacher, changed(body=body, task=task, optimiser=short), out)
    first, second = (lfp_view(load_student(out), 50)(sessions[0], TEST) for _ in range(2))
    assert np.array_equal(first, second)
    assert len(first) == TEST[1] - TEST[0]
    _, header = read_tensors(out, StudentHeader)
    assert header.n_outputs == (6 if task == "frames" else 2)


def test_a_weight_without_a_teacher_is_refused(
    sessions: list[Session], recipe: CrossModalRecipe, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="without a teacher"):
        distill(sessions, None, recipe, tmp_path / "student.safetensors")


@pytest.mark.parametrize("name", ["paper", "edge"])
def test_recipes_name_every_hyper_parameter(name: str) -> None:
    path = Path(__file__).parents[2] / "examples" / "recipes" / f"crossmodal_{name}.toml"
    recipe = load_toml(path, CrossModalRecipe)
    assert _unset(recipe) == []


def _unset(document: object, where: str = "") -> list[str]:
    fields = getattr(type(document), "model_fields", {})
    found = [f"{where}.{field}" for field in fields if field not in document.model_fields_set]  # type: ignore[attr-defined]
    return found + [f for field in fields for f in _unset(getattr(document, field), f"{where}.{field}")]


def _noise_in_test(session: Session) -> Session:
    rng, spikes = np.random.default_rng(9), session.spikes
    assert spikes is not None
    frames, targets = session.data.frames.copy(), session.data.targets.copy()
    for array in (frames, targets):
        array[TEST[0] :] = rng.standard_normal(array[TEST[0] :].shape)
    before = spikes.between(-1.0, float(session.data.times_s[TEST[0] - 1]))
    return replace(session, data=replace(session.data, frames=frames, targets=targets), spikes=before)


def test_augmentation_spares_what_is_rebuilt_and_scored(
    sessions: list[Session], changed: Callable[..., CrossModalRecipe]
) -> None:
    stage = changed(alignment_weight=0.0, augmentation={"channel_dropout": 0.0, "gain_spread": 0.0, "noise_sd": 3.0})
    corpus = Corpus(sessions, lfp_patch=1)
    learner = Distillation(new_student(corpus, stage.student, 0), None, corpus, stage.student)
    rows, rng = np.array([100, 1700]), np.random.default_rng(0)
    learner.model.eval()
    assert learner.score(learner.model) == learner.score(learner.model)
    clean, noisy = Distillation(learner.model, None, corpus, changed(alignment_weight=0.0).student), learner
    assert not torch.equal(noisy.losses(rows, rng)["task"], clean.losses(rows, rng)["task"])
    assert noisy.score(learner.model) == clean.score(learner.model)


def test_labels_alone_decide_when_a_supervised_student_stops(
    sessions: list[Session], changed: Callable[..., CrossModalRecipe]
) -> None:
    corpus, rng = Corpus(sessions, lfp_patch=1), np.random.default_rng(0)
    views = torch.from_numpy(rng.standard_normal((len(corpus.valid), 8)).astype(np.float32))
    for task, notices in (("behaviour", False), ("frames", True)):
        recipe = changed(task=task).student
        student = new_student(corpus, recipe, 8).eval()
        scores = [Distillation(student, taught, corpus, recipe).score(student) for taught in (views, -views)]
        assert (scores[0] != scores[1]) is notices
