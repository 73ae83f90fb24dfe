"""The fp16 form halves its dense weights, keeps recurrence and state in float32, and has a tolerance of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from edgebci.decoder_spec import DecoderSpec
from edgebci.errors import InputError, VerificationError
from edgebci.example_decoder import random_parameters
from edgebci.export.half_graph import HALF_OPERATORS, HALF_TOLERANCE, half_step_graph, halved
from edgebci.export.step_graph import float_step_graph
from edgebci.export.stream_comparison import FLOAT_TOLERANCE
from edgebci.export.traceability import CALL, inline, metadata
from edgebci.export.verification import verify_float_reference
from tests.graph.conftest import BACKBONES, StepForm, altered, step_form
from tests.small_specs import DECODERS

RECURRENT = {"Mamba2Step", "S4DStep", "GruStep", "SiluTokenizerStep", "GeluTokenizerStep"}


@pytest.fixture(scope="module", params=[*DECODERS, *BACKBONES])
def form(request: pytest.FixtureRequest) -> StepForm:
    """Without those of mixed widths, whose float form is one of these."""
    return step_form(request.param)


def types_of(model: onnx.ModelProto) -> dict[str, int]:
    """The element type of every value of the inlined graph."""
    flat = onnx.shape_inference.infer_shapes(inline(model), check_type=True, strict_mode=True, data_prop=True)
    values = [*flat.graph.input, *flat.graph.output, *flat.graph.value_info]
    return {value.name: value.type.tensor_type.elem_type for value in values}


def test_the_interface_is_that_of_the_float_step(form: Any) -> None:
    half, step = halved(form.float_graph), form.float_graph
    assert list(half.graph.input) == list(step.graph.input)
    assert list(half.graph.output) == list(step.graph.output)
    assert half.opset_import == step.opset_import


def test_dense_layers_compute_in_fp16_and_what_adds_up_in_float32(form: Any) -> None:
    half = halved(form.float_graph)
    operators, types = {node.name: node.op_type for node in half.graph.node}, types_of(half)
    seen = set()
    for node in inline(half).graph.node:
        operator = operators[metadata(node)[CALL]]
        found = {types[name] for name in node.output} & {TensorProto.FLOAT, TensorProto.FLOAT16}
        if operator != "Cast" and found:
            assert found == {TensorProto.FLOAT16 if operator in HALF_OPERATORS else TensorProto.FLOAT}, node.name
            seen.add(operator)
    assert "Dense" in seen
    assert RECURRENT & seen


def test_the_weights_of_dense_layers_take_half_the_bytes(form: Any) -> None:
    half = halved(form.float_graph)
    stored = {tensor.name: tensor for tensor in half.graph.initializer}
    dense = [node for node in form.float_graph.graph.node if node.op_type == "Dense"]
    assert dense
    for node in dense:
        for name in node.input[1:]:
            assert stored[f"{name}.half"].data_type == TensorProto.FLOAT16
            assert name not in stored


def test_the_fp16_form_follows_the_float_decoder_within_its_tolerance_and_not_within_that_of_float32(form: Any) -> None:
    resets = np.zeros(600, bool)
    resets[[0, 300, 301]] = True
    frames, half = form.frames[:600], halved(form.float_graph)
    found = verify_float_reference(half, form.float_reference, frames, resets, 10, tolerance=HALF_TOLERANCE)
    assert (found.steps, found.tolerance) == (600, HALF_TOLERANCE)
    assert FLOAT_TOLERANCE < max(found.largest_error.values()) < HALF_TOLERANCE / 2
    with pytest.raises(VerificationError, match=r"differs at step \d+ by .* allowed is 0\.0001"):
        verify_float_reference(half, form.float_reference, frames[:100])


def test_a_broken_fp16_form_is_named_by_its_first_tensor_and_step(mamba2: Any) -> None:
    broken = altered(halved(mamba2.float_graph), "layers.1.mixer.A", 1.5)
    with pytest.raises(VerificationError, match=r"ONNX Runtime: ssm\.1\.next differs at step \d+ by"):
        verify_float_reference(broken, mamba2.float_reference, mamba2.frames[:200], tolerance=HALF_TOLERANCE)


def test_the_same_weights_give_the_same_bytes() -> None:
    spec = DecoderSpec(n_inputs=4, output_names=("x",), output_unit="cm/s", d_model=8, d_state=4, headdim=4)
    parameters = random_parameters(spec, 1)
    half = half_step_graph(spec, parameters)
    assert half == halved(float_step_graph(spec, parameters))
    assert half.SerializeToString(deterministic=True) == half_step_graph(spec, parameters).SerializeToString(
        deterministic=True
    )


def test_a_weight_beyond_fp16_is_refused_by_name(mamba2: Any) -> None:
    with pytest.raises(InputError, match=r"readout\.weight has a weight of .*, beyond 65504, .* --precision fp32"):
        halved(altered(mamba2.float_graph, "readout.weight", 1e6))
