"""Whatever is wrong with a model that someone else made is one sentence, said before it runs."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnx.external_data_helper import convert_model_to_external_data

from edgebci.errors import InputError
from edgebci.export.foreign.lowering import lower
from edgebci.export.foreign.reading import LARGEST_BYTES, read_model
from tests.foreign.conftest import gru_model, model, weights

Save = Callable[[onnx.ModelProto], Path]


def chain(*operators: str, **shapes: tuple[object, ...]) -> onnx.ModelProto:
    """x through one operator after another."""
    names = ["x", *(f"t{i}" for i in range(len(operators) - 1)), "y"]
    nodes = [
        helper.make_node(operator, [names[i]], [names[i + 1]], name=f"{operator.lower()}_{i}")
        for i, operator in enumerate(operators)
    ]
    return model(nodes, {"x": shapes.get("x", (1, 4))}, {"y": shapes.get("y", (1, 4))}, {})


def external(path: Path) -> onnx.ModelProto:
    """The GRU with its weights in weights.bin beside it."""
    made = gru_model()
    convert_model_to_external_data(made, location="weights.bin", size_threshold=0)
    onnx.save(made, path)
    return onnx.load(str(path), load_external_data=False)


def relocated(path: Path, location: str) -> Path:
    """A model whose first weight claims to lie elsewhere."""
    made = external(path)
    for entry in made.graph.initializer[0].external_data:
        if entry.key == "location":
            entry.value = location
    path.write_bytes(made.SerializeToString())
    return path


def test_a_sound_model_is_read(save: Save) -> None:
    assert [node.op_type for node in read_model(save(gru_model())).graph.node][1] == "GRU"


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no file .*absent\.onnx; give an ONNX model"):
        read_model(tmp_path / "absent.onnx")


@pytest.mark.parametrize("content", [b"", b"no model at all", b"\x08\x08\x12"])
def test_a_file_that_is_no_model_or_cut_short(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(InputError, match=r"is not an ONNX file or is cut short|holds no ONNX graph"):
        read_model(tmp_path / "m.onnx")


def test_half_a_model(save: Save) -> None:
    path = save(gru_model())
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(InputError, match="is not an ONNX file or is cut short"):
        read_model(path)


def test_a_model_of_3_gb_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with (tmp_path / "m.onnx").open("wb") as file:
        file.truncate(3_000_000_000)  # a hole: nothing is written to the disk, and reading it would take 3 GB
    with pytest.raises(InputError, match=r"has 3\.0 GB, a decoder for an implant has at most 1\.1 GB"):
        read_model(tmp_path / "m.onnx")


def test_external_data_count_too(tmp_path: Path) -> None:
    external(tmp_path / "m.onnx")
    os.truncate(tmp_path / "weights.bin", LARGEST_BYTES)
    with pytest.raises(InputError, match=r"m\.onnx has 1\.1 GB"):
        read_model(tmp_path / "m.onnx")


def test_external_data_are_read(tmp_path: Path) -> None:
    external(tmp_path / "m.onnx")
    found, whole = read_model(tmp_path / "m.onnx"), gru_model()
    arrays = [[numpy_helper.to_array(tensor) for tensor in one.graph.initializer] for one in (found, whole)]
    assert all(np.array_equal(a, b) for a, b in zip(*arrays, strict=True))


def test_external_data_that_are_missing(tmp_path: Path) -> None:
    external(tmp_path / "m.onnx")
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(InputError, match=r"its external data file 'weights\.bin' \(of 'W'\) is missing"):
        read_model(tmp_path / "m.onnx")


def test_external_data_that_are_cut_short(tmp_path: Path) -> None:
    external(tmp_path / "m.onnx")
    os.truncate(tmp_path / "weights.bin", 100)
    with pytest.raises(InputError, match=r"'weights\.bin' has 100 bytes where 'W' needs 576"):
        read_model(tmp_path / "m.onnx")


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/hostname", "", ".", "a/../../secret.bin"])
def test_a_path_out_of_the_models_folder(tmp_path: Path, location: str) -> None:
    (tmp_path / "secret.bin").write_bytes(bytes(10_000))
    (tmp_path / "model").mkdir()
    path = relocated(tmp_path / "model" / "m.onnx", location)
    with pytest.raises(InputError, match="allowed are files inside the model's folder"):
        read_model(path)


def test_a_link_out_of_the_models_folder(tmp_path: Path) -> None:
    (tmp_path / "secret.bin").write_bytes(bytes(10_000))
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "link.bin").symlink_to(tmp_path / "secret.bin")
    path = relocated(tmp_path / "model" / "m.onnx", "link.bin")
    with pytest.raises(InputError, match="allowed are files inside the model's folder"):
        read_model(path)


def test_dynamic_shapes_are_all_named_with_the_way_out(save: Save) -> None:
    made = chain("Relu", "Tanh", x=("batch", "time", 4), y=("batch", "time", 4))
    with pytest.raises(InputError, match=r"dynamic shapes: x \(batch, time, 4\); .*make_dynamic_shape_fixed"):
        read_model(save(made))


@pytest.mark.parametrize(("opset", "shown"), [(11, "opset 11"), (27, "opset 27")])
def test_an_opset_that_is_too_old_or_too_new(save: Save, opset: int, shown: str) -> None:
    made = chain("Relu")
    made.opset_import[0].version = opset
    with pytest.raises(InputError, match=f"has {shown}, allowed are opsets 13 to 26; export it with opset 21"):
        read_model(save(made))


def test_what_the_checker_says_is_one_sentence(save: Save) -> None:
    made = chain("Relu", "Tanh")
    made.graph.node[1].input[0] = "nowhere"
    with pytest.raises(InputError, match=r"is not valid ONNX: [^\n]*; export the model again$"):
        read_model(save(made))


def test_inputs_that_are_not_float32(save: Save) -> None:
    made = chain("Abs")
    for value in (made.graph.input[0], made.graph.output[0]):
        value.type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
    with pytest.raises(InputError, match=r"the inputs x \(DOUBLE\) are not float32"):
        read_model(save(made))


def test_a_tensor_that_would_fill_the_memory(save: Save) -> None:
    nodes = [
        helper.make_node("Expand", ["k", "shape"], ["huge"], name="expand"),
        helper.make_node("ReduceSum", ["huge"], ["total"], name="sum", keepdims=0),
        helper.make_node("Add", ["x", "total"], ["y"], name="add"),
    ]
    constants = {"k": np.ones(1, np.float32), "shape": np.array([100_000, 100_000])}
    with pytest.raises(InputError, match="the tensor 'huge' has 10,000,000,000 values"):
        read_model(save(model(nodes, {"x": (1, 4)}, {"y": (1, 4)}, constants)))


def test_a_place_in_external_data_that_is_no_number(tmp_path: Path) -> None:
    made = external(tmp_path / "m.onnx")
    next(e for e in made.graph.initializer[0].external_data if e.key == "offset").value = "first"
    (tmp_path / "m.onnx").write_bytes(made.SerializeToString())
    with pytest.raises(InputError, match="the place of the data of 'W' is 'first', allowed is a number"):
        read_model(tmp_path / "m.onnx")


def test_weights_that_are_nan(save: Save) -> None:
    made = gru_model()
    broken = numpy_helper.to_array(made.graph.initializer[0]).copy()
    broken[0, 0, 0] = np.nan
    made.graph.initializer[0].CopyFrom(numpy_helper.from_array(broken, "W"))
    with pytest.raises(InputError, match="the weight 'W' holds NaN"):
        read_model(save(made))


def test_all_unsupported_operators_are_listed_with_where_they_occur(save: Save) -> None:
    made = chain("Relu", "Sin", "Tanh", "Asin", "Acos")
    with pytest.raises(InputError) as caught:
        lower(read_model(save(made)), {}, "m.onnx")
    text = str(caught.value)
    assert text.startswith(
        "3 of 5 nodes of m.onnx cannot be translated: 'sin_1' (Sin); 'asin_3' (Asin); 'acos_4' (Acos)"
    )
    assert "supported are Abs, Add, And" in text


def test_control_flow_and_other_domains_are_listed_too() -> None:
    body = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["z"])], "b", [], [helper.make_empty_tensor_value_info("z")]
    )
    nodes = [
        helper.make_node("If", ["flag"], ["t"], name="choice", then_branch=body, else_branch=body),
        helper.make_node("FastGelu", ["t"], ["y"], name="fast", domain="com.microsoft"),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, (1, 4))],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, (1, 4))],
        [numpy_helper.from_array(np.array(True), "flag")],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    with pytest.raises(InputError, match=r"2 of 2 nodes .*'choice' \(If\); 'fast' \(com\.microsoft\.FastGelu\)"):
        lower(helper.make_model(graph, opset_imports=opsets), {})


def test_a_node_without_a_name_is_named_by_what_it_gives() -> None:
    made = chain("Sin")
    made.graph.node[0].ClearField("name")
    with pytest.raises(InputError, match=r"the node of 'y' \(Sin\)"):
        lower(made, {})


def test_a_weight_that_is_computed_from_frames_is_refused_with_the_reason() -> None:
    constants = weights(1, B=(3, 4, 2))
    nodes = [
        helper.make_node("Relu", ["w"], ["kernel"], name="relu"),
        helper.make_node("Conv", ["x", "kernel"], ["y"], name="conv"),
    ]
    made = model(nodes, {"x": (1, 4, 2), "w": (3, 4, 2)}, {"y": (1, 3, 1)}, constants)
    with pytest.raises(InputError, match=r"'conv' \(Conv: its weight is computed, allowed is a constant\)"):
        lower(made, {})


def test_what_is_known_beforehand_is_computed_beforehand() -> None:
    """Operators that have no translation of their own are fine there."""
    nodes = [
        helper.make_node("Sin", ["k"], ["s"], name="sin"),
        helper.make_node("Mul", ["x", "s"], ["y"], name="scaled"),
    ]
    made = model(nodes, {"x": (1, 4)}, {"y": (1, 4)}, {"k": np.arange(4, dtype=np.float32)})
    graph = lower(made, {})
    assert [node.operator for node in graph.nodes] == ["multiply", "copy"]
