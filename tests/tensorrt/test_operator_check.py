"""The static check reads every graph as TensorRT's parser would, and says all that it refuses at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgebci.errors import InputError
from edgebci.export.quantized_graph import quantized_step_graph
from edgebci.export.tensorrt.operator_check import require_supported, unsupported
from edgebci.export.tensorrt.operator_table import TABLES
from edgebci.export.tensorrt.typed_graph import typed_step
from edgebci.export.verification import inlined
from tests.graph.conftest import FORMS, step_form
from tests.tensorrt.conftest import Case

TEN, ELEVEN = TABLES


def model_of(
    nodes: list[Any],
    inputs: Mapping[str, Any],
    outputs: Mapping[str, Any],
    constants: Mapping[str, Any] | None = None,
    opset: int = 20,
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "given",
        [helper.make_tensor_value_info(name, *kind) for name, kind in inputs.items()],
        [helper.make_tensor_value_info(name, *kind) for name, kind in outputs.items()],
        [numpy_helper.from_array(values, name) for name, values in (constants or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


FLOAT = (TensorProto.FLOAT, [4])


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("name", FORMS)
def test_every_decoder_in_every_precision_passes_both_tables(name: str, precision: Any) -> None:
    form = step_form(name)
    typed = typed_step(form.float_graph, precision, form.quantized_reference.tensors(), "pad")  # type: ignore[attr-defined]
    assert require_supported(typed.model) == ("10.x", "11.x")


def test_the_exact_integer_step_is_refused_for_its_int16_states(mamba2: Case) -> None:
    faults = unsupported(inlined(quantized_step_graph(mamba2.quantized)), TEN)
    assert "ssm.0 is INT16" in faults
    assert "opset 21, allowed are 9 to 20" in faults
    assert any(fault.startswith("DequantizeLinear at") and "takes INT16" in fault for fault in faults)


def test_all_that_is_not_supported_is_named_at_once() -> None:
    nodes = [
        helper.make_node("Det", ["square"], ["det"], name="first"),
        helper.make_node("Relu", ["x"], ["y"], name="between"),
        helper.make_node("Unique", ["y"], ["few"], name="last"),
    ]
    inputs = {"x": FLOAT, "square": (TensorProto.FLOAT, [2, 2])}
    model = model_of(nodes, inputs, {"det": (TensorProto.FLOAT, []), "few": (TensorProto.FLOAT, ["n"])})
    with pytest.raises(InputError) as refused:
        require_supported(model)
    for fault in ("Det at first is not supported", "Unique at last is not supported", "few has a dynamic shape"):
        assert str(refused.value).count(fault) == 2  # by both tables
    assert "between" not in str(refused.value)


def test_types_are_checked_too() -> None:
    doubles = (TensorProto.DOUBLE, [4])
    model = model_of([helper.make_node("Sigmoid", ["x"], ["y"], name="squash")], {"x": doubles}, {"y": doubles})
    assert unsupported(model, ELEVEN) == (
        "x is DOUBLE",
        "y is DOUBLE",
        "Sigmoid at squash takes DOUBLE, allowed: FP32, FP16, BF16",
    )


def test_indices_and_conditions_are_not_taken_for_data() -> None:
    nodes = [
        helper.make_node("Gather", ["x", "i"], ["picked"], name="pick"),
        helper.make_node("GreaterOrEqual", ["x", "x"], ["mask"], name="compare"),
        helper.make_node("Where", ["mask", "x", "x"], ["chosen"], name="choose"),
    ]
    inputs = {"x": FLOAT, "i": (TensorProto.INT32, [2])}
    model = model_of(nodes, inputs, {"picked": (TensorProto.FLOAT, [2]), "chosen": FLOAT})
    assert unsupported(model, TEN) == ()


def test_axes_that_are_computed_are_refused_where_the_version_refuses_them() -> None:
    nodes = [helper.make_node("Slice", ["x", "from", "to", "along"], ["y"], name="cut")]
    inputs = {"x": FLOAT, "along": (TensorProto.INT64, [1])}
    bounds = {"from": np.asarray([0]), "to": np.asarray([4])}
    model = model_of(nodes, inputs, {"y": FLOAT}, bounds)
    assert unsupported(model, TEN) == ("Slice at cut: its input along must be a constant",)
    assert unsupported(model, ELEVEN) == ()


@pytest.mark.parametrize("zero_point", [0, 3])
def test_zero_points_must_be_zero(zero_point: int) -> None:
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"], name="round"),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"], name="back"),
    ]
    constants = {"scale": np.float32(0.1), "zero": np.int8(zero_point)}
    faults = unsupported(model_of(nodes, {"x": FLOAT}, {"y": FLOAT}, constants), TEN)
    wrong = [f"{node.op_type} at {node.name}: its zero point zero must be a constant zero" for node in nodes]
    assert list(faults) == (wrong if zero_point else [])


def test_operators_with_restrictions_that_are_not_checked_are_refused() -> None:
    nodes = [helper.make_node("TopK", ["x", "k"], ["values", "places"], name="best")]
    outputs = {"values": (TensorProto.FLOAT, [2]), "places": (TensorProto.INT64, [2])}
    faults = unsupported(model_of(nodes, {"x": FLOAT}, outputs, {"k": np.asarray([2])}), TEN)
    assert faults == ("TopK at best: is supported with sorted, fewer than 3,840 only, which is not checked here",)


def test_local_functions_and_foreign_domains_are_refused(mamba2: Case) -> None:
    assert "the local function edgebci.Dense" in unsupported(mamba2.step, TEN)
    foreign = model_of([helper.make_node("Relu", ["x"], ["y"])], {"x": FLOAT}, {"y": FLOAT})
    foreign.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    assert unsupported(foreign, TEN) == ("the domain 'com.microsoft'",)


def test_11_only_adds_to_what_10_takes() -> None:
    assert set(TEN.types) < set(ELEVEN.types)
    for name, types in TEN.types.items():
        assert set(types) <= set(ELEVEN.types[name]), name
