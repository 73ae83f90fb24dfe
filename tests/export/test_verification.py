"""Verification accepts what agrees, and names the first tensor and step of what does not."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgebci.decoder_spec import DecoderSpec
from edgebci.errors import VerificationError
from edgebci.example_decoder import random_frames, random_parameters
from edgebci.export.quantization import quantize
from edgebci.export.quantized_graph import quantized_step_graph
from edgebci.export.step_graph import float_step_graph
from edgebci.export.stream_comparison import FLOAT_TOLERANCE
from edgebci.export.verification import verify_float, verify_quantized


def altered(model: onnx.ModelProto, name: str, factor: float) -> onnx.ModelProto:
    """A copy with one initializer multiplied."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    tensor = next(tensor for tensor in copy.graph.initializer if tensor.name == name)
    values = numpy_helper.to_array(tensor)
    tensor.CopyFrom(numpy_helper.from_array((values * factor).astype(values.dtype), name))
    return copy


def test_the_float_graph_agrees_in_every_implementation(forms: Any) -> None:
    found = verify_float(
        forms.float_graph, forms.spec, forms.parameters, forms.frames, forms.reset_before, evaluator_steps=310
    )
    assert (found.steps, found.evaluator_steps) == (900, 310)
    assert set(found.largest_error) == {"ONNX Runtime", "ONNX Runtime, inlined", "reference evaluator"}
    # Ten times tighter than what is allowed: float32 rounds at 6e-8 and some hundred roundings add up.
    assert max(found.largest_error.values()) < FLOAT_TOLERANCE / 10


@pytest.mark.parametrize(
    ("weight", "tensor"),
    [
        ("layers.0.mixer.in_proj.weight", "conv.0.next"),
        ("layers.0.mixer.A", "ssm.0.next"),
        ("layers.0.mixer.out_proj.weight", "conv.1.next"),
        ("readout.weight", "output"),
    ],
)
def test_a_wrong_weight_of_the_float_graph_is_named_by_the_first_tensor_it_reaches(
    forms: Any, weight: str, tensor: str
) -> None:
    wrong = altered(forms.float_graph, weight, 1.01)
    # A shows only once there is a state that decays.
    with pytest.raises(VerificationError, match=rf"ONNX Runtime: {tensor} differs at step \d "):
        verify_float(wrong, forms.spec, forms.parameters, forms.frames[:20])


def test_each_quantizer_of_the_int8_graph_agrees_within_an_lsb(forms: Any) -> None:
    found = verify_quantized(forms.quantized_graph, forms.quantized, forms.frames, forms.reset_before)
    names = ["frame_q"]
    for i in range(2):
        names += [f"layers.{i}.norm_q", f"conv.{i}.next", f"ssm.{i}.next", f"layers.{i}.gated_q"]
    assert [quantizer.name for quantizer in found.each_quantizer] == [*names, "norm_q"]
    assert [quantizer.name for quantizer in found.whole_step] == [*names, "norm_q"]
    sizes = [12, *([16, 48, 256, 32] * 2), 16]
    assert [quantizer.elements for quantizer in found.each_quantizer] == [900 * size for size in sizes]
    assert max(quantizer.largest_lsb for quantizer in found.each_quantizer) <= 1
    assert max(quantizer.share for quantizer in found.each_quantizer) <= 1e-3
    assert max(map(abs, found.free_running_r2_difference)) <= 1e-3


@pytest.mark.parametrize(
    ("weight", "tensor"),
    [
        ("input.act_scale", "frame_q"),
        ("layers.0.norm.weight", "layers.0.norm_q"),
        ("layers.1.mixer.in_proj.weight_scale", "conv.1.next"),
        ("layers.1.mixer.A", "ssm.1.next"),
        ("layers.1.mixer.D", "layers.1.gated_q"),
    ],
)
def test_a_wrong_tensor_of_the_int8_graph_is_named_by_the_first_quantizer_it_reaches(
    forms: Any, weight: str, tensor: str
) -> None:
    wrong = altered(forms.quantized_graph, weight, 1.3)
    with pytest.raises(VerificationError, match=rf"ONNX Runtime: {tensor} differs at step \d by \d+ LSB"):
        verify_quantized(wrong, forms.quantized, forms.frames[:40])


@pytest.mark.parametrize(
    "sizes",
    [
        {"d_model": 4, "n_layers": 1, "d_state": 4, "headdim": 8, "d_conv": 2},  # one head, shortest convolution
        {"d_model": 8, "n_layers": 3, "d_state": 4, "headdim": 1, "d_conv": 8},  # a head per channel, longest
        {"d_model": 12, "n_layers": 1, "d_state": 20, "headdim": 4, "expand": 1},
        {"d_model": 8, "n_layers": 1, "d_state": 4, "headdim": 8, "norm_epsilon": 0.3},
    ],
)
def test_decoders_of_any_size_agree(sizes: dict[str, Any]) -> None:
    spec = DecoderSpec(n_inputs=5, output_names=("speed",), output_unit="cm/s", **sizes)
    parameters, frames = random_parameters(spec, 3), random_frames(spec, 200, 4)
    quantized = quantize(spec, parameters, frames[:100])
    floating = verify_float(float_step_graph(spec, parameters), spec, parameters, frames[100:], evaluator_steps=5)
    integers = verify_quantized(quantized_step_graph(quantized), quantized, frames[100:])
    assert floating.steps == integers.steps == 100
    assert len(integers.each_quantizer) == 2 + 4 * spec.n_layers


def test_many_differences_of_one_lsb_are_too_many(forms: Any) -> None:
    wrong = altered(forms.quantized_graph, "input.act_scale", 1.003)
    with pytest.raises(VerificationError, match=r"\d+ of 1200 elements of frame_q differ .* first at step \d"):
        verify_quantized(wrong, forms.quantized, forms.frames[:100])


def test_a_wrong_readout_shows_in_r2(forms: Any) -> None:
    wrong = altered(forms.quantized_graph, "readout.weight_scale", 1.1)
    with pytest.raises(VerificationError, match="R2 of x differs"):
        verify_quantized(wrong, forms.quantized, forms.frames[:200])


def test_r2_is_compared_on_the_scored_frames_against_the_truth(forms: Any) -> None:
    frames = forms.frames[:200]
    reference = forms.quantized.stream(frames).astype(np.float64)
    truth, scored = reference + np.random.default_rng(0).standard_normal(reference.shape), np.arange(200) >= 50
    truth[:50] = np.nan
    found = verify_quantized(forms.quantized_graph, forms.quantized, frames, truth=truth, scored=scored)
    assert max(map(abs, found.free_running_r2_difference)) <= 1e-3
