"""What the readout of a decoder sees, frame by frame: what a new readout can be fitted to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from edgebci.arithmetic import F32
from edgebci.export.step_runner import OnnxStepRunner
from edgebci.integer_decoder import IntegerDecoder
from edgebci.operators.dense import QuantizedDense

_READOUT = "readout"


def quantized_readout_input(decoder: IntegerDecoder, frames: F32, reset_before: NDArray[np.bool_]) -> F32:
    """(T, width) in the readout's own counts times their scale: exactly what its integers are multiplied with."""
    width = decoder.readout.weight.shape[1]
    scale = decoder.readout.act_scale
    identity = QuantizedDense(
        np.eye(width, dtype=np.int8), scale, np.ones(width, np.float32), np.zeros(width, np.float32)
    )
    names = tuple(f"seen_{i}" for i in range(width))
    seeing = replace(decoder, spec=decoder.spec.model_copy(update={"output_names": names}), readout=identity)
    return seeing.stream(frames, reset_before)


def float_readout_input(step: Path, frames: F32, reset_before: NDArray[np.bool_]) -> F32:
    """(T, width) of a float step graph, in ONNX Runtime."""
    model = onnx.load(step)
    readout = next(node for node in model.graph.node if node.name == _READOUT)
    weight = next(c for c in model.graph.initializer if c.name == readout.input[1])
    passed = helper.make_node("Identity", [readout.input[0]], [readout.output[0]], _READOUT)
    place = list(model.graph.node).index(readout)
    model.graph.node.remove(readout)
    model.graph.node.insert(place, passed)
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_value = weight.dims[1]
    return OnnxStepRunner(model).stream(frames, reset_before)
