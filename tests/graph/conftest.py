"""Every decoder that the project has, small, as both step graphs with both references."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from edgebci.decoder_float import FloatDecoder
from edgebci.example_decoder import draw_parameters, random_frames, random_parameters
from edgebci.export.calibration import QuantizationRecipe, Width
from edgebci.export.possm_step import float_possm_graph, quantize_possm, quantized_possm_graph
from edgebci.export.quantization import quantize
from edgebci.export.quantized_graph import quantized_step_graph
from edgebci.export.step_graph import float_step_graph
from edgebci.export.stream_comparison import FloatReference, QuantizedReference
from edgebci.operators.token_attention import Tokens
from edgebci.possm_stream import FloatPossmStream
from tests.small_specs import DECODERS, small_decoder, small_spike_decoder

CALIBRATION, FRAMES = 400, 2200
INPUTS, UNITS, STEPS, MOST = 48, 20, 50, 12
MIXED: dict[str, dict[str, Width]] = {
    "mixed mamba2": {"input": 16, "layers.0.mixer.in_proj": 4, "layers.1.mixer.out_proj": 16, "ssm.0": 8},
    "mixed gru": {"layers.0.mixer.ih": 16, "layers.1.mixer.hh": 4, "readout": 4, "hidden.1": 8},
}
"""Weights and states of other widths than int8 and int16; the float form is that of the plain decoder."""
BACKBONES = {"possm gru": "gru", "possm mamba2": "mamba2", "possm s4d": "s4d"}
FORMS = (*DECODERS, *BACKBONES, *MIXED)


@dataclass(frozen=True)
class StepForm:
    """One decoder; `frames` (T, ...) are those that its scales were not taken from."""

    name: str
    float_graph: onnx.ModelProto
    quantized_graph: onnx.ModelProto
    float_reference: FloatReference
    quantized_reference: QuantizedReference
    frames: NDArray[Any]
    states: Mapping[str, tuple[int, ...]]

    @property
    def graphs(self) -> dict[str, onnx.ModelProto]:
        return {"float": self.float_graph, "int8": self.quantized_graph}


@pytest.fixture(scope="session", params=FORMS)
def form(request: pytest.FixtureRequest) -> StepForm:
    """Two layers each."""
    return step_form(request.param)


@pytest.fixture(scope="session", params=[*DECODERS, *BACKBONES])
def float_form(request: pytest.FixtureRequest) -> StepForm:
    """Those that differ as float forms: one of mixed widths has the float form of the plain decoder."""
    return step_form(request.param)


@pytest.fixture(scope="session")
def mamba2() -> StepForm:
    return step_form("mamba2")


@cache
def step_form(name: str) -> StepForm:
    return _possm(name) if name in BACKBONES else _decoder(name)


def _decoder(name: str) -> StepForm:
    spec = small_decoder(INPUTS, **DECODERS[name.removeprefix("mixed ")])
    parameters, frames = random_parameters(spec, 3), random_frames(spec, CALIBRATION + FRAMES, 4)
    decoder = quantize(spec, parameters, frames[:CALIBRATION], QuantizationRecipe(widths=MIXED.get(name, {})))
    graphs = float_step_graph(spec, parameters), quantized_step_graph(decoder)
    reference = FloatDecoder.of(spec, parameters)
    return StepForm(name, *graphs, reference, decoder, frames[CALIBRATION:], spec.state_shapes())


def _possm(name: str) -> StepForm:
    spec = small_spike_decoder(BACKBONES[name], max_tokens=MOST)
    parameters, chunks = draw_parameters(spec.parameter_shapes(), 1), _chunks(CALIBRATION + FRAMES, 2)
    decoder = quantize_possm(spec, parameters, chunks[:CALIBRATION])
    graphs = float_possm_graph(spec, parameters), quantized_possm_graph(decoder)
    reference = FloatPossmStream.of(spec, parameters)
    return StepForm(name, *graphs, reference, decoder, chunks[CALIBRATION:], spec.state_shapes())


def _chunks(n_chunks: int, seed: int) -> Tokens:
    """(n_chunks, MOST, 2): some spikes in most chunks; a chunk without any has the token of row 0."""
    rng = np.random.default_rng(seed)
    chunks = np.zeros((n_chunks, MOST, 2), np.int32)
    chunks[..., 0] = rng.integers(1, UNITS + 1, chunks.shape[:2])
    chunks[..., 1] = np.sort(rng.integers(0, STEPS, chunks.shape[:2]), axis=1)
    absent = np.arange(MOST) >= rng.poisson(6, n_chunks)[:, None]
    chunks[absent] = (-1, 0)
    chunks[absent.all(axis=1), 0] = 0
    return chunks


def copy_of(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def altered(model: onnx.ModelProto, name: str, factor: float) -> onnx.ModelProto:
    """A copy with one initializer multiplied."""
    copy = copy_of(model)
    tensor = next(tensor for tensor in copy.graph.initializer if tensor.name == name)
    values = numpy_helper.to_array(tensor)
    tensor.CopyFrom(numpy_helper.from_array((values * factor).astype(values.dtype), name))
    return copy
