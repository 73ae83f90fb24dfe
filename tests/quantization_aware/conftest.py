"""Small random decoders, and recordings whose target is what the float decoder says, with noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from edgebci.arithmetic import F32
from edgebci.checkpoint import Checkpoint, TrainingRecord
from edgebci.decoder_float import FloatDecoder
from edgebci.decoder_spec import DecoderSpec
from edgebci.decoding_data import DecodingData
from edgebci.example_decoder import random_frames, random_parameters
from edgebci.export.quantization import QuantizationRecipe, quantize
from edgebci.operators.cells import CELLS, CellKind
from edgebci.operators.tokenizer import TokenizerSpec
from edgebci.quantized_decoder import QuantizedDecoder

N_FRAMES, N_TRAIN, N_VALIDATION = 900, 512, 128
DENSE = {"mamba2": ("in_proj", "out_proj"), "s4d": ("out_proj",), "gru": ("ih", "hh")}


@dataclass(frozen=True, eq=False)
class Example:
    """A float decoder, its integers, frames and a target."""

    checkpoint: Checkpoint
    decoder: QuantizedDecoder
    data: DecodingData

    @property
    def spec(self) -> DecoderSpec:
        return self.checkpoint.spec

    @property
    def frames(self) -> F32:
        return self.data.frames

    @property
    def floating(self) -> FloatDecoder:
        return FloatDecoder.of(self.spec, self.checkpoint.parameters)


TOKENIZER = TokenizerSpec(channel_features=2, conv_taps=3, attention_taps=3, activation="gelu", mean_frames=100.0)


def example(
    cell: CellKind, weight_bits: int = 8, readout_lags: int = 0, tokenizer: TokenizerSpec | None = None
) -> Example:
    """A decoder of two layers with random weights, int8 but for the weights of its dense layers."""
    spec = DecoderSpec(
        n_inputs=12,
        output_names=("x", "y"),
        output_unit="cm/s",
        d_model=16,
        d_state=8,
        headdim=16,
        cell=cell,
        readout_lags=readout_lags,
        tokenizer=tokenizer,
    )
    parameters, frames = random_parameters(spec, 9000), random_frames(spec, N_FRAMES, 9001)
    entry = "tokenizer.mix" if tokenizer else "input"
    names = [entry, "readout", *(f"layers.{i}.mixer.{name}" for i in range(2) for name in DENSE[cell])]
    recipe = QuantizationRecipe.model_validate({"widths": dict.fromkeys(names, weight_bits)})
    record = TrainingRecord(recipe={}, data_sha256={}, frame_rate_hz=50.0, epochs_run=1, best_epoch=1, versions={})
    decoder = quantize(spec, parameters, frames[:N_TRAIN], recipe)
    return Example(Checkpoint(spec, parameters, record), decoder, _data(spec, parameters, frames))


def _data(spec: DecoderSpec, parameters: dict[str, F32], frames: F32) -> DecodingData:
    said = FloatDecoder.of(spec, parameters).stream(frames)
    noise: NDArray[np.float64] = np.random.default_rng(9002).standard_normal(said.shape)
    return DecodingData(
        frames=frames,
        targets=(said + 0.5 * said.std(axis=0) * noise).astype(np.float32),
        valid=np.ones(N_FRAMES, bool),
        times_s=np.arange(N_FRAMES) / 50,
        train=((0, N_TRAIN),),
        validation=((N_TRAIN, N_TRAIN + N_VALIDATION),),
        test=((N_TRAIN + N_VALIDATION, N_FRAMES),),
        target_names=("x", "y"),
        target_unit="cm/s",
    )


@pytest.fixture(params=[*CELLS, "tokenizer"])
def any_cell(request: pytest.FixtureRequest) -> Example:
    """One decoder of each cell behind one matrix, and one behind a tokenizer."""
    return example("s4d", tokenizer=TOKENIZER) if request.param == "tokenizer" else example(request.param)
