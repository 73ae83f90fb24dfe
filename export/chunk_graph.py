"""The chunk form: n steps of a decoder in one run of a runtime, for streams that arrive in packets.

    (frames (n, ...), states) -> (outputs (n, n_outputs), states after the last)

The step is written n times, each taking the states of the one before it: every shape stays static, no control flow is
needed, weights and functions are there once, and each node computes what it computes in the step. So n steps in one run
give the bits of n runs (`verify_chunk`), in a runtime that rounds an operator in one way.

Integer weights become floats by Cast where the step has DequantizeLinear with scale 1. Both give the same numbers, and
sums of products of such integers are exact in float32 (`quantized_graph`); but ONNX Runtime (1.31, with
session.x64quantprecision) does not open a graph in which two DequantizeLinear read one int8 constant.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper, numpy_helper

from edgebci.errors import InputError
from edgebci.export.c_graph import STATE_SUFFIX
from edgebci.export.graph_builder import DOMAIN

FRAMES, OUTPUTS = "frames", "outputs"
_INTEGERS = {onnx.TensorProto.INT4, onnx.TensorProto.INT8, onnx.TensorProto.INT16}
LONGEST = 64
"""Steps of a chunk: more make a file that runtimes take minutes to open, and no step cheaper."""


def chunk_graph(step: onnx.ModelProto, n_steps: int) -> onnx.ModelProto:
    """Write `n_steps` of the step graph as one graph, fully checked; the same step gives the same bytes.

    Raises:
        InputError: n_steps is not from 1 to 64.
    """
    if not 1 <= n_steps <= LONGEST:
        raise InputError(f"a chunk of {n_steps} steps; choose from 1 to {LONGEST}, or run chunks one after another")
    chunk = onnx.ModelProto()
    chunk.CopyFrom(step)
    chunk.graph.name = f"{step.graph.name}_chunk"
    del chunk.graph.node[:], chunk.graph.input[:], chunk.graph.output[:], chunk.graph.value_info[:]
    frame, output = step.graph.input[0], step.graph.output[0]
    chunk.graph.input.extend([_stacked(frame, FRAMES, n_steps), *step.graph.input[1:]])
    chunk.graph.output.extend([_stacked(output, OUTPUTS, n_steps), *step.graph.output[1:]])
    for k in range(n_steps):
        _write_step(chunk.graph, step.graph, _Place(k, n_steps))
    _write_outputs(chunk.graph, output.name, n_steps)
    for function in chunk.functions:
        _cast_weights(function, _integer_weights(step, function))
    # Types behind operators of a runtime (`edgebci.export.rewrites`) onnx cannot infer, so the runtime does.
    runtime_operators = {entry.domain for entry in chunk.opset_import} - {"", DOMAIN}
    onnx.checker.check_model(chunk, full_check=not runtime_operators)
    return chunk


@dataclass(frozen=True)
class _Place:
    """Step `k` of `n_steps`."""

    k: int
    n_steps: int

    def name(self, name: str) -> str:
        """A name of the step, within the chunk."""
        return _within(self.k, name)

    def state_before(self, name: str) -> str:
        """What the step finds as the state `name`."""
        return name if self.k == 0 else _within(self.k - 1, name + STATE_SUFFIX)

    def state_after(self, name: str) -> str:
        """Where the step leaves `name`, which ends in .next."""
        return name if self.k == self.n_steps - 1 else _within(self.k, name)


def _within(k: int, name: str) -> str:
    return f"step.{k}/{name}"


def _write_step(chunk: onnx.GraphProto, step: onnx.GraphProto, place: _Place) -> None:
    constants = {tensor.name for tensor in step.initializer}
    names = {name: name for name in constants} | {"": ""}
    names |= {value.name: place.state_before(value.name) for value in step.input[1:]}
    names |= {value.name: place.state_after(value.name) for value in step.output[1:]}
    frame = place.name(step.input[0].name)
    names[step.input[0].name] = frame
    index = place.name("index")
    chunk.initializer.append(numpy_helper.from_array(np.asarray(place.k, np.int64), index))
    chunk.node.append(helper.make_node("Gather", [FRAMES, index], [frame], name=frame, axis=0))
    for node in step.node:
        written = chunk.node.add()
        written.CopyFrom(node)
        written.name = place.name(node.name)
        written.input[:] = [names.get(name, place.name(name)) for name in node.input]
        written.output[:] = [names.get(name, place.name(name)) for name in node.output]


def _write_outputs(chunk: onnx.GraphProto, output: str, n_steps: int) -> None:
    chunk.initializer.append(numpy_helper.from_array(np.asarray([0], np.int64), "first_axis"))
    rows = [_within(k, f"{output}.row") for k in range(n_steps)]
    for k, row in enumerate(rows):
        chunk.node.append(helper.make_node("Unsqueeze", [_within(k, output), "first_axis"], [row], name=row))
    chunk.node.append(helper.make_node("Concat", rows, [OUTPUTS], name=OUTPUTS, axis=0))


def _integer_weights(step: onnx.ModelProto, function: onnx.FunctionProto) -> set[str]:
    """The inputs of `function` that are integer constants wherever the step calls it."""
    integers = {tensor.name for tensor in step.graph.initializer if tensor.data_type in _INTEGERS}
    calls = [node for node in step.graph.node if node.domain == function.domain and node.op_type == function.name]
    given = [[name in integers for name in call.input] for call in calls]
    return {formal for formal, of_calls in zip(function.input, zip(*given, strict=True), strict=True) if all(of_calls)}


def _cast_weights(function: onnx.FunctionProto, weights: set[str]) -> None:
    for node in function.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in weights and node.input[1] == "one":
            name, output = node.name, node.output[0]
            node.CopyFrom(helper.make_node("Cast", [node.input[0]], [output], name=name, to=onnx.TensorProto.FLOAT))


def _stacked(value: onnx.ValueInfoProto, name: str, n_steps: int) -> onnx.ValueInfoProto:
    """The same tensor with one more axis in front."""
    tensor = value.type.tensor_type
    return helper.make_tensor_value_info(name, tensor.elem_type, [n_steps, *(d.dim_value for d in tensor.shape.dim)])
