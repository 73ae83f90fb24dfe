"""A decoder of any cell means in torch what it means in NumPy, where the exporter takes it from."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
import torch

from edgebci.checkpoint import Checkpoint, TrainingRecord
from edgebci.decoder_float import FloatDecoder
from edgebci.decoder_spec import DecoderSpec
from edgebci.example_decoder import random_frames, random_parameters
from edgebci.training.causal_decoder import from_checkpoint

RECORD = TrainingRecord(recipe={}, data_sha256={}, frame_rate_hz=50, epochs_run=0, best_epoch=0, versions={})


@pytest.mark.parametrize("cell", ["mamba2", "s4d", "gru"])
def test_torch_and_numpy_decode_the_same(cell: Literal["mamba2", "s4d", "gru"]) -> None:
    spec = DecoderSpec(
        n_inputs=6, output_names=("x", "y"), output_unit="cm/s", d_model=8, d_state=8, headdim=8, cell=cell
    )
    parameters, frames = random_parameters(spec, 1), random_frames(spec, 150, 2)
    decoder = from_checkpoint(Checkpoint(spec, parameters, RECORD))
    expected = FloatDecoder.of(spec, parameters).stream(frames)
    found = decoder.stream(torch.from_numpy(frames)).numpy()
    # Float32 against float64 through two layers, with sums over 150 frames.
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())
