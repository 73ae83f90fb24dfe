"""Every decoder is one step: frame and states in, output and states out, in operators that any runtime has."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx.inliner
import pytest
from onnx import helper

CONTROL_FLOW = {"If", "Loop", "Scan", "SequenceMap"}
PRECISIONS = ("float", "int8")


def nodes_of(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """All of them, those of function bodies included."""
    return [*model.graph.node, *(node for function in model.functions for node in function.node)]


def dimensions(value: onnx.ValueInfoProto) -> list[int | str]:
    return [d.dim_value if d.HasField("dim_value") else d.dim_param for d in value.type.tensor_type.shape.dim]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_step_takes_a_frame_and_states_and_gives_an_output_and_states(form: Any, precision: str) -> None:
    graph = form.graphs[precision].graph
    assert [value.name for value in graph.input] == ["frame", *form.states]
    assert [value.name for value in graph.output] == ["output", *(f"{name}.next" for name in form.states)]
    assert form.states
    for before, after in zip(graph.input[1:], graph.output[1:], strict=True):
        assert before.type == after.type
        assert tuple(dimensions(before)) == form.states[before.name]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_shape_is_static_and_no_control_flow_is_used(form: Any, precision: str) -> None:
    model = form.graphs[precision]
    flat = onnx.shape_inference.infer_shapes(
        onnx.inliner.inline_local_functions(model), check_type=True, strict_mode=True, data_prop=True
    )
    values = [*flat.graph.input, *flat.graph.output, *flat.graph.value_info]
    assert {name for node in flat.graph.node for name in node.output} <= {value.name for value in values}
    for value in values:
        assert value.type.tensor_type.HasField("shape"), value.name
        assert all(isinstance(d, int) and d > 0 for d in dimensions(value)), value.name
    for node in nodes_of(model):
        assert node.op_type not in CONTROL_FLOW
        assert not any(a.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS) for a in node.attribute)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_step_is_opset_21_with_its_fused_blocks_as_functions(form: Any, precision: str) -> None:
    model = form.graphs[precision]
    assert {entry.domain: entry.version for entry in model.opset_import} == {"": 21, "edgebci": 1}
    functions = {function.name: function for function in model.functions}
    assert len(functions) == len(model.functions)
    for function in functions.values():
        assert {entry.domain: entry.version for entry in function.opset_import} == {"": 21}
        assert {node.domain for node in function.node} <= {""}
    called = {node.op_type for node in model.graph.node if node.domain == "edgebci"}
    assert called == functions.keys()
    fused = {"mamba2": "Mamba2Step", "s4d": "S4DStep", "gru": "GruStep", "tokenizer": "SiluTokenizerStep"}
    fused |= {"wide tokenizer": "GeluTokenizerStep"}
    assert fused[form.name.removeprefix("possm ").removeprefix("mixed ")] in called
    if form.name.startswith("mixed") and precision == "int8":
        assert {"DenseInt4", "DenseInt16", "Dense"} <= called
    if form.name.startswith("possm"):
        assert {"TokenAttention", "MemoryAttention", "Stack"} <= called


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_step_opens_as_opset_21_was_released(form: Any, precision: str) -> None:
    model = form.graphs[precision]
    assert model.ir_version == helper.find_min_ir_version_for(list(model.opset_import), ignore_unknown=True) == 10
    known = {schema.name for schema in onnx.defs.get_all_schemas_with_history() if schema.since_version <= 21}
    assert {node.op_type for node in nodes_of(model) if not node.domain} <= known


def test_every_weight_lies_in_the_file_itself(form: Any) -> None:
    for model in form.graphs.values():
        assert all(tensor.data_location == onnx.TensorProto.DEFAULT for tensor in model.graph.initializer)
        assert all(np.prod(tensor.dims, dtype=int) > 0 for tensor in model.graph.initializer)
