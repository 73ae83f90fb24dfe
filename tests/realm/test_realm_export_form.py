"""A fine-tuned edge student as the exporter takes it: the same decoder, or one sentence why not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from edgebci.checkpoint import TrainingRecord, load_checkpoint, save_checkpoint
from edgebci.decoder_float import FloatDecoder
from edgebci.errors import InputError
from edgebci.session import Session
from edgebci.training.realm.distill import distill
from edgebci.training.realm.export_form import label_free_checkpoint, to_checkpoint
from edgebci.training.realm.files import DecoderFile
from edgebci.training.realm.finetune import fine_tune, predict
from edgebci.training.realm.model import RealmDecoder, make_encoder
from edgebci.training.realm.readout import fit_label_free
from edgebci.training.realm.recipe import RealmRecipe

UNTRAINED = TrainingRecord(recipe={}, data_sha256={}, frame_rate_hz=100, epochs_run=0, best_epoch=0, versions={})


def edge_recipe(recipe: RealmRecipe, **changes: object) -> RealmRecipe:
    edge = {"tokenizer": "linear", "block": "mamba2", "norm": "rms"} | changes
    return recipe.model_copy(
        update={
            "student": recipe.student.model_copy(update=edge),
            "distillation": recipe.distillation.model_copy(update={"copy_tokenizer": False}),
        }
    )


@pytest.mark.parametrize("tokenizer", ["linear", "attention"])
def test_the_checkpoint_decodes_what_the_student_decodes(
    sessions: list[Session], teacher: Path, recipe: RealmRecipe, tmp_path: Path, tokenizer: str
) -> None:
    edge = edge_recipe(recipe, tokenizer=tokenizer)
    distill(sessions, teacher, edge, tmp_path / "student.safetensors")
    tuned = fine_tune(sessions[0], tmp_path / "student.safetensors", edge, tmp_path / "tuned.safetensors")
    save_checkpoint(tmp_path / "edge.safetensors", to_checkpoint(tuned))
    checkpoint = load_checkpoint(tmp_path / "edge.safetensors")
    reference = FloatDecoder.of(checkpoint.spec, checkpoint.parameters).stream(sessions[0].data.frames)
    # Float32 against float64 through two layers, outputs of about 20.
    np.testing.assert_allclose(predict(tuned, sessions[0].data), reference, rtol=1e-4, atol=1e-3)
    assert checkpoint.training.recipe["schema"] == "edgebci.realm/1"


@pytest.mark.parametrize("activation", ["silu", "gelu"])
def test_the_tokenizer_with_its_memory_decodes_the_same_too(
    sessions: list[Session], recipe: RealmRecipe, activation: str
) -> None:
    data = sessions[0].data
    sizes = {"tokenizer": "attention", "activation": activation, "attention_s": 0.5, "n_channels": data.frames.shape[1]}
    encoder = make_encoder(edge_recipe(recipe, **sizes).student)
    decoder = RealmDecoder(encoder, data.targets.shape[1])
    names = tuple(f"axis {i}" for i in range(data.targets.shape[1]))
    checkpoint = to_checkpoint(DecoderFile(decoder, names, "cm/s", UNTRAINED))
    exact = FloatDecoder.of(checkpoint.spec, checkpoint.parameters).stream(data.frames[:400])
    with torch.no_grad():
        found = decoder(torch.from_numpy(data.frames[None, :400]))[0].numpy()
    # Float32 against float64 through tokenizer and layers.
    np.testing.assert_allclose(found, exact, atol=2e-4 * np.abs(exact).max())


@pytest.mark.parametrize("tokenizer", ["linear", "attention"])
def test_a_label_free_readout_is_exported_with_the_frames_that_it_remembers(
    sessions: list[Session], recipe: RealmRecipe, tokenizer: str
) -> None:
    data = sessions[0].data
    spec = edge_recipe(recipe, tokenizer=tokenizer, n_channels=data.frames.shape[1]).student
    fitted = fit_label_free(make_encoder(spec), data, recipe.label_free.model_copy(update={"lags": 4}))
    checkpoint = label_free_checkpoint(fitted, data, UNTRAINED)
    assert checkpoint.spec.readout_lags == 4
    assert {name: tensor.shape for name, tensor in checkpoint.parameters.items()} == checkpoint.spec.parameter_shapes()
    found = fitted.decode(data, 0, 500)
    exact = FloatDecoder.of(checkpoint.spec, checkpoint.parameters).stream(data.frames[:500])
    # Float32 against float64, and weights of a ridge that take differences of frames.
    np.testing.assert_allclose(found, exact, atol=1e-3 * np.abs(exact).max())


def test_a_mean_too_slow_for_the_implant_is_refused_with_what_is_allowed(recipe: RealmRecipe) -> None:
    spec = edge_recipe(recipe, tokenizer="attention", attention_s=1e4).student
    file = DecoderFile(RealmDecoder(make_encoder(spec), 1), ("vx",), "cm/s", UNTRAINED)
    with pytest.raises(InputError, match=r"tokenizer: 'mean_frames' is .* less than or equal to 20000"):
        to_checkpoint(file)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
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
    file = DecoderFile(RealmDecoder(make_encoder(spec), 2), ("vx", "vy"), "cm/s", UNTRAINED)
    with pytest.raises(InputError, match=message):
        to_checkpoint(file)
