"""A model's file gives back the model, says how it was made, and nothing else passes for it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
import torch
from torch import nn

from edgebci.checkpoint import TrainingRecord
from edgebci.documents import Document
from edgebci.errors import InputError
from edgebci.training.loop import Fitted
from edgebci.training.model_file import ModelHeader, load_model, load_model_tensors, save_model
from edgebci.training.record import stage_identity, stage_record, versions
from edgebci.training.saved_state import EpochRecord


class LinearHeader(ModelHeader):
    schema_version: Literal["test.linear/1"] = "test.linear/1"
    width: int


class OtherHeader(ModelHeader):
    schema_version: Literal["test.other/1"] = "test.other/1"
    width: int


class Recipe(Document):
    rate: float = 0.1


RECORD = TrainingRecord(
    recipe={"seed": 1, "optimiser": {"rate": 0.1}},
    data_sha256={"rat train": "ab", "rat validation": "cd"},
    frame_rate_hz=100.0,
    epochs_run=3,
    best_epoch=2,
    versions=versions(),
)


def make(header: LinearHeader) -> nn.Linear:
    return nn.Linear(header.width, 2)


@pytest.fixture
def model() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(3, 2)


@pytest.fixture
def path(model: nn.Linear, tmp_path: Path) -> Path:
    save_model(tmp_path / "model.safetensors", model, LinearHeader(width=3, training=RECORD))
    return tmp_path / "model.safetensors"


def test_a_model_comes_back_frozen_with_its_header(path: Path, model: nn.Linear) -> None:
    loaded, header = load_model(path, LinearHeader, make)
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in loaded.state_dict().items())
    assert not loaded.training
    assert not any(p.requires_grad for p in loaded.parameters())
    assert header == LinearHeader(width=3, training=RECORD)
    assert load_model_tensors(path, LinearHeader)[0].keys() == {"weight", "bias"}


def test_the_same_model_is_always_the_same_bytes(path: Path, model: nn.Linear, tmp_path: Path) -> None:
    save_model(tmp_path / "again.safetensors", model, LinearHeader(width=3, training=RECORD))
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


def test_another_kind_of_model_and_other_sizes_are_refused(path: Path, model: nn.Linear, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"schema_version.*test\.other/1"):
        load_model_tensors(path, OtherHeader)
    wrong = tmp_path / "wrong.safetensors"
    save_model(wrong, model, LinearHeader(width=4, training=RECORD))
    with pytest.raises(InputError, match=r"wrong\.safetensors: its tensors do not fit its sizes; train it again"):
        load_model(wrong, LinearHeader, make)


def test_a_stage_says_recipe_data_and_the_model_it_began_from(path: Path) -> None:
    history = (EpochRecord(losses={"a": 1.0}, score=0.5), EpochRecord(losses={"a": 0.5}, score=0.4))
    record = stage_record(Recipe(), {"rat train": "ab"}, Fitted(nn.Identity(), history, 1), 100.0, path)
    assert (record.recipe, record.data_sha256, record.best_epoch) == ({"rate": 0.1}, {"rat train": "ab"}, 1)
    assert record.teacher_sha256
    assert record.versions.keys() == {"python", "numpy", "torch"}


def test_whatever_a_result_depends_on_changes_its_identity(path: Path) -> None:
    identities = {
        stage_identity("distill", Recipe(), {"rat train": "ab"}, path),
        stage_identity("pretrain", Recipe(), {"rat train": "ab"}, path),
        stage_identity("distill", Recipe(rate=0.2), {"rat train": "ab"}, path),
        stage_identity("distill", Recipe(), {"rat train": "cd"}, path),
        stage_identity("distill", Recipe(), {"rat train": "ab"}, None),
    }
    assert len(identities) == 5
