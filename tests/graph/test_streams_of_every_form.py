"""Verification follows every form through thousands of steps with resets, and refuses a broken graph of every form."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from edgebci.errors import InputError, VerificationError
from edgebci.export.stream_comparison import FLOAT_TOLERANCE, long_stream
from edgebci.export.verification import verify_float_reference, verify_quantized
from tests.graph.conftest import altered, copy_of

RESETS = [0, 1, 640, 641, 1500]
RESETS_OF_INT8 = np.isin(np.arange(300), [0, 1, 140])
# One weight of a dense layer in the middle of each form, under its name in the float and in the int8 graph.
MIDDLE = {
    "mamba2": "layers.1.mixer.in_proj",
    "s4d": "layers.1.mixer.out_proj",
    "gru": "layers.1.mixer.ih",
    "tokenizer": "layers.1.mixer.in_proj",
    "wide tokenizer": "layers.1.mixer.ih",
    "possm gru": "layers.1.mixer.ih",
    "possm mamba2": "layers.1.mixer.in_proj",
    "possm s4d": "layers.1.mixer.out_proj",
}


def resets(n_frames: int) -> NDArray[np.bool_]:
    return np.isin(np.arange(n_frames), RESETS)


def wrong_scale(model: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """A copy in which the weight of one dense layer is a fifth too large."""
    given = {node.name: node for node in model.graph.node}[name].input
    return altered(model, given[1] if len(given) == 3 else given[3], 1.2)


def test_the_float_form_holds_for_thousands_of_steps_with_resets(float_form: Any) -> None:
    n = len(float_form.frames)
    assert n >= 2000
    found = verify_float_reference(float_form.float_graph, float_form.float_reference, float_form.frames, resets(n), 10)
    assert found.steps == n
    # Ten times tighter than what is allowed: float32 rounds at 6e-8 and some hundred roundings add up.
    assert max(found.largest_error.values()) < FLOAT_TOLERANCE / 10


def test_the_int8_form_holds_against_the_bit_exact_reference_with_resets(form: Any) -> None:
    found = verify_quantized(form.quantized_graph, form.quantized_reference, form.frames[:300], RESETS_OF_INT8)
    assert found.steps == 300
    assert max(quantizer.largest_lsb for quantizer in found.each_quantizer) <= 1
    assert {f"{name}.next" for name in form.states} <= {quantizer.name for quantizer in found.each_quantizer}


def test_a_broken_float_graph_is_named_by_tensor_and_step(float_form: Any) -> None:
    broken = wrong_scale(float_form.float_graph, MIDDLE[float_form.name])
    with pytest.raises(VerificationError, match=r"ONNX Runtime: \S+ differs at step \d+ by .*nothing is written"):
        verify_float_reference(broken, float_form.float_reference, float_form.frames[:100])


def test_a_broken_int8_graph_is_named_by_tensor_and_step(form: Any) -> None:
    broken = wrong_scale(form.quantized_graph, MIDDLE[form.name.removeprefix("mixed ")])
    with pytest.raises(VerificationError, match=r"ONNX Runtime: \S+ differs at step \d+ by .*nothing is written"):
        verify_quantized(broken, form.quantized_reference, form.frames[:100])


@pytest.mark.parametrize("precision", ["float", "int8"])
def test_a_state_that_the_graph_forgets_to_advance_is_found(form: Any, precision: str) -> None:
    broken, state = copy_of(form.graphs[precision]), next(iter(form.states))
    node = next(node for node in broken.graph.node if f"{state}.next" in node.output)
    node.output[list(node.output).index(f"{state}.next")] = "forgotten"
    for other in broken.graph.node:
        other.input[:] = ["forgotten" if name == f"{state}.next" else name for name in other.input]
    broken.graph.node.append(onnx.helper.make_node("Identity", [state], [f"{state}.next"], name="stale"))
    verify = verify_float_reference if precision == "float" else verify_quantized
    reference = form.float_reference if precision == "float" else form.quantized_reference
    with pytest.raises(VerificationError, match=rf"{state}\.next differs at step \d+"):
        verify(broken, reference, form.frames[:60])


def test_a_short_stream_is_repeated_from_a_reset_until_it_is_long() -> None:
    frames = np.arange(14, dtype=np.float32).reshape(7, 2)
    longer, anew = long_stream(frames, np.arange(7) == 3, 20)
    np.testing.assert_array_equal(longer, np.concatenate([frames, frames, frames[:6]]))
    np.testing.assert_array_equal(np.flatnonzero(anew), [0, 3, 7, 10, 14, 17])


def test_a_long_stream_without_a_reset_gets_one_in_its_middle_and_keeps_its_frames() -> None:
    frames = np.zeros((30, 2), np.float32)
    longer, anew = long_stream(frames, None, 20)
    assert longer is frames
    np.testing.assert_array_equal(np.flatnonzero(anew), [0, 15])
    given = np.arange(30) == 4
    np.testing.assert_array_equal(long_stream(frames, given, 20)[1], given)


def test_no_frames_prove_nothing() -> None:
    with pytest.raises(InputError, match="no frames to verify with"):
        long_stream(np.zeros((0, 2), np.float32), None, 20)
