"""A chunk is n steps in one run, bit for bit, still without control flow; what differs is named and refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx.inliner
import pytest

from edgebci.errors import InputError, VerificationError
from edgebci.example_decoder import random_frames, random_parameters
from edgebci.export.chunk_graph import chunk_graph
from edgebci.export.chunk_verification import verify_chunk
from edgebci.export.half_graph import HALF_TOLERANCE, halved
from edgebci.export.quantization import quantize
from edgebci.export.quantized_graph import quantized_step_graph
from edgebci.export.traceability import trace
from tests.graph.conftest import altered
from tests.small_specs import small_decoder

MIDDLE = {
    "mamba2": "layers.1.mixer.A",
    "s4d": "layers.1.mixer.read",
    "gru": "layers.1.mixer.gru.weight_ih_l0.half",
    "tokenizer": "layers.1.mixer.A",
    "wide tokenizer": "layers.1.mixer.gru.weight_ih_l0.half",
    "possm gru": "layers.1.mixer.gru.weight_ih_l0.half",
    "possm mamba2": "layers.1.mixer.A",
    "possm s4d": "layers.1.mixer.read",
}
"""A weight of each form that every step reads."""


@pytest.mark.parametrize("precision", ["float", "int8"])
def test_a_chunk_is_its_steps_bit_for_bit_across_resets(form: Any, precision: str) -> None:
    step, resets = form.graphs[precision], np.zeros(200, bool)
    resets[[0, 77, 78]] = True
    found = verify_chunk(chunk_graph(step, 6), step, form.frames[:200], resets, evaluator_chunks=1)
    # 77, 1 and 122 frames follow each other: whole chunks of 6.
    assert (found.n_steps, found.chunks, found.evaluator_chunks) == (6, 12 + 20, 1)
    assert found.largest_error == found.tolerance == 0


def test_a_chunk_in_fp16_has_the_bits_of_its_steps_in_the_evaluator_and_its_tolerance_in_onnx_runtime(
    form: Any,
) -> None:
    step = halved(form.float_graph)
    found = verify_chunk(chunk_graph(step, 6), step, form.frames[:200], evaluator_chunks=2, tolerance=HALF_TOLERANCE)
    assert (found.chunks, found.evaluator_chunks, found.tolerance) == (33, 2, HALF_TOLERANCE)
    assert found.largest_error < HALF_TOLERANCE / 2
    broken = altered(chunk_graph(step, 6), MIDDLE[form.name.removeprefix("mixed ")], 1.5)
    with pytest.raises(VerificationError, match=r"ONNX Runtime, chunk form: .* at step \d+ by .* allowed is 0\.02"):
        verify_chunk(broken, step, form.frames[:60], tolerance=HALF_TOLERANCE)


@pytest.mark.parametrize("precision", ["float", "int8"])
def test_a_chunk_takes_frames_and_states_and_has_no_control_flow(form: Any, precision: str) -> None:
    step = form.graphs[precision]
    chunk = chunk_graph(step, 3)
    assert [value.name for value in chunk.graph.input] == ["frames", *form.states]
    assert [value.name for value in chunk.graph.output] == ["outputs", *(f"{name}.next" for name in form.states)]
    assert {entry.domain: entry.version for entry in chunk.opset_import} == {"": 21, "edgebci": 1}
    assert {function.name for function in chunk.functions} == {function.name for function in step.functions}
    nodes = [*chunk.graph.node, *(node for function in chunk.functions for node in function.node)]
    assert not {"If", "Loop", "Scan"} & {node.op_type for node in nodes}
    flat = onnx.shape_inference.infer_shapes(onnx.inliner.inline_local_functions(chunk), strict_mode=True)
    shapes = [value.type.tensor_type.shape for value in (*flat.graph.value_info, *flat.graph.output)]
    assert len(shapes) > 3 * len(step.graph.node)
    assert all(dim.HasField("dim_value") for shape in shapes for dim in shape.dim)


@pytest.mark.parametrize("length", [1, 2, 64])
def test_the_shortest_and_the_longest_chunk_are_their_steps(length: int) -> None:
    """Of one layer: a runtime takes seconds to open 64 steps of two."""
    spec = small_decoder(8, n_layers=1)
    frames = random_frames(spec, 2 * length + 100, 4)
    step = quantized_step_graph(quantize(spec, random_parameters(spec, 3), frames[-100:]))
    found = verify_chunk(chunk_graph(step, length), step, frames[: 2 * length], evaluator_chunks=1)
    assert (found.n_steps, found.chunks) == (length, 2)


def test_weights_are_there_once_and_the_same_step_gives_the_same_bytes(form: Any) -> None:
    step = form.quantized_graph
    chunk = chunk_graph(step, 8)
    assert chunk.SerializeToString(deterministic=True) == chunk_graph(step, 8).SerializeToString(deterministic=True)
    kept = {tensor.name: tensor.raw_data for tensor in step.graph.initializer}
    added = [tensor for tensor in chunk.graph.initializer if tensor.name not in kept]
    assert {tensor.name: tensor.raw_data for tensor in chunk.graph.initializer if tensor.name in kept} == kept
    assert sum(len(tensor.raw_data) for tensor in added) == 8 * (8 + 1)  # one int64 for each step, and one axis


def test_every_node_of_a_chunk_names_its_step_and_call(mamba2: Any) -> None:
    step = mamba2.quantized_graph
    calls = {node.call for node in trace(chunk_graph(step, 2))}
    for k in range(2):
        assert {f"step.{k}/{node.name}" for node in step.graph.node} < calls


@pytest.mark.parametrize("length", [0, -1, 65])
def test_a_chunk_of_no_steps_or_of_too_many_is_refused(mamba2: Any, length: int) -> None:
    with pytest.raises(InputError, match=rf"a chunk of {length} steps; choose from 1 to 64"):
        chunk_graph(mamba2.float_graph, length)


def test_a_chunk_with_another_weight_is_refused(mamba2: Any) -> None:
    step = mamba2.float_graph
    broken = altered(chunk_graph(step, 4), "layers.1.mixer.D", 1.0 + 1e-6)
    with pytest.raises(VerificationError, match=r"ONNX Runtime, chunk form: output differs at step \d in its bits;"):
        verify_chunk(broken, step, mamba2.frames[:40])


def test_a_chunk_whose_third_step_reads_the_state_of_the_first_is_refused_at_that_step(mamba2: Any) -> None:
    step = mamba2.float_graph
    crossed = chunk_graph(step, 4)
    node = next(node for node in crossed.graph.node if node.name == "step.2/layers.0.mixer")
    node.input[2] = "step.0/ssm.0.next"
    with pytest.raises(VerificationError, match="output differs at step 2 in its bits;"):
        verify_chunk(crossed, step, mamba2.frames[:40])


def test_a_chunk_that_gives_back_an_older_state_is_refused(mamba2: Any) -> None:
    step = mamba2.float_graph
    stale = chunk_graph(step, 4)
    for node in stale.graph.node:
        if node.name == "step.2/layers.1.mixer":
            node.output[2] = "ssm.1.next"
        elif node.name == "step.3/layers.1.mixer":
            node.input[2], node.output[2] = "ssm.1.next", "unread"
    with pytest.raises(VerificationError, match=r"ssm\.1\.next differs at step 3 in its bits;"):
        verify_chunk(stale, step, mamba2.frames[:40])


def test_a_stream_without_a_whole_chunk_is_no_proof(mamba2: Any) -> None:
    step = mamba2.float_graph
    with pytest.raises(InputError, match="no 8 of the 40 frames follow each other"):
        verify_chunk(chunk_graph(step, 8), step, mamba2.frames[:40], np.arange(40) % 7 == 0)
