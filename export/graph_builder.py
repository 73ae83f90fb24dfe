"""A thin hand on onnx-ir: every node gets a name, and the same calls give the same bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray

from edgebci import __version__
from edgebci.decoder_spec import DecoderSpec, Shape
from edgebci.operators.cell import Cell

OPSET = 21
IR_VERSION = 10
"""The first that carries opset 21, so that older runtimes still open the file."""
DOMAIN = "edgebci"

Attributes = Mapping[str, Any]


class Builder:
    """Collects the nodes of one graph or function body."""

    def __init__(self) -> None:
        self.nodes: list[ir.Node] = []
        self.initializers: dict[str, ir.Value] = {}

    def node(
        self,
        op_type: str,
        inputs: Sequence[ir.Value],
        name: str,
        attributes: Attributes | None = None,
        domain: str = "",
    ) -> ir.Value:
        """Append a node with one output, named like the node."""
        return self.call(op_type, inputs, name, [name], attributes, domain)[0]

    def call(
        self,
        op_type: str,
        inputs: Sequence[ir.Value],
        name: str,
        outputs: Sequence[str],
        attributes: Attributes | None = None,
        domain: str = "",
    ) -> list[ir.Value]:
        """Append a node whose outputs have the given names."""
        values = [ir.Value(name=output) for output in outputs]
        self.nodes.append(ir.node(op_type, inputs, attributes or {}, domain=domain, outputs=values, name=name))
        return values

    def initializer(self, name: str, values: NDArray[Any]) -> ir.Value:
        """A weight of the graph; the same name is the same value."""
        if name not in self.initializers:
            tensor = ir.tensor(np.ascontiguousarray(values).reshape(values.shape), name=name)
            self.initializers[name] = ir.Value(
                name=name, shape=ir.Shape(values.shape), type=ir.TensorType(tensor.dtype), const_value=tensor
            )
        return self.initializers[name]

    def constant(self, name: str, values: Any, dtype: type[np.generic]) -> ir.Value:
        """A constant inside a function body, where initializers are not allowed."""
        return self.node("Constant", [], name, {"value": ir.tensor(np.asarray(values, dtype), name=name)})

    def function(
        self, name: str, inputs: Sequence[ir.Value], outputs: Sequence[ir.Value], attributes: Sequence[ir.Attr] = ()
    ) -> ir.Function:
        """Close the body as the model-local function edgebci.`name`."""
        graph = ir.Graph(inputs, outputs, nodes=self.nodes, name=name, opset_imports={"": OPSET})
        return ir.Function(DOMAIN, name, graph=graph, attributes=attributes)

    def model(
        self, name: str, inputs: Sequence[ir.Value], outputs: Sequence[ir.Value], functions: Sequence[ir.Function]
    ) -> onnx.ModelProto:
        """Close the graph as a model and check it fully."""
        graph = ir.Graph(
            inputs,
            outputs,
            nodes=self.nodes,
            initializers=list(self.initializers.values()),
            name=name,
            opset_imports={"": OPSET, DOMAIN: 1},
        )
        model = ir.Model(
            graph,
            ir_version=IR_VERSION,
            producer_name="edgebci",
            producer_version=__version__,
            functions=functions,
        )
        proto = ir.to_proto(model)
        onnx.checker.check_model(proto, full_check=True)
        return proto


def formal(*names: str) -> list[ir.Value]:
    """Inputs of a function: names without types."""
    return [ir.Value(name=name) for name in names]


def tensor_value(name: str, dtype: ir.DataType, shape: Shape) -> ir.Value:
    """A typed input of a graph."""
    return ir.Value(name=name, shape=ir.Shape(shape), type=ir.TensorType(dtype))


def typed(value: ir.Value, dtype: ir.DataType, shape: Shape) -> ir.Value:
    """The same value with its type, as outputs of a graph need it."""
    value.type, value.shape = ir.TensorType(dtype), ir.Shape(shape)
    return value


def state_inputs(spec: DecoderSpec, types: Mapping[str, ir.DataType]) -> dict[str, ir.Value]:
    """One input per state: `conv.0`, `ssm.0`, ..."""
    return {name: tensor_value(name, types[name], shape) for name, shape in spec.state_shapes().items()}


def layer_states(cell: Cell, states: Mapping[str, ir.Value], layer: int) -> dict[str, ir.Value]:
    """The states of one layer by their names in its cell."""
    return {name: states[f"{name}.{layer}"] for name in cell.state_shapes()}


def state_outputs(
    spec: DecoderSpec, states: Mapping[str, ir.Value], types: Mapping[str, ir.DataType]
) -> list[ir.Value]:
    """The outputs `conv.0.next`, `ssm.0.next`, ... in the order of the inputs."""
    return [typed(states[name], types[name], shape) for name, shape in spec.state_shapes().items()]
