"""A fine-tuned edge student as the exporter takes it: the same decoder, or one sentence why not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgebci.checkpoint import TrainingRecord, load_checkpoint, save_checkpoint
from edgebci.decoder_float import FloatDecoder
from edgebci.errors import InputError
from edgebci.session import Session
from edgebci.training.realm.distill import distill
from edgebci.training.realm.export_form import to_checkpoint
from edgebci.training.realm.files import DecoderFile
from edgebci.training.realm.finetune import fine_tune, predict
from edgebci.training.realm.model import RealmDecoder, make_encoder
from edgebci.training.realm.recipe import RealmRecipe


def edge_recipe(recipe: RealmRecipe, **changes: object) -> RealmRecipe:
    edge = {"tokenizer": "linear", "block": "mamba2", "norm": "rms"} | changes
    return recipe.model_copy(
        update={
            "student": recipe.student.model_copy(update=edge),
            "distillation": recipe.distillation.model_copy(update={"copy_tokenizer": False}),
        }
    )


def test_the_checkpoint_decodes_what_the_student_decodes(
    sessions: list[Session], teacher: Path, recipe: RealmRecipe, tmp_path: Path
) -> None:
    edge = edge_recipe(recipe)
    distill(sessions, teacher, edge, tmp_path / "student.safetensors")
    tuned = fine_tune(sessions[0], tmp_path / "student.safetensors", edge, tmp_path / "tuned.safetensors")
    save_checkpoint(tmp_path / "edge.safetensors", to_checkpoint(tuned))
    checkpoint = load_checkpoint(tmp_path / "edge.safetensors")
    reference = FloatDecoder.of(checkpoint.spec, checkpoint.parameters).stream(sessions[0].data.frames)
    # Float32 against float64 through two layers, outputs of about 20.
    np.testing.assert_allclose(predict(tuned, sessions[0].data), reference, rtol=1e-4, atol=1e-3)
    assert checkpoint.training.recipe["schema"] == "edgebci.realm/1"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"tokenizer": "attention"},
            'tokenizer = "attention" has no operator yet; distil a student with tokenizer = "l',
        ),
        ({"block": "realm"}, 'block = "realm" has no operator yet'),
        ({"norm": "layer"}, 'norm = "layer" has no operator yet'),
        ({"preprocessing": "paper"}, "filtered with zero phase"),
        ({"tokenizer": "attention", "attention_mean": "cumulative"}, "averages since the stream's start"),
    ],
)
def test_what_the_exporter_cannot_take_is_named(
    recipe: RealmRecipe,
    changes: dict[str, object],
    message: str,
) -> None:
    spec = edge_recipe(recipe, **changes).student
    untrained = TrainingRecord(recipe={}, data_sha256={}, frame_rate_hz=100, epochs_run=0, best_epoch=0, versions={})
    file = DecoderFile(RealmDecoder(make_encoder(spec), 2), ("vx", "vy"), "cm/s", untrained)
    with pytest.raises(InputError, match=message):
        to_checkpoint(file)
