"""LSTM, GRU and RNN nodes, taken apart, give what ONNX Runtime's nodes give."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from edgebci.arithmetic import F32
from edgebci.errors import InputError
from edgebci.export.foreign.lowering import lower
from edgebci.export.foreign.recurrent import MOST_STEPS
from edgebci.export.step_runner import open_session, runtime_step
from edgebci.foreign.decoder import ForeignDecoder
from tests.foreign.conftest import model, weights

TOLERANCE = 5e-6
"""Values lie within [-1, 1]; float32 rounds at 6e-8, sums of a dozen products and four activations add up some ten
such, and ONNX Runtime's own sigmoid and tanh are rational approximations of about 1e-6."""
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}


def node_model(kind: str, hidden: int, steps: int, batch: int, **options: Any) -> onnx.ModelProto:
    """One node with weights of its own; `bias`, `initial`, `peepholes` say what it has, the rest are attributes."""
    has = {name: options.pop(name, False) for name in ("bias", "initial", "peepholes")}
    directions = 2 if options.get("direction") == "bidirectional" else 1
    rows, state = GATES[kind] * hidden, (directions, batch, hidden)
    constants = weights(7, W=(directions, rows, 5), R=(directions, rows, hidden), B=(directions, 2 * rows))
    constants |= weights(8, h0=state, c0=state, P=(directions, 3 * hidden))
    inputs = ["x", "W", "R", "B" if has["bias"] else "", "", "h0" if has["initial"] else ""]
    outputs = {"y": (steps, directions, batch, hidden), "y_h": state}
    if kind == "LSTM":
        inputs += ["c0" if has["initial"] else "", "P" if has["peepholes"] else ""]
        outputs["y_c"] = state
    node = helper.make_node(kind, inputs, list(outputs), name="cell", hidden_size=hidden, **options)
    used = {name: array for name, array in constants.items() if name in inputs}
    return model([node], {"x": (steps, batch, 5)}, outputs, used)


def assert_equal_to_the_runtime(made: onnx.ModelProto) -> None:
    graph = lower(made, {})
    shape = graph.inputs[0].shape
    frames = np.random.default_rng(3).normal(size=(4, *shape)).astype(np.float32)
    run, found = runtime_step(open_session(made)), ForeignDecoder(graph).stream(frames.reshape(4, -1))
    for frame, values in zip(frames, found, strict=True):
        expected: F32 = np.concatenate([value.ravel() for value in run({"x": frame}).values()])
        np.testing.assert_allclose(values, expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(
    ("kind", "hidden", "bias", "initial"),
    list(itertools.product(["RNN", "GRU", "LSTM"], [1, 4, 7], [False, True], [False, True])),
)
def test_a_step_of_any_size_with_and_without_bias_and_initial_state(
    kind: str, hidden: int, bias: bool, initial: bool
) -> None:
    assert_equal_to_the_runtime(node_model(kind, hidden, 1, 1, bias=bias, initial=initial))


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize(("steps", "batch"), [(5, 1), (3, 2)])
def test_several_steps_in_one_call_in_every_direction(kind: str, direction: str, steps: int, batch: int) -> None:
    options = {"bias": True, "initial": True, "direction": direction}
    assert_equal_to_the_runtime(node_model(kind, 6, steps, batch, **options))


@pytest.mark.parametrize("linear_before_reset", [0, 1])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("steps", [1, 4])
def test_a_gru_resets_before_or_after_its_matrix(linear_before_reset: int, bias: bool, steps: int) -> None:
    made = node_model("GRU", 6, steps, 1, bias=bias, initial=True, linear_before_reset=linear_before_reset)
    assert_equal_to_the_runtime(made)


def test_both_orders_of_the_reset_are_not_the_same() -> None:
    """So that the test above could fail."""
    graphs = [
        lower(node_model("GRU", 6, 1, 1, bias=True, initial=True, linear_before_reset=late), {}) for late in (0, 1)
    ]
    frames = np.ones((1, 5), np.float32)
    first, second = (ForeignDecoder(graph).stream(frames) for graph in graphs)
    assert np.abs(first - second).max() > 1000 * TOLERANCE


def test_an_lstm_with_peepholes() -> None:
    assert_equal_to_the_runtime(node_model("LSTM", 6, 3, 1, bias=True, initial=True, peepholes=True))


def test_other_activations() -> None:
    assert_equal_to_the_runtime(node_model("GRU", 6, 3, 1, bias=True, activations=["HardSigmoid", "Relu"]))
    assert_equal_to_the_runtime(node_model("LSTM", 4, 2, 1, activations=["Sigmoid", "Relu", "Tanh"]))


def test_a_step_of_a_gru_is_three_dense_layers_at_most() -> None:
    graph = lower(node_model("GRU", 6, 1, 1, bias=True, initial=False), {})
    assert 1 <= sum(node.operator == "dense" for node in graph.nodes) <= 3


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"clip": 3.0}, "it clips"),
        ({"input_forget": 1}, "couples input and forget"),
        ({"activations": ["Elu", "Tanh", "Tanh"]}, "activations Elu"),
    ],
)
def test_what_is_not_translated_is_said_with_the_node(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError, match=rf"1 of 1 nodes .*'cell' \(LSTM: .*{reason}"):
        lower(node_model("LSTM", 4, 1, 1, **options), {})


def test_a_long_sequence_in_one_call_is_refused() -> None:
    with pytest.raises(InputError, match="goes 65 steps in one call, allowed are 64; export one step"):
        lower(node_model("GRU", 2, MOST_STEPS + 1, 1), {})
