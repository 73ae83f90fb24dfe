"""REALM's three stages: they learn, resume to the bit, and see nothing that they may not see."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from edgebci.decoding_data import DecodingData
from edgebci.errors import InputError
from edgebci.metrics import r2
from edgebci.progress import Progress, silent
from edgebci.session import Session
from edgebci.training.realm.corpus import Corpus, split_by_lot, split_by_name
from edgebci.training.realm.distill import distill, teacher_views
from edgebci.training.realm.encoding import residual_stream
from edgebci.training.realm.files import load_decoder, load_encoder
from edgebci.training.realm.finetune import fine_tune, predict
from edgebci.training.realm.model import make_encoder
from edgebci.training.realm.pretrain import pretrain
from edgebci.training.realm.readout import LabelFree, fit_label_free
from edgebci.training.realm.recipe import RealmRecipe
from edgebci.training.realm.spec import REALM, REALM_S, EncoderSpec


def with_noise_in_test(session: Session) -> Session:
    data, rng = session.data, np.random.default_rng(9)
    frames, targets = data.frames.copy(), data.targets.copy()
    for start, stop in data.test:
        frames[start:stop] = 100 * rng.standard_normal(frames[start:stop].shape)
        targets[start:stop] = 100 * rng.standard_normal(targets[start:stop].shape)
    return replace(session, data=replace(data, frames=frames, targets=targets))


def r2_in_test(data: DecodingData, decoded: NDArray[np.float32]) -> float:
    rows = data.rows("test")
    return float(r2(data.targets[rows].astype(np.float64), decoded[rows].astype(np.float64)).mean())


class Interrupting:
    """A progress listener that presses Ctrl-C after some epochs."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self, fraction: float, note: str) -> None:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


def test_noise_in_the_test_intervals_changes_no_byte_and_no_statistic(
    sessions: list[Session], teacher: Path, student: Path, brief: RealmRecipe, recipe: RealmRecipe, tmp_path: Path
) -> None:
    noisy = [with_noise_in_test(session) for session in sessions]
    pretrain(noisy, recipe, tmp_path / "teacher.safetensors")
    assert (tmp_path / "teacher.safetensors").read_bytes() == teacher.read_bytes()
    distill(noisy, teacher, recipe, tmp_path / "student.safetensors")
    assert (tmp_path / "student.safetensors").read_bytes() == student.read_bytes()
    outs = [tmp_path / "clean.safetensors", tmp_path / "noisy.safetensors"]
    for out, seen in zip(outs, (sessions[0], noisy[0]), strict=True):
        fine_tune(seen, student, brief, out)
    assert outs[0].read_bytes() == outs[1].read_bytes()
    encoder = load_encoder(student).encoder
    ours, other = (fit_label_free(encoder, seen.data, recipe.label_free) for seen in (sessions[0], noisy[0]))
    np.testing.assert_array_equal(ours.readout.weight, other.readout.weight)
    assert (ours.validation_r2, ours.readout.penalty) == (other.validation_r2, other.readout.penalty)


def test_both_readouts_decode_in_the_target_unit(
    sessions: list[Session], student: Path, recipe: RealmRecipe, tmp_path: Path
) -> None:
    data = sessions[0].data
    label_free = fit_label_free(load_encoder(student).encoder, data, recipe.label_free)
    assert r2_in_test(data, label_free.predict(data)) > 0.5, "the targets have mean 20: without unit, far below 0"
    tuned = fine_tune(sessions[0], student, recipe, tmp_path / "tuned.safetensors")
    assert r2_in_test(data, predict(tuned, data)) > 0.5
    again = load_decoder(tmp_path / "tuned.safetensors")
    np.testing.assert_array_equal(predict(again, data), predict(tuned, data))
    assert (again.output_names, again.output_unit) == (("vx", "vy"), "cm/s")


def test_without_sessions_to_score_the_teacher_keeps_its_last_weights(
    sessions: list[Session], recipe: RealmRecipe, tmp_path: Path
) -> None:
    stage = recipe.pretraining.model_copy(update={"validation_sessions": 0.0})
    whole = recipe.model_copy(update={"pretraining": stage})
    record = pretrain(sessions, whole, tmp_path / "teacher.safetensors").training
    assert record.best_epoch == record.epochs_run == recipe.pretraining.optimiser.epochs


def test_recordings_without_a_whole_window_are_refused(
    sessions: list[Session], student: Path, recipe: RealmRecipe, tmp_path: Path
) -> None:
    short = replace(sessions[0], data=replace(sessions[0].data, train=((0, 50),)))
    with pytest.raises(InputError, match="train intervals hold 0 windows of 64 mostly valid frames where at least 1"):
        fine_tune(short, student, recipe, tmp_path / "tuned.safetensors")


def test_a_part_that_counts_for_a_few_seconds_alone_still_decides_when_to_stop(
    sessions: list[Session], teacher: Path, recipe: RealmRecipe, tmp_path: Path
) -> None:
    """As a rat that was stimulated for most of its validation part: of some batches no frame counts."""
    data, (start, stop) = sessions[0].data, sessions[0].data.validation[0]
    valid = data.valid.copy()
    valid[start + 100 : stop] = False
    stage = recipe.distillation
    one = stage.optimiser.model_copy(update={"batch_windows": 1, "epochs": 2})
    by_intervals = stage.model_copy(update={"validation_sessions": 0.0, "optimiser": one})
    stimulated = replace(sessions[0], data=replace(data, valid=valid))
    record = distill(
        [stimulated],
        teacher,
        recipe.model_copy(update={"distillation": by_intervals}),
        tmp_path / "student.safetensors",
    ).training
    assert len(record.validation_scores) == record.epochs_run == 2
    assert np.isfinite(record.validation_scores).all()


def test_a_head_that_starts_from_ridge_decodes_before_it_learns(
    sessions: list[Session], student: Path, recipe: RealmRecipe, tmp_path: Path
) -> None:
    stage, one = recipe.fine_tuning, {"epochs": 1, "learning_rate": 1e-6}
    scores = {}
    for start in ("random", "ridge"):
        changed = {"head_start": start, "optimiser": stage.optimiser.model_copy(update=one)}
        tuning = recipe.model_copy(update={"fine_tuning": stage.model_copy(update=changed)})
        scores[start] = fine_tune(
            sessions[0], student, tuning, tmp_path / f"{start}.safetensors"
        ).training.validation_r2
    assert scores["ridge"] is not None
    assert scores["random"] is not None
    assert scores["ridge"] > 0.5 > scores["random"]


def test_fine_tuning_leaves_the_tokenizer_and_changes_the_layers(
    sessions: list[Session], student: Path, brief: RealmRecipe, tmp_path: Path
) -> None:
    tuned = fine_tune(sessions[0], student, brief, tmp_path / "tuned.safetensors").decoder.encoder.state_dict()
    for name, before in load_encoder(student).encoder.state_dict().items():
        if name.startswith("tokenizer."):
            assert torch.equal(tuned[name], before), name
        elif name.endswith("in_proj.weight"):
            assert not torch.equal(tuned[name], before), name


def test_distillation_starts_from_the_teachers_tokenizer_and_follows_its_last_layer(
    sessions: list[Session], teacher: Path, recipe: RealmRecipe, tmp_path: Path
) -> None:
    notes: list[str] = []
    distill(sessions, teacher, recipe, tmp_path / "s.safetensors", lambda _, note: notes.append(note))
    losses = [float(note.split("alignment ")[1].split(",")[0]) for note in notes]
    assert losses[-1] < 0.8 * losses[0]
    assert "task" not in notes[0], "without a task weight no label is used"


def test_labels_do_not_matter_to_a_label_free_student(
    sessions: list[Session], teacher: Path, student: Path, recipe: RealmRecipe, tmp_path: Path
) -> None:
    blind = [replace(s, data=replace(s.data, targets=np.zeros_like(s.data.targets))) for s in sessions]
    distill(blind, teacher, recipe, tmp_path / "student.safetensors")
    ours, other = (load_encoder(p).encoder.state_dict() for p in (student, tmp_path / "student.safetensors"))
    assert all(torch.equal(ours[name], other[name]) for name in ours)


def test_the_teachers_view_stays_inside_its_intervals(
    sessions: list[Session], teacher: Path, recipe: RealmRecipe
) -> None:
    corpus = Corpus(sessions, recipe.student.n_channels)
    view = teacher_views(load_encoder(teacher), corpus, 64)[0].float()
    # Half precision keeps 11 bits of each of 16 components.
    torch.testing.assert_close(view[:700].norm(dim=-1), torch.ones(700), rtol=2e-3, atol=0)
    assert not view[700:].any()


@pytest.mark.parametrize("stage", ["pretrain", "distill", "fine_tune"])
def test_an_interrupted_stage_ends_with_the_same_bytes(
    sessions: list[Session], teacher: Path, student: Path, brief: RealmRecipe, tmp_path: Path, stage: str
) -> None:
    def run(out: Path, progress: Progress = silent) -> None:
        if stage == "pretrain":
            pretrain(sessions, brief, out, progress)
        elif stage == "distill":
            distill(sessions, teacher, brief, out, progress)
        else:
            fine_tune(sessions[0], student, brief, out, progress)

    whole, broken = tmp_path / "whole.safetensors", tmp_path / "broken.safetensors"
    run(whole)
    with pytest.raises(KeyboardInterrupt):
        run(broken, Interrupting(after=3))
    assert not broken.exists()
    run(broken)
    assert broken.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.safetensors", "whole.safetensors"]


def test_files_hold_recipe_and_data_hashes(
    sessions: list[Session], teacher: Path, student: Path, recipe: RealmRecipe
) -> None:
    record = load_encoder(student).training
    assert RealmRecipe.model_validate(record.recipe) == recipe
    assert record.data_sha256["session 1 train"] == sessions[1].data.fingerprint("train")
    assert record.teacher_sha256
    with pytest.raises(InputError, match="schema_version"):
        load_decoder(teacher)


def test_fewer_channels_are_filled_up_and_more_are_refused(
    sessions: list[Session], student: Path, recipe: RealmRecipe
) -> None:
    data, encoder = sessions[0].data, load_encoder(student).encoder
    fewer = fit_label_free(encoder, replace(data, frames=data.frames[:, :5]), recipe.label_free)
    assert isinstance(fewer, LabelFree)
    assert np.isfinite(fewer.validation_r2)
    with pytest.raises(InputError, match="12 features per frame where the encoder takes 6"):
        fit_label_free(encoder, replace(data, frames=np.hstack([data.frames, data.frames])), recipe.label_free)


def test_windows_of_a_teacher_are_believed_in_their_middle(recipe: RealmRecipe) -> None:
    encoder, frames = make_encoder(recipe.teacher).eval(), torch.randn(200, 6)
    stream = residual_stream(encoder, frames, 64)
    with torch.no_grad():
        second = encoder(frames[None, 32:96])[0]
    # The window that begins at 32 speaks for its second and third quarter; batches may round differently.
    torch.testing.assert_close(stream[48:80], second[16:48], rtol=1e-4, atol=1e-5)


def test_left_out_sessions_are_some_and_never_all(sessions: list[Session]) -> None:
    for share in (0.1, 0.5, 0.99):
        for taught, scored in (split_by_lot(sessions, share, 0), split_by_name(sessions, share)):
            assert taught
            assert scored
            assert {s.name for s in (*taught, *scored)} == {s.name for s in sessions}
    assert split_by_lot(sessions[:1], 0.5, 0) == (sessions[:1], [])
    assert [s.name for s in split_by_name(sessions, 0.3)[1]] == ["session 0"]


@pytest.mark.parametrize(("spec", "least"), [(REALM_S, 2_000_000), (REALM, 4_800_000)], ids=["REALM-S", "REALM"])
def test_the_published_sizes_train_and_evaluate(
    recipe: RealmRecipe, tmp_path: Path, spec: EncoderSpec, least: int
) -> None:
    rng = np.random.default_rng(0)
    targets = np.cumsum(rng.standard_normal((400, 2)), axis=0).astype(np.float32)
    frames = (targets @ rng.standard_normal((2, 96)) + rng.standard_normal((400, 96))).astype(np.float32)
    data = DecodingData(
        frames=frames / frames.std(),
        targets=targets,
        valid=np.ones(400, dtype=np.bool_),
        times_s=np.arange(400) / 100,
        train=((0, 240),),
        validation=((240, 320),),
        test=((320, 400),),
        target_names=("vx", "vy"),
        target_unit="cm/s",
    )
    optimiser = recipe.distillation.optimiser.model_copy(update={"epochs": 1, "batch_windows": 8, "window_frames": 64})
    stage = recipe.distillation.model_copy(update={"optimiser": optimiser})
    big = recipe.model_copy(
        update={"student": spec, "teacher": spec.model_copy(update={"both_ways": True}), "distillation": stage}
    )
    file = distill([Session("big", "subject", data)], None, big, tmp_path / "student.safetensors")
    assert sum(p.numel() for p in file.encoder.parameters()) > least
    score = fit_label_free(file.encoder, data, recipe.label_free)
    assert np.isfinite(r2_in_test(data, score.predict(data)))
