"""Reading a quantized step graph: top-level nodes, their constants and the shapes of what enters and leaves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from numpy.typing import NDArray
from onnx import numpy_helper

from edgebci.errors import InputError

Shape = tuple[int, ...]
STATE_SUFFIX = ".next"
"""The graph's output `conv.0.next` is the next value of its input `conv.0`."""


@dataclass(frozen=True)
class Node:
    """One operator of the top level; `operator` is `edgebci.Dense` or, in the standard domain, plain `Add`."""

    name: str
    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]


@dataclass(frozen=True)
class StepGraph:
    """The step of one stream: (frame, states) -> (output, next states).

    Fields:
        nodes: in the order in which they can be computed.
        constants: initializers by name.
        inputs, outputs: shapes by name, in their order; states are the inputs that have an output `{name}.next`.
        types: of the inputs, as NumPy calls them.
    """

    nodes: tuple[Node, ...]
    constants: dict[str, NDArray[Any]]
    inputs: dict[str, Shape]
    outputs: dict[str, Shape]
    types: dict[str, str]

    @property
    def states(self) -> dict[str, Shape]:
        """Shapes of the states."""
        return {name: shape for name, shape in self.inputs.items() if name + STATE_SUFFIX in self.outputs}

    @property
    def frame(self) -> str:
        """Name of the input that is not a state."""
        return _only([name for name in self.inputs if name not in self.states], "input")

    @property
    def output(self) -> str:
        """Name of the output that is not a state."""
        return _only([name for name in self.outputs if name.removesuffix(STATE_SUFFIX) not in self.states], "output")


def read_graph(path: Path) -> StepGraph:
    """Read an ONNX file; raises InputError if it is missing, damaged or has a shape that is not fixed."""
    try:
        return graph_of(onnx.load(str(path)), str(path))
    except FileNotFoundError as error:
        raise InputError(f"no file {path}; export the decoder first") from error
    except DecodeError as error:
        raise InputError(f"{path} is not an ONNX file or is cut short; export the decoder again") from error


def graph_of(model: onnx.ModelProto, origin: str) -> StepGraph:
    """The step graph of a model that came from `origin`; raises InputError if it has a shape that is not fixed."""
    graph = model.graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    inputs = {value.name: _shape(value, origin) for value in graph.input if value.name not in constants}
    outputs = {value.name: _shape(value, origin) for value in graph.output}
    types = {value.name: _type(value) for value in graph.input}
    return StepGraph(tuple(_node(node, i) for i, node in enumerate(graph.node)), constants, inputs, outputs, types)


def size(shape: Shape) -> int:
    """Number of elements."""
    return int(np.prod(shape, dtype=np.int64))


def _node(node: onnx.NodeProto, position: int) -> Node:
    operator = node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"
    attributes = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
    return Node(node.name or f"node_{position}", operator, tuple(node.input), tuple(node.output), attributes)


def _type(value: onnx.ValueInfoProto) -> str:
    return str(onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type))


def _shape(value: onnx.ValueInfoProto, origin: str) -> Shape:
    dimensions = value.type.tensor_type.shape.dim
    if any(not dimension.HasField("dim_value") for dimension in dimensions):
        raise InputError(f"{origin}: the shape of {value.name!r} is not fixed; export the step for one stream")
    return tuple(dimension.dim_value for dimension in dimensions)


def _only(names: list[str], kind: str) -> str:
    if len(names) != 1:
        raise InputError(
            f"the step graph has {len(names)} {kind}s beside its states ({', '.join(names)}); it must have one"
        )
    return names[0]
