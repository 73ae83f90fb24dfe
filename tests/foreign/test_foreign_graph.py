"""What the flat graph makes of a model: ports side by side, no nodes for what only moves values, nothing unused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from edgebci.arithmetic import F32
from edgebci.errors import InputError
from edgebci.export.foreign.c_program import generate_foreign_program
from edgebci.export.foreign.lowering import lower
from edgebci.export.foreign.quantizing import quantize_foreign
from edgebci.export.foreign.states import find_states
from edgebci.export.foreign.writing import foreign_onnx
from edgebci.export.step_runner import OnnxStepRunner, open_session, runtime_step
from edgebci.firmware_sim.foreign_program import as_counts, compile_foreign_host
from edgebci.foreign.decoder import ForeignDecoder
from edgebci.foreign.functions import FUNCTIONS, dense, erf, fold_sum, power
from tests.foreign.conftest import frames, gru_model, model, weights


def two_ports() -> onnx.ModelProto:
    """a (1, 3) and b (2,) to sum (1, 3) and click (1,), with a state under a name that the project uses otherwise."""
    nodes = [
        helper.make_node("ReduceSum", ["b"], ["s"], keepdims=0),
        helper.make_node("Add", ["a", "s"], ["moved"]),
        helper.make_node("Add", ["moved", "conv.0"], ["conv.0.next"]),
        helper.make_node("Identity", ["conv.0.next"], ["sum"]),
        helper.make_node("ReduceMax", ["sum"], ["m"], keepdims=0),
        helper.make_node("Reshape", ["m", "one"], ["click"]),
    ]
    return model(
        nodes,
        {"a": (1, 3), "b": (2,), "conv.0": (1, 3)},
        {"sum": (1, 3), "click": (1,), "conv.0.next": (1, 3)},
        {"one": np.array([1])},
    )


def test_several_inputs_and_outputs_lie_side_by_side(tmp_path: Path) -> None:
    graph = lower(two_ports(), {"conv.0": "conv.0.next"})
    assert (graph.n_inputs, graph.n_outputs) == (5, 4)
    assert graph.output_names == ("sum.0", "sum.1", "sum.2", "click")
    frames = np.array([[1, 2, 3, 10, 20], [0, 0, 1, 1, 0]], np.float32)
    expected = np.array([[31, 32, 33, 33], [32, 33, 35, 35]], np.float32)
    assert ForeignDecoder(graph).stream(frames).tolist() == expected.tolist()
    generate_foreign_program(graph, tmp_path / "c")
    twin = compile_foreign_host(tmp_path / "c", tmp_path / "host.so", "gcc", "1")
    assert twin.run(as_counts(frames)).outputs.tolist() == expected.tolist()
    header = (tmp_path / "c" / "decoder.h").read_text()
    assert "input b [2]: frame[3] to frame[4]" in header
    assert "output click [1]: values[3] to values[3]" in header


def test_what_only_moves_values_needs_no_nodes() -> None:
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0]),
        helper.make_node("Reshape", ["t", "shape"], ["r"]),
        helper.make_node("Split", ["r"], ["first", "second"], axis=0),
        helper.make_node("Gather", ["second", "picked"], ["g"], axis=1),
        helper.make_node("Unsqueeze", ["g", "axis"], ["u"]),
        helper.make_node("Relu", ["u"], ["y"]),
    ]
    constants = {"shape": np.array([2, 4]), "picked": np.array([3, 0, 0]), "axis": np.array([0])}
    made = model(nodes, {"x": (2, 4)}, {"y": (1, 1, 3)}, constants)
    graph = lower(made, {})
    assert [node.operator for node in graph.nodes] == ["relu", "copy"]
    x = np.arange(8, dtype=np.float32)
    expected = runtime_step(open_session(made))({"x": x.reshape(2, 4)})["y"].ravel()
    assert ForeignDecoder(graph).stream(x[None])[0].tolist() == expected.tolist()


def test_what_nobody_reads_is_left_out() -> None:
    nodes = [helper.make_node("Exp", ["x"], ["unused"]), helper.make_node("Relu", ["x"], ["y"])]
    graph = lower(model(nodes, {"x": (1, 4)}, {"y": (1, 4)}, {}), {})
    assert {node.operator for node in graph.nodes} == {"relu", "copy"}


@pytest.mark.parametrize("operator", ["Add", "Sub", "Mul", "Div"])
@pytest.mark.parametrize("swapped", [False, True])
def test_constants_behind_a_dense_layer_are_folded_only_where_they_may(operator: str, swapped: bool) -> None:
    constants: dict[str, NDArray[Any]] = {**weights(1, W=(4, 3)), "c": np.array([1, 2, 4], np.float32)}
    inputs = ["c", "m"] if swapped else ["m", "c"]
    nodes = [helper.make_node("MatMul", ["x", "W"], ["m"]), helper.make_node(operator, inputs, ["y"])]
    made = model(nodes, {"x": (2, 4)}, {"y": (2, 3)}, constants)
    graph, x = lower(made, {}), np.random.default_rng(0).normal(size=(1, 8)).astype(np.float32)
    foldable = operator in ("Add", "Mul") or not swapped
    assert (len(graph.nodes) == 2) is foldable
    expected = runtime_step(open_session(made))({"x": x.reshape(2, 4)})["y"].ravel()
    # Folding rounds a weight or a bias once more: two roundings of 6e-8.
    np.testing.assert_allclose(ForeignDecoder(graph).stream(x)[0], expected, rtol=1e-6, atol=1e-6)


def test_a_dense_layer_that_two_nodes_read_is_left_alone() -> None:
    constants: dict[str, NDArray[Any]] = {**weights(1, W=(4, 3)), "c": np.array([1, 2, 4], np.float32)}
    nodes = [
        helper.make_node("MatMul", ["x", "W"], ["m"]),
        helper.make_node("Add", ["m", "c"], ["a"]),
        helper.make_node("Mul", ["m", "a"], ["y"]),
    ]
    graph = lower(model(nodes, {"x": (1, 4)}, {"y": (1, 3)}, constants), {})
    assert [node.operator for node in graph.nodes] == ["dense", "add", "multiply", "copy"]


def test_a_constant_that_differs_by_position_is_no_bias() -> None:
    constants: dict[str, NDArray[Any]] = {**weights(1, W=(4, 3)), "c": np.arange(6, dtype=np.float32).reshape(2, 3)}
    nodes = [helper.make_node("MatMul", ["x", "W"], ["m"]), helper.make_node("Add", ["m", "c"], ["y"])]
    graph = lower(model(nodes, {"x": (2, 4)}, {"y": (2, 3)}, constants), {})
    assert [node.operator for node in graph.nodes] == ["dense", "add", "copy"]


def test_a_cast_to_truth_and_back_is_0_and_1() -> None:
    nodes = [
        helper.make_node("Cast", ["x"], ["b"], to=TensorProto.BOOL),
        helper.make_node("Cast", ["b"], ["y"], to=TensorProto.FLOAT),
    ]
    graph = lower(model(nodes, {"x": (1, 4)}, {"y": (1, 4)}, {}), {})
    found = ForeignDecoder(graph).stream(np.array([[0, -3, 0.5, -0.0]], np.float32))
    assert found.tolist() == [[0, 1, 1, 0]]


def test_a_cast_to_integers_is_refused() -> None:
    nodes = [
        helper.make_node("Cast", ["x"], ["i"], name="to_int", to=TensorProto.INT32),
        helper.make_node("Cast", ["i"], ["y"], name="back", to=TensorProto.FLOAT),
    ]
    with pytest.raises(InputError, match=r"1 of 2 nodes .* 'to_int' \(Cast: it makes another type than float32"):
        lower(model(nodes, {"x": (1, 4)}, {"y": (1, 4)}, {}), {})


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 8, 11])
def test_sums_go_in_lanes_of_four(n: int) -> None:
    x = np.random.default_rng(n).normal(size=n).astype(np.float32) * np.float32(1e4)
    lanes = [np.float32(0)] * 4
    for i, value in enumerate(x):
        lanes[i % 4] = np.float32(lanes[i % 4] + value)
    expected = (lanes[0] + lanes[1]) + (lanes[2] + lanes[3])
    assert fold_sum(x[None])[0] == expected
    assert dense(x[None, None], np.ones((1, 1, n), np.float32), np.zeros((1, 1), np.float32)).item() == expected


def test_the_error_function_and_powers_are_near_the_exact_ones() -> None:
    from math import erf as exact

    x: F32 = np.linspace(-6, 6, 2001, dtype=np.float32)
    # 1.5e-7 of Abramowitz and Stegun's formula, doubled, and a rounding.
    assert np.abs(erf(x) - [exact(float(v)) for v in x]).max() < 5e-7
    base: F32 = np.linspace(0.1, 9, 500).astype(np.float32)
    # log within 2 ulp of its value, times 2.5 in the exponent.
    exponents = np.full(500, 2.5, np.float32)
    np.testing.assert_allclose(power(base, exponents), base.astype(np.float64) ** 2.5, rtol=2e-6)


def test_every_function_has_its_twin_in_c() -> None:
    import edgebci.export as package

    header = (Path(package.__path__[0]) / "kernels" / "edgebci_foreign.h").read_text()
    assert {name for name in FUNCTIONS if f"float edgebci_foreign_{name}(" not in header} == set()


def test_names_that_would_break_the_c_do_not(tmp_path: Path) -> None:
    made = gru_model()
    hostile = {"x": 'in*/put"é', "h": 'h"\n*/', "h_out": "h\\/*next", "velocity": "v\n#error"}
    for node in made.graph.node:
        node.name = f'{node.name}"*/ \n#error /*'
        node.input[:] = [hostile.get(name, name) for name in node.input]
        node.output[:] = [hostile.get(name, name) for name in node.output]
    for value in (*made.graph.input, *made.graph.output):
        value.name = hostile.get(value.name, value.name)
    graph = lower(made, {hostile["h"]: hostile["h_out"]})
    generate_foreign_program(graph, tmp_path / "c")
    twin = compile_foreign_host(tmp_path / "c", tmp_path / "host.so", "gcc", "1")
    seen = frames(20)
    expected, states = ForeignDecoder(graph).run(seen, ForeignDecoder(graph).initial_states())
    assert twin.run(as_counts(seen)).outputs.tobytes() == expected.tobytes()
    assert [twin.state(name).tobytes() for name in states] == [state.tobytes() for state in states.values()]


def test_states_whose_names_would_fall_together_are_refused() -> None:
    nodes = [helper.make_node("Add", ["x", name], [output]) for name, output in (("a b", "p"), ("a+b", "q"))]
    made = model(
        [*nodes, helper.make_node("Add", ["p", "q"], ["y"])],
        {"x": (1, 2), "a b": (1, 2), "a+b": (1, 2)},
        {"y": (1, 2), "p": (1, 2), "q": (1, 2)},
        {},
    )
    with pytest.raises(InputError, match="two states would be called a_b"):
        lower(made, {"a b": "p", "a+b": "q"})


def test_layers_of_one_weight_and_states_of_odd_names_are_kept_apart() -> None:
    """A weight of one value is kept as the constant that it equals; the graph has constants `one` and `zero_point`."""
    nodes = [
        helper.make_node("Mul", ["x", "half"], ["m"]),
        helper.make_node("MatMul", ["m", "W"], ["d"]),
        helper.make_node("Add", ["d", "one"], ["one_out"]),
        helper.make_node("Relu", ["one_out"], ["y"]),
    ]
    constants = {"half": np.asarray(0.5, np.float32), "W": np.full((1, 1), 0.5, np.float32)}
    made = model(nodes, {"x": (1, 1), "one": (1, 1)}, {"y": (1, 1), "one_out": (1, 1)}, constants)
    graph = lower(made, find_states(made))
    seen = np.array([[4], [8], [-40]] * 20, np.float32)
    expected = ForeignDecoder(graph).stream(seen)
    assert expected[:3].ravel().tolist() == [1, 3, 0]
    assert OnnxStepRunner(foreign_onnx(graph)).stream(seen).tolist() == expected.tolist()
    quantized = quantize_foreign(graph, seen)
    found = OnnxStepRunner(foreign_onnx(quantized.graph)).stream(seen)
    assert found.tobytes() == quantized.stream(seen).tobytes()


def test_nothing_of_the_program_is_static_or_allocated(tmp_path: Path) -> None:
    generate_foreign_program(lower(gru_model(), {"h": "h_out"}), tmp_path)
    text = "\n".join(path.read_text() for path in tmp_path.glob("*.[ch]"))
    for word in ("malloc", "free(", "#include <math.h>", "#include <stdlib.h>", "#include <string.h>"):
        assert word not in text
