"""Steps of a short stream may differ only where a quantizer by itself was seen to round the other way."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgebci.decoder_float import no_tap
from edgebci.errors import VerificationError
from edgebci.export.stream_comparison import QuantizerFollower, exposed
from edgebci.operators.cell import Tap
from edgebci.progress import silent
from edgebci.quantized_decoder import QuantizedStates

STEPS, WIDTH = 100, 4
DIFFERING = (3, 9)


class Shifted:
    """Rounds as the graph does, but for one count in each element of the steps in `DIFFERING`."""

    spec: Any = None

    def initial_states(self) -> QuantizedStates:
        return {}

    def stream(self, frames: Any, reset_before: Any = None) -> Any:
        return self.run(frames, {})[0]

    def run(self, frames: Any, states: QuantizedStates, tap: Tap = no_tap) -> tuple[Any, QuantizedStates]:
        q = np.rint(frames).astype(np.int8)
        q[list(DIFFERING)] += 1
        tap("q", q)
        return q.astype(np.float32), states


def graph() -> onnx.ModelProto:
    constants = [
        numpy_helper.from_array(np.asarray(1, np.float32), "one"),
        numpy_helper.from_array(np.asarray(0, np.int8), "zero"),
    ]
    nodes = [
        helper.make_node("QuantizeLinear", ["frame", "one", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "one", "zero"], ["output"]),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [WIDTH]) for name in ("frame", "output")]
    made = helper.make_graph(nodes, "g", ends[:1], ends[1:], constants)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def followed(ties: frozenset[int]) -> QuantizerFollower:
    frames = np.random.default_rng(0).uniform(-50, 50, (STEPS, WIDTH)).astype(np.float32)
    follower = QuantizerFollower(Shifted(), exposed(graph()), None, ties)
    follower.stream(frames, None, silent)
    return follower


def test_what_lies_behind_a_rounding_that_was_seen_may_differ() -> None:
    follower = followed(frozenset(DIFFERING))
    assert follower.differing_steps() == set(DIFFERING)
    (found,) = follower.agreements()
    assert (found.differing, found.elements, found.largest_lsb) == (2 * WIDTH, STEPS * WIDTH, 1)


@pytest.mark.parametrize("ties", [frozenset[int](), frozenset({3}), frozenset({3, 50})])
def test_a_step_that_differs_without_one_is_refused(ties: frozenset[int]) -> None:
    with pytest.raises(VerificationError, match=r"8 of 400 elements of q differ .* the first at step 3"):
        followed(ties).agreements()
