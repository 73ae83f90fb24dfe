"""Decoders whose layers TensorRT would run in int8, small, with their float and exact forms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from edgebci.arithmetic import F32
from edgebci.decoder_float import FloatDecoder
from edgebci.decoder_spec import DecoderSpec
from edgebci.example_decoder import random_frames, random_parameters
from edgebci.export.calibration import QuantizationRecipe
from edgebci.export.quantization import quantize
from edgebci.export.step_graph import float_step_graph
from edgebci.quantized_decoder import QuantizedDecoder
from tests.small_specs import DECODERS, small_decoder

CELLS = ("mamba2", "s4d", "gru", "tokenizer")
CALIBRATION, FRAMES = 500, 300


@dataclass(frozen=True)
class Case:
    """One decoder; frames (T, n_inputs) are those that its scales were not taken from."""

    spec: DecoderSpec
    parameters: dict[str, F32]
    step: onnx.ModelProto
    reference: FloatDecoder
    quantized: QuantizedDecoder
    frames: F32
    resets: NDArray[np.bool_]

    @property
    def integers(self) -> Mapping[str, NDArray[Any]]:
        return self.quantized.tensors()


@cache
def make_case(name: str, smoothing: float = 0.0) -> Case:
    spec = small_decoder(24, d_model=16, headdim=8, **DECODERS[name])
    parameters, frames = random_parameters(spec, 5), random_frames(spec, CALIBRATION + FRAMES, 6)
    recipe = QuantizationRecipe(smoothing=smoothing) if smoothing else QuantizationRecipe()
    quantized = quantize(spec, parameters, frames[:CALIBRATION], recipe)
    resets = np.zeros(FRAMES, bool)
    resets[[0, 170]] = True
    step, reference = float_step_graph(spec, parameters), FloatDecoder.of(spec, parameters)
    return Case(spec, parameters, step, reference, quantized, frames[CALIBRATION:], resets)


@pytest.fixture(params=CELLS)
def case(request: pytest.FixtureRequest) -> Case:
    return make_case(request.param)


@pytest.fixture
def mamba2() -> Case:
    return make_case("mamba2")
