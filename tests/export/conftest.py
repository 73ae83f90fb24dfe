"""One small decoder in every form, shared by the tests of the export."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
import pytest

from edgebci.arithmetic import F32
from edgebci.decoder_spec import DecoderSpec
from edgebci.example_decoder import random_frames, random_parameters
from edgebci.export.quantization import quantize
from edgebci.export.quantized_graph import quantized_step_graph
from edgebci.export.step_graph import float_step_graph
from edgebci.quantized_decoder import QuantizedDecoder


@dataclass(frozen=True)
class Forms:
    """A decoder with frames that it was not calibrated on."""

    spec: DecoderSpec
    parameters: dict[str, F32]
    calibration: F32
    frames: F32
    reset_before: np.ndarray[tuple[int], np.dtype[np.bool_]]
    float_graph: onnx.ModelProto
    quantized: QuantizedDecoder
    quantized_graph: onnx.ModelProto


@pytest.fixture(scope="session")
def forms() -> Forms:
    """Two layers, 12 inputs, 900 frames with two resets."""
    spec = DecoderSpec(
        n_inputs=12, output_names=("x", "y"), output_unit="cm/s", d_model=16, n_layers=2, d_state=8, headdim=8
    )
    parameters, frames = random_parameters(spec, 1), random_frames(spec, 1900, 2)
    quantized = quantize(spec, parameters, frames[:1000])
    resets = np.zeros(900, bool)
    resets[[0, 300, 301]] = True
    graphs = float_step_graph(spec, parameters), quantized_step_graph(quantized)
    return Forms(spec, parameters, frames[:1000], frames[1000:], resets, graphs[0], quantized, graphs[1])
