"""The exported graphs as files: what is in them, under which names, and that it stays the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.inliner
import pytest
from onnx import numpy_helper

from edgebci.errors import InputError
from edgebci.export.quantized_graph import quantized_step_graph
from edgebci.export.step_graph import float_step_graph
from edgebci.export.step_runner import OnnxStepRunner, session_options

GRAPHS = ("float_graph", "quantized_graph")


def graph_of(forms: Any, name: str) -> onnx.ModelProto:
    model: onnx.ModelProto = getattr(forms, name)
    return model


@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph_passes_the_full_check_whole_and_inlined(forms: Any, name: str) -> None:
    model = graph_of(forms, name)
    onnx.checker.check_model(model, full_check=True)
    flat = onnx.inliner.inline_local_functions(model)
    onnx.checker.check_model(flat, full_check=True)
    assert not flat.functions
    assert {node.domain for node in flat.graph.node} == {""}


@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph_is_opset_21_and_carries_its_functions(forms: Any, name: str) -> None:
    model = graph_of(forms, name)
    assert {entry.domain: entry.version for entry in model.opset_import} == {"": 21, "edgebci": 1}
    assert "Mamba2Step" in {function.name for function in model.functions}
    for function in model.functions:
        assert {entry.domain: entry.version for entry in function.opset_import} == {"": 21}


@pytest.mark.parametrize("name", GRAPHS)
def test_every_node_has_a_name_of_its_own(forms: Any, name: str) -> None:
    model = graph_of(forms, name)
    flat = onnx.inliner.inline_local_functions(model)
    bodies = [model.graph.node, flat.graph.node, *(function.node for function in model.functions)]
    for nodes in bodies:
        names = [node.name for node in nodes]
        assert all(names)
        assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", GRAPHS)
def test_the_interface_is_a_frame_and_the_states(forms: Any, name: str) -> None:
    graph, states = graph_of(forms, name).graph, list(forms.spec.state_shapes())
    assert [value.name for value in graph.input] == ["frame", *states]
    assert [value.name for value in graph.output] == ["output", *(f"{state}.next" for state in states)]
    shapes = [tuple(d.dim_value for d in value.type.tensor_type.shape.dim) for value in graph.input]
    assert shapes == [(forms.spec.n_inputs,), *forms.spec.state_shapes().values()]


def test_the_quantized_top_level_is_one_node_per_call_of_the_device(forms: Any) -> None:
    calls = [node.op_type for node in forms.quantized_graph.graph.node]
    block = ["RmsNormQuantize", "Dense", "Mamba2Step", "RmsNormQuantize", "Dense", "Add"]
    assert calls == ["QuantizeLinear", "Dense", *block * forms.spec.n_layers, "RmsNormQuantize", "Dense"]
    n_inputs = {"QuantizeLinear": 3, "Dense": 5, "RmsNormQuantize": 3, "Mamba2Step": 11, "Add": 2}
    assert {node.op_type: len(node.input) for node in forms.quantized_graph.graph.node} == n_inputs


def test_the_initializers_are_the_tensors_of_the_reference(forms: Any) -> None:
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in forms.quantized_graph.graph.initializer}
    assert stored.pop("zero_point") == 0
    expected = forms.quantized.tensors()
    assert stored.keys() == expected.keys()
    for name, values in expected.items():
        assert (stored[name].dtype, stored[name].shape) == (values.dtype, values.shape)
        assert stored[name].tobytes() == values.tobytes()


def test_the_same_decoder_gives_the_same_bytes(forms: Any) -> None:
    again = float_step_graph(forms.spec, forms.parameters), quantized_step_graph(forms.quantized)
    assert again[0].SerializeToString() == forms.float_graph.SerializeToString()
    assert again[1].SerializeToString() == forms.quantized_graph.SerializeToString()


def test_sessions_ask_for_exact_integer_products() -> None:
    assert session_options().get_session_config_entry("session.x64quantprecision") == "1"


def test_sums_of_the_largest_products_do_not_saturate_in_the_runtime(forms: Any) -> None:
    # All weights and all inputs at the end of their range: pairs of products overflow 16 bits, which ONNX Runtime
    # without x64quantprecision saturates on CPUs that lack VNNI.
    tensors = forms.quantized.tensors()
    tensors["input.weight"] = np.full_like(tensors["input.weight"], 127)
    decoder = type(forms.quantized).from_tensors(forms.spec, tensors)
    frame = np.full((1, forms.spec.n_inputs), 1e6, np.float32)
    found = OnnxStepRunner(quantized_step_graph(decoder)).stream(frame)
    np.testing.assert_allclose(found, decoder.stream(frame), rtol=1e-5)


def test_a_runner_with_resets_is_a_fresh_runner_on_each_part(forms: Any) -> None:
    runner = OnnxStepRunner(forms.quantized_graph)
    frames, resets = forms.frames[:90], np.zeros(90, bool)
    resets[[30, 70]] = True
    parts = [runner.stream(part) for part in np.split(frames, [30, 70])]
    assert runner.stream(frames, resets).tobytes() == np.concatenate(parts).tobytes()


def test_a_file_that_is_no_graph_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"no graph")
    with pytest.raises(InputError, match=r"cannot open .*broken\.onnx .*export the decoder again"):
        OnnxStepRunner(tmp_path / "broken.onnx")
    with pytest.raises(InputError, match=r"no file .*absent\.onnx"):
        OnnxStepRunner(tmp_path / "absent.onnx")
