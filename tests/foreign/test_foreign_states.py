"""States are found by their names or as the user says, and proved by running."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper

from edgebci.errors import InputError
from edgebci.export.foreign.states import CHECKED_STEPS, check_states, find_states
from tests.foreign.conftest import conv_model, dense_model, frames, gru_model, lstm_model, model


def leaky(pairs: dict[str, str], width: int = 2, **extra: tuple[int, ...]) -> onnx.ModelProto:
    """Leaky integrators of x, one for each pair of names, and their sum as y."""
    nodes, inputs, outputs = [], {"x": (1, width)}, {"y": (1, width)}
    for name, output in pairs.items():
        nodes += [
            helper.make_node("Mul", [name, "leak"], [f"{name}_kept"]),
            helper.make_node("Add", [f"{name}_kept", "x"], [output]),
        ]
        inputs[name] = outputs[output] = (1, width)
    nodes.append(helper.make_node("Sum", [*pairs.values()], ["y"]))
    return model(nodes, inputs | extra, outputs, {"leak": np.asarray(0.5, np.float32)})


def test_the_states_of_each_kind_of_decoder_are_found() -> None:
    assert find_states(gru_model()) == {"h": "h_out"}
    assert find_states(lstm_model()) == {"h": "h_next", "c": "c_next"}
    assert find_states(conv_model()) == {"past": "present"}
    assert find_states(dense_model()) == {}


@pytest.mark.parametrize(
    ("name", "output"),
    [
        ("h", "h_out"),
        ("h_in", "h_out"),
        ("h", "h.next"),
        ("conv.0", "conv.0.next"),
        ("state_in", "state_out"),
        ("stateIn", "stateOut"),
        ("past_key", "present_key"),
        ("past.0.value", "present.0.value"),
        ("past", "present"),
        ("h0", "hn"),
        ("h_0", "h_n"),
        ("prev_hidden", "new_hidden"),
        ("hidden_old", "hidden_updated"),
        ("lstm.c", "next_lstm.c"),
        ("ssm_1", "ssm_1_out"),
    ],
)
def test_names_that_say_before_and_after_are_a_pair(name: str, output: str) -> None:
    assert find_states(leaky({name: output})) == {name: output}


@pytest.mark.parametrize(
    ("name", "output"), [("h", "g"), ("h", "h2"), ("input", "output"), ("a", "b_out"), ("past", "y2")]
)
def test_names_that_do_not_are_none(name: str, output: str) -> None:
    assert find_states(leaky({name: output})) == {}


def test_several_layers_are_kept_apart() -> None:
    pairs = {"h_1": "h_1_out", "h_2": "h_2_out", "c_1": "c_1_out"}
    assert find_states(leaky(pairs)) == pairs


def test_a_name_that_fits_twice_is_asked_for() -> None:
    made = leaky({"h": "h_out", "g": "h_next"})
    with pytest.raises(InputError, match="'h' could be followed by 'h_out' or 'h_next'; name the pair with --state h="):
        find_states(made)


def test_pairs_that_the_user_names_come_first() -> None:
    made = leaky({"a": "first", "b": "second"})
    assert find_states(made, ["a=first", "b=second"]) == {"a": "first", "b": "second"}


@pytest.mark.parametrize(
    ("pairs", "sentence"),
    [
        (["a"], "--state 'a' is no pair; write it INPUT=OUTPUT"),
        (["z=first"], "the model has no input 'z'"),
        (["a=frist"], "the model has no output 'frist', did you mean 'first'"),
        (["a=first", "b=first"], "'b' or 'first' is in another pair"),
        (["a=first", "b=second", "x=y"], "every input of the model is a state"),
    ],
)
def test_pairs_that_cannot_be_are_refused(pairs: list[str], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        find_states(leaky({"a": "first", "b": "second"}), pairs)


def test_a_pair_of_two_shapes_is_refused() -> None:
    with pytest.raises(InputError, match=r"the state h \[1, 1, 6\] cannot be followed by velocity \[1, 2\]"):
        find_states(gru_model(), ["h=velocity"])


def test_states_that_are_fed_back_are_proved_by_running() -> None:
    for made in (gru_model(), lstm_model(), conv_model()):
        states = find_states(made)
        assert check_states(made, states, frames(40)) == 40
    assert check_states(dense_model(), {}, frames(80)) == CHECKED_STEPS


def test_a_state_that_changes_nothing_is_none() -> None:
    made = leaky({"h": "h_out"}, unused=(1, 2))
    made.graph.node.append(helper.make_node("Identity", ["x"], ["unused_out"]))
    made.graph.output.append(helper.make_tensor_value_info("unused_out", onnx.TensorProto.FLOAT, (1, 2)))
    states = find_states(made)
    assert states == {"h": "h_out", "unused": "unused_out"}
    with pytest.raises(InputError, match="feeding 'unused_out' back into 'unused' changes nothing over 40 frames"):
        check_states(made, states, frames(40)[:, :2])


def test_the_wrong_of_two_pairs_would_compute_something_else() -> None:
    """Crossed states do change the result, so only the user can tell; the names find the right ones."""
    made = lstm_model()
    crossed = {"h": "c_next", "c": "h_next"}
    assert check_states(made, crossed, frames(40)) == 40
    assert find_states(made) != crossed
