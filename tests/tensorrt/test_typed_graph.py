"""The graph for TensorRT: types in the graph, integers of the quantized decoder, and a proof of each layer."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from edgebci.errors import InputError, VerificationError
from edgebci.example_decoder import draw_parameters
from edgebci.export.possm_step import float_possm_graph, quantize_possm
from edgebci.export.precision_check import int8_share
from edgebci.export.step_runner import OnnxStepRunner
from edgebci.export.tensorrt.typed_graph import LEAST, OPSET, TypedStep, share_on_board, typed_step
from edgebci.export.tensorrt.typed_verification import verify_floating, verify_int8_layers
from tests.graph.conftest import step_form
from tests.tensorrt.conftest import Case, make_case

PRECISIONS = ("fp32", "fp16", "int8")
RECURRENT = ("Mamba2Step", "S4DStep", "GruStep", "SiluTokenizerStep")


def int8(case: Case, small: str = "fp16") -> TypedStep:
    return typed_step(case.step, "int8", case.integers, small)  # type: ignore[arg-type]


def types_of(model: onnx.ModelProto) -> dict[str, int]:
    inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    values = [*inferred.graph.input, *inferred.graph.output, *inferred.graph.value_info]
    found = {value.name: value.type.tensor_type.elem_type for value in values}
    return found | {tensor.name: tensor.data_type for tensor in model.graph.initializer}


def decibels(signal: np.ndarray, noise: np.ndarray) -> float:
    return float(10 * np.log10(np.sum(signal**2) / np.sum(noise**2)))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_form_has_the_interface_of_the_step_without_functions(case: Case, precision: str) -> None:
    typed = typed_step(case.step, precision, case.integers).model  # type: ignore[arg-type]
    assert list(typed.graph.input) == list(case.step.graph.input)
    assert list(typed.graph.output) == list(case.step.graph.output)
    assert not typed.functions
    assert [(entry.domain, entry.version) for entry in typed.opset_import] == [("", OPSET)]


def test_int8_layers_stand_between_symmetric_quantizers_in_fp16(case: Case) -> None:
    typed = int8(case)
    model, types = typed.model, types_of(typed.model)
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    nodes = {node.name: node for node in model.graph.node}
    layers = [layer for layer in typed.layers if layer.computes == "int8"]
    assert layers
    for layer in layers:
        quantize, weights = nodes[f"{layer.name}/q"], nodes[f"{layer.name}/weights"]
        assert types[quantize.input[0]] == types[quantize.input[1]] == TensorProto.FLOAT16
        assert types[quantize.output[0]] == types[weights.input[0]] == TensorProto.INT8
        assert constants[quantize.input[1]].shape == ()
        assert constants[weights.input[1]].shape == (layer.outputs,)
        assert not constants[quantize.input[2]].any()
        assert not constants[weights.input[2]].any()
        assert np.array_equal(constants[weights.input[0]], case.integers[f"{layer.name}.weight"].T)
        assert types[nodes[f"{layer.name}/product"].output[0]] == TensorProto.FLOAT16


def test_recurrence_and_states_stay_in_float32(case: Case) -> None:
    model = int8(case).model
    types, operators = types_of(model), {node.name: node.op_type for node in case.step.graph.node}
    for value in (*model.graph.input, *model.graph.output):
        assert types[value.name] == TensorProto.FLOAT
    recurrent = [node for node in model.graph.node if operators.get(node.name.partition("/")[0]) in RECURRENT]
    assert recurrent
    for node in recurrent:
        assert TensorProto.FLOAT16 not in {types[name] for name in (*node.input, *node.output) if name}


def test_layers_with_fewer_than_16_outputs_stay_in_fp16_and_the_record_says_so(case: Case) -> None:
    typed = int8(case)
    readout = next(layer for layer in typed.layers if layer.name == "readout")
    assert (readout.computes, readout.padded_to, readout.reason) == ("fp16", None, "fewer than 16 outputs")
    assert {layer.computes for layer in typed.layers if min(layer.inputs, layer.outputs) >= LEAST} == {"int8"}
    whole = sum(layer.macs for layer in typed.layers)
    assert typed.int8_share == pytest.approx(1 - readout.macs / whole)


def test_or_they_are_padded_with_zeros_and_give_the_same_outputs(case: Case) -> None:
    padded = int8(case, "pad")
    readout = next(layer for layer in padded.layers if layer.name == "readout")
    assert (readout.computes, readout.padded_to) == ("int8", (readout.inputs, 16))
    assert padded.int8_share == 1.0
    q = next(node for node in padded.model.graph.node if node.name == "readout/weights").input[0]
    weight = numpy_helper.to_array(next(tensor for tensor in padded.model.graph.initializer if tensor.name == q))
    assert weight.shape == (readout.inputs, 16)
    assert not weight[:, readout.outputs :].any()
    found = verify_int8_layers(padded, case.integers, case.frames[:60], case.resets[:60])
    assert "readout" in found.layers


def test_by_itself_it_pads_only_where_int8_would_be_less_than_95_percent(mamba2: Case) -> None:
    assert int8(mamba2, "auto").layers == int8(mamba2).layers
    tiny = step_form("mamba2")  # 12 wide: every layer is small
    integers = tiny.quantized_reference.tensors()  # type: ignore[attr-defined]
    assert typed_step(tiny.float_graph, "int8", integers, "fp16").int8_share == 0.0
    assert typed_step(tiny.float_graph, "int8", integers, "auto").int8_share == 1.0


def test_the_share_on_the_board_counts_what_stays_in_fp16_there(mamba2: Case) -> None:
    exact, typed = int8_share(mamba2.quantized), int8(mamba2)
    readout = next(layer for layer in typed.layers if layer.name == "readout")
    assert share_on_board(int8(mamba2, "pad").layers, exact) == pytest.approx(exact.share)
    assert share_on_board(typed.layers, exact) == pytest.approx(exact.share - readout.macs / exact.weight_macs)
    assert share_on_board(typed_step(mamba2.step, "fp16").layers, exact) == 0.0


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_floating_forms_follow_the_decoder_in_float64(case: Case, precision: str) -> None:
    typed = typed_step(case.step, precision)  # type: ignore[arg-type]
    found = verify_floating(typed, case.reference, case.frames, case.resets, precision, 30)  # type: ignore[arg-type]
    assert found.steps == len(case.frames)
    assert max(found.largest_error.values()) < found.tolerance


def test_every_int8_layer_gives_what_integer_sums_give(case: Case) -> None:
    typed = int8(case)
    found = verify_int8_layers(typed, case.integers, case.frames, case.resets)
    assert found.steps == len(case.frames)
    assert list(found.layers) == [layer.name for layer in typed.layers if layer.computes == "int8"]
    assert 0.0 < found.largest_share <= 1.0


def test_int8_decodes_as_well_as_the_exact_integers_do(case: Case) -> None:
    truth = case.reference.stream(case.frames, case.resets)
    ours = OnnxStepRunner(int8(case).model).stream(case.frames, case.resets)
    exact = case.quantized.stream(case.frames, case.resets)
    # States and the readout are finer here than in the exact form, dense layers are the same: 0.1 to 3 dB were seen.
    assert decibels(truth, ours - truth) > decibels(truth, exact - truth) - 1.0
    assert decibels(truth, ours - truth) > 20.0


@pytest.mark.parametrize(
    ("suffix", "factor"), [("int8_weight_scale", 1.05), ("int8_act_scale", 1.05), ("int8_bias", 1.5)]
)
def test_a_wrong_constant_is_named_by_its_layer_and_step(mamba2: Case, suffix: str, factor: float) -> None:
    typed = int8(mamba2)
    tensor = next(one for one in typed.model.graph.initializer if one.name == f"layers.1.mixer.in_proj.{suffix}")
    values = numpy_helper.to_array(tensor)
    values = (values * factor + (0.05 if suffix == "int8_bias" else 0)).astype(values.dtype)
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    with pytest.raises(VerificationError, match=r"int8 layer layers\.1\.mixer\.in_proj differs at step \d+ by"):
        verify_int8_layers(typed, mamba2.integers, mamba2.frames, mamba2.resets)


def test_a_smoothed_decoder_takes_its_norms_along(mamba2: Case) -> None:
    smoothed = make_case("mamba2", smoothing=0.5)
    gamma = "layers.0.norm.weight"
    assert not np.allclose(smoothed.integers[gamma], smoothed.parameters[gamma])
    typed = int8(smoothed)
    held = next(tensor for tensor in typed.model.graph.initializer if tensor.name == gamma)
    assert np.array_equal(numpy_helper.to_array(held), smoothed.integers[gamma])
    # The last norm feeds the readout, which is too small for int8 and keeps its float weights.
    last = next(tensor for tensor in typed.model.graph.initializer if tensor.name == "norm.weight")
    assert np.array_equal(numpy_helper.to_array(last), smoothed.parameters["norm.weight"])
    truth = smoothed.reference.stream(smoothed.frames, smoothed.resets)
    found = OnnxStepRunner(typed.model).stream(smoothed.frames, smoothed.resets)
    assert decibels(truth, found - truth) > 20.0


def test_the_same_weights_give_the_same_bytes(mamba2: Case) -> None:
    first, second = (int8(mamba2).model.SerializeToString(deterministic=True) for _ in range(2))
    assert first == second


def test_int8_without_a_quantized_decoder_is_refused(mamba2: Case) -> None:
    with pytest.raises(InputError, match=r"'int8' without a quantized decoder: allowed are fp32, fp16"):
        typed_step(mamba2.step, "int8")


def test_integers_of_another_decoder_are_refused(mamba2: Case) -> None:
    other = {name: values[:, :-1] if name == "input.weight" else values for name, values in mamba2.integers.items()}
    with pytest.raises(InputError, match=r"input is 16 x 24 in the float decoder and 16 x 23 in the quantized one"):
        typed_step(mamba2.step, "int8", other)


def test_scales_that_fp16_cannot_hold_leave_their_layer_in_fp16(mamba2: Case) -> None:
    tiny = {**mamba2.integers, "input.weight_scale": np.full(16, 1e-6, np.float32)}
    layer = next(one for one in typed_step(mamba2.step, "int8", tiny).layers if one.name == "input")
    assert layer.computes == "fp16"
    assert layer.reason == "its scale 1e-06 is below what fp16 holds"


Spikes = tuple[TypedStep, Mapping[str, np.ndarray], np.ndarray]


@pytest.fixture(scope="module")
def spikes() -> Spikes:
    """A decoder of spikes that looks at enough of them for int8, its integers, and 200 chunks."""
    form = step_form("possm gru")
    spec = form.quantized_reference.spec.model_copy(update={"max_tokens": 20})  # type: ignore[attr-defined]
    chunks = np.full((200, 20, 2), (-1, 0), np.int32)
    chunks[:, : form.frames.shape[1]] = form.frames[:200]
    parameters = draw_parameters(spec.parameter_shapes(), 1)
    integers = quantize_possm(spec, parameters, chunks).tensors()
    return typed_step(float_possm_graph(spec, parameters), "int8", integers), integers, chunks


def test_the_attention_over_spikes_computes_the_counts_of_the_exact_form(spikes: Spikes) -> None:
    typed, integers, chunks = spikes
    tokens = next(layer for layer in typed.layers if layer.name == "tokens.value")
    assert (tokens.computes, tokens.inputs, tokens.outputs) == ("int8", 20, 16)
    found = verify_int8_layers(typed, integers, chunks, np.arange(len(chunks)) == 0)
    assert "tokens.value" in found.layers


def test_a_share_that_is_one_count_off_is_found(spikes: Spikes) -> None:
    typed, integers, chunks = spikes
    share = integers["tokens.share"].copy()
    share[1:100] -= 1
    with pytest.raises(VerificationError, match="the int8 attention over tokens differs at step"):
        verify_int8_layers(typed, {**integers, "tokens.share": share}, chunks, np.arange(len(chunks)) == 0)
