"""The runner of a bundle reads the readout that calibration wrote, in every form, without any package of ours."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from edgebci.export.chunk_graph import chunk_graph
from edgebci.export.half_graph import halved
from edgebci.export.parameter_graph import with_parameters
from edgebci.export.run_decoder import BoundDecoder, DecoderError
from edgebci.export.step_runner import OnnxStepRunner
from edgebci.parameter_block import ParameterBlock
from tests.graph.conftest import StepForm, step_form

FORMS: dict[str, Callable[[StepForm], onnx.ModelProto]] = {
    "float": lambda form: form.float_graph,
    "int8": lambda form: form.quantized_graph,
    "int8 chunk": lambda form: chunk_graph(form.quantized_graph, 4),
}


def calibrated(model: onnx.ModelProto) -> dict[str, NDArray[Any]]:
    """Another readout in the types that a block has: int4 lies in it as int8."""
    rng, tensors = np.random.default_rng(5), {}
    for tensor in model.graph.initializer:
        if tensor.name.startswith("readout."):
            values = numpy_helper.to_array(tensor)
            if values.dtype == np.float32:
                tensors[tensor.name] = np.asarray(values * 1.5 + 0.25, np.float32)
            else:
                tensors[tensor.name] = rng.integers(-7, 8, values.shape).astype(np.int8)
    return tensors


def bundle(folder: Path, model: onnx.ModelProto, tensors: dict[str, NDArray[Any]]) -> Path:
    """What of a bundle the runner looks at."""
    block = ParameterBlock("ab" * 32, {"normalization.mean": np.ones(5, np.float32), **tensors})
    onnx.save(model, folder / "step.onnx")
    (folder / "parameters.bin").write_bytes(block.to_bytes())
    (folder / "manifest.json").write_text(json.dumps({"parameters": block.layout.model_dump()}), encoding="utf-8")
    return folder / "step.onnx"


@pytest.mark.parametrize("name", ["mamba2", "mixed gru"])
@pytest.mark.parametrize("kind", list(FORMS))
def test_the_runner_decodes_with_the_readout_of_the_block(name: str, kind: str, tmp_path: Path) -> None:
    form = step_form(name)
    model, frames = FORMS[kind](form), form.frames[:40]
    tensors = calibrated(model)
    path = bundle(tmp_path, model, tensors)
    step = form.float_graph if kind == "float" else form.quantized_graph
    expected = OnnxStepRunner(with_parameters(step, tensors)).stream(frames)
    assert BoundDecoder(path).stream(frames).tobytes() == expected.tobytes()
    assert expected.tobytes() != OnnxStepRunner(step).stream(frames).tobytes()


def test_the_fp16_form_gets_the_readout_of_the_block_in_fp16(mamba2: Any, tmp_path: Path) -> None:
    tensors = calibrated(mamba2.float_graph)
    path = bundle(tmp_path, halved(mamba2.float_graph), tensors)
    expected = OnnxStepRunner(halved(with_parameters(mamba2.float_graph, tensors))).stream(mamba2.frames[:40])
    assert BoundDecoder(path).stream(mamba2.frames[:40]).tobytes() == expected.tobytes()


def test_a_graph_without_a_block_beside_it_is_run_as_it_is(mamba2: Any, tmp_path: Path) -> None:
    path = bundle(tmp_path, mamba2.float_graph, calibrated(mamba2.float_graph))
    (tmp_path / "manifest.json").write_text(json.dumps({"parameters": None}), encoding="utf-8")
    expected = OnnxStepRunner(mamba2.float_graph).stream(mamba2.frames[:10]).tobytes()
    assert BoundDecoder(path).stream(mamba2.frames[:10]).tobytes() == expected
    (tmp_path / "parameters.bin").unlink()
    assert BoundDecoder(path).stream(mamba2.frames[:10]).tobytes() == expected


def test_the_float_graph_of_an_int8_bundle_keeps_its_readout_and_says_so(mamba2: Any, tmp_path: Path) -> None:
    path = bundle(tmp_path, mamba2.float_graph, calibrated(mamba2.quantized_graph))
    decoder = BoundDecoder(path)
    assert not decoder.calibrated
    assert decoder.stream(mamba2.frames[:10]).tobytes() == OnnxStepRunner(path).stream(mamba2.frames[:10]).tobytes()
    assert BoundDecoder(bundle(tmp_path, mamba2.quantized_graph, calibrated(mamba2.quantized_graph))).calibrated


def test_a_damaged_block_and_one_of_another_decoder_are_refused(mamba2: Any, tmp_path: Path) -> None:
    tensors = calibrated(mamba2.float_graph)
    path = bundle(tmp_path, mamba2.float_graph, tensors)
    content = (tmp_path / "parameters.bin").read_bytes()
    (tmp_path / "parameters.bin").write_bytes(content[:-9] + b"\1" + content[-8:])
    with pytest.raises(DecoderError, match=r"parameters\.bin is damaged: its check sum"):
        BoundDecoder(path)
    bundle(tmp_path, mamba2.float_graph, {**tensors, "readout.bias": np.ones(9, np.float32)})
    with pytest.raises(DecoderError, match=r"has readout\.bias of another size than step\.onnx; calibrate"):
        BoundDecoder(path)
