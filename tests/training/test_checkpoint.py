"""A checkpoint gives back what was saved, and anything else is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from edgebci.checkpoint import Checkpoint, TrainingRecord, load_checkpoint, save_checkpoint
from edgebci.decoder_spec import DecoderSpec
from edgebci.errors import InputError

SPEC = DecoderSpec(n_inputs=5, output_names=("x",), output_unit="cm", d_model=8, headdim=8, d_state=4)


@pytest.fixture
def checkpoint() -> Checkpoint:
    rng = np.random.default_rng(0)
    record = TrainingRecord(
        recipe={"seed": 3},
        data_sha256={"train": "ab"},
        frame_rate_hz=50.0,
        epochs_run=2,
        best_epoch=1,
        validation_r2=0.5,
        versions={},
    )
    shapes = SPEC.parameter_shapes()
    return Checkpoint(SPEC, {k: rng.standard_normal(v, dtype=np.float32) for k, v in shapes.items()}, record)


def test_what_was_saved_is_read_back(checkpoint: Checkpoint, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "a.safetensors", checkpoint)
    loaded = load_checkpoint(tmp_path / "a.safetensors")
    assert (loaded.spec, loaded.training) == (checkpoint.spec, checkpoint.training)
    assert loaded.parameters.keys() == checkpoint.parameters.keys()
    for name, tensor in checkpoint.parameters.items():
        np.testing.assert_array_equal(loaded.parameters[name], tensor)


def test_the_same_checkpoint_is_always_the_same_bytes(checkpoint: Checkpoint, tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.safetensors" for i in range(3)]
    for path in paths:
        save_checkpoint(path, checkpoint)
    assert len({path.read_bytes() for path in paths}) == 1


def test_a_file_cut_short_is_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, checkpoint)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="not a whole safetensors file"):
        load_checkpoint(path)


def test_a_missing_or_foreign_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no checkpoint"):
        load_checkpoint(tmp_path / "none.safetensors")
    save_file({"weight": np.zeros(3, dtype=np.float32)}, tmp_path / "foreign.safetensors")
    with pytest.raises(InputError, match=r"foreign\.safetensors"):
        load_checkpoint(tmp_path / "foreign.safetensors")


@pytest.mark.parametrize("wrong", [np.zeros(7, dtype=np.float32), np.full(8, np.nan, dtype=np.float32)])
def test_tensors_that_do_not_fit_the_spec_are_refused(
    checkpoint: Checkpoint, tmp_path: Path, wrong: np.ndarray[tuple[int], np.dtype[np.float32]]
) -> None:
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, replace(checkpoint, parameters={**checkpoint.parameters, "norm.weight": wrong}))
    with pytest.raises(InputError, match=r"'norm\.weight'"):
        load_checkpoint(path)
