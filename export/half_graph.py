"""The fp16 form of a float step: weights and activations in half precision, recurrence and state in float32.

Dense layers, residual sums and gates take and give fp16. What adds up over time or over squares (the steps of cells and
tokenizers, attention, norms) stays as it is in float32, weights included, and so do the frame, the states and the
output: a Cast stands wherever a value crosses. Values beyond 65,504 become infinite, so frames must be features, which
normalisation keeps within some hundreds.
"""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgebci.decoder_float import Parameters
from edgebci.decoder_spec import DecoderSpec
from edgebci.errors import InputError
from edgebci.export.step_graph import float_step_graph

HALF_OPERATORS = ("Dense", "Add", "Glu", "Silu")
"""Top-level nodes that compute in fp16."""
HALF_TOLERANCE = 2e-2
"""Of the largest value. fp16 rounds at 5e-4; a dozen roundings in a row, through gates and norms, add up to some 5e-3,
and slow modes of a state that take them in at every step to some more (1e-3 to 8e-3 were seen)."""
_LARGEST = float(np.finfo(np.float16).max)


def half_step_graph(spec: DecoderSpec, parameters: Parameters) -> onnx.ModelProto:
    """Build and fully check the fp16 step; the same weights give the same bytes. See `halved`."""
    return halved(float_step_graph(spec, parameters))


def halved(step: onnx.ModelProto) -> onnx.ModelProto:
    """The fp16 form of any float step graph, fully checked.

    Raises:
        InputError: a weight of a dense layer lies beyond what fp16 holds.
    """
    half = onnx.ModelProto()
    half.CopyFrom(step)
    half.graph.name = f"{step.graph.name}_fp16"
    del half.graph.node[:]
    writer = _HalfWriter(half.graph)
    for node in step.graph.node:
        writer.write(node)
    writer.finish()
    onnx.checker.check_model(half, full_check=True)
    return half


class _HalfWriter:
    """Writes nodes one after another and casts what they read."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._graph = graph
        self._weights = {tensor.name: tensor for tensor in graph.initializer}
        self._fixed = {value.name for value in (*graph.input, *graph.output)}  # float32, or integers
        self._half: set[str] = set()
        self._casts: dict[tuple[str, int], str] = {}

    def write(self, node: onnx.NodeProto) -> None:
        """Append the node, behind the casts that it needs."""
        in_half = node.op_type in HALF_OPERATORS
        written = onnx.NodeProto()
        written.CopyFrom(node)
        wanted = TensorProto.FLOAT16 if in_half else TensorProto.FLOAT
        written.input[:] = [self._read(name, wanted) for name in node.input]
        for i, name in enumerate(node.output if in_half else ()):
            written.output[i] = f"{name}.half" if name in self._fixed else name
            self._half.add(written.output[i])
        self._graph.node.append(written)
        for name in node.output:
            if in_half and name in self._fixed:
                self._graph.node.append(_cast(f"{name}.half", name, TensorProto.FLOAT))

    def finish(self) -> None:
        """Leave out the weights that nothing reads any more."""
        read = {name for node in self._graph.node for name in node.input}
        kept = [tensor for tensor in self._weights.values() if tensor.name in read]
        del self._graph.initializer[:]
        self._graph.initializer.extend(kept)

    def _read(self, name: str, wanted: int) -> str:
        if name in self._weights:
            return self._half_weight(name) if wanted == TensorProto.FLOAT16 else name
        given = TensorProto.FLOAT16 if name in self._half else TensorProto.FLOAT
        if given == wanted:
            return name
        if (name, wanted) not in self._casts:
            cast = f"{name}.{'half' if wanted == TensorProto.FLOAT16 else 'single'}"
            self._graph.node.append(_cast(name, cast, wanted))
            self._casts[name, wanted] = cast
            self._half |= {cast} if wanted == TensorProto.FLOAT16 else set()
        return self._casts[name, wanted]

    def _half_weight(self, name: str) -> str:
        half = f"{name}.half"
        if half not in self._weights:
            values = numpy_helper.to_array(self._weights[name])
            _check_range(name, values)
            self._weights[half] = numpy_helper.from_array(values.astype(np.float16), half)
        return half


def _cast(name: str, output: str, to: int) -> onnx.NodeProto:
    return helper.make_node("Cast", [name], [output], name=output, to=to)


def _check_range(name: str, values: NDArray[np.floating]) -> None:
    largest = float(np.abs(values).max(initial=0.0))
    if not largest <= _LARGEST:
        raise InputError(
            f"{name} has a weight of {largest:g}, beyond {_LARGEST:g}, which is all that fp16 holds; export with "
            "--precision fp32"
        )
