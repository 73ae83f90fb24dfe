"""REALM's stages train under autocast, masked parts, cosines and half-precision views included."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from edgebci.session import Session
from edgebci.training.realm.distill import distill
from edgebci.training.realm.finetune import fine_tune
from edgebci.training.realm.pretrain import pretrain
from edgebci.training.realm.recipe import RealmRecipe


def in_bf16(recipe: RealmRecipe) -> RealmRecipe:
    stages = {name: getattr(recipe, name) for name in ("pretraining", "distillation", "fine_tuning")}
    low = {
        name: stage.optimiser.model_copy(update={"precision": "bf16", "epochs": 2}) for name, stage in stages.items()
    }
    return recipe.model_copy(
        update={name: stage.model_copy(update={"optimiser": low[name]}) for name, stage in stages.items()}
    )


def test_every_stage_trains_in_bf16_and_keeps_float32(
    sessions: list[Session], recipe: RealmRecipe, tmp_path: Path
) -> None:
    low, notes = in_bf16(recipe), list[str]()
    paths = [tmp_path / f"{stage}.safetensors" for stage in ("teacher", "student", "decoder")]
    teacher = pretrain(sessions, low, paths[0]).encoder
    student = distill(sessions, paths[0], low, paths[1], lambda _, note: notes.append(note)).encoder
    decoder = fine_tune(sessions[0], paths[1], low, paths[2]).decoder
    tensors = [value for model in (teacher, student, decoder) for value in model.state_dict().values()]
    assert {value.dtype for value in tensors if value.is_floating_point()} == {torch.float32}
    losses = [float(note.split("alignment ")[1].split(",")[0]) for note in notes]
    assert losses[1] < losses[0]


def test_bf16_is_part_of_what_a_run_is(sessions: list[Session], recipe: RealmRecipe, tmp_path: Path) -> None:
    def interrupt(_: float, note: str) -> None:
        raise KeyboardInterrupt

    out, notes = tmp_path / "teacher.safetensors", list[str]()
    with pytest.raises(KeyboardInterrupt):
        pretrain(sessions, recipe, out, interrupt)
    pretrain(sessions, in_bf16(recipe), out, lambda _, note: notes.append(note))
    assert notes[0].startswith("epoch 1/")
