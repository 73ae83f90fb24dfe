"""Reading a graph against the operator tables of TensorRT's parser: everything that it would refuse, all at once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from edgebci.errors import InputError
from edgebci.export.tensorrt.operator_table import TABLES, OperatorTable, Types

_NAMES = {
    TensorProto.FLOAT: "FP32",
    TensorProto.FLOAT16: "FP16",
    TensorProto.BFLOAT16: "BF16",
    TensorProto.INT4: "INT4",
    TensorProto.INT8: "INT8",
    TensorProto.INT32: "INT32",
    TensorProto.INT64: "INT64",
    TensorProto.UINT8: "UINT8",
    TensorProto.BOOL: "BOOL",
}
_BORDER: Types = ("FP32", "FP16", "BF16", "INT8", "INT32", "INT64", "UINT8", "BOOL")
_FIRST_INPUT_ONLY = ("QuantizeLinear", "DequantizeLinear")


def require_supported(model: onnx.ModelProto) -> tuple[str, ...]:
    """Check against every table; returns their names.

    Raises:
        InputError: names every node that a version of TensorRT would refuse, and why.
    """
    faults = [f"TensorRT {table.name}: {fault}" for table in TABLES for fault in unsupported(model, table)]
    if faults:
        raise InputError(
            f"{model.graph.name} has parts that TensorRT does not take: {'; '.join(faults)}; choose another target, "
            "or leave the operator out"
        )
    return tuple(table.name for table in TABLES)


def unsupported(model: onnx.ModelProto, table: OperatorTable) -> tuple[str, ...]:
    """Every reason to refuse an inlined model, in the order of its nodes; empty where there is none."""
    if model.functions:
        return tuple(f"the local function {function.domain}.{function.name}" for function in model.functions)
    graph = _Graph(model)
    return (*_opset_faults(model, table), *graph.border_faults(), *graph.node_faults(table))


def _opset_faults(model: onnx.ModelProto, table: OperatorTable) -> Iterator[str]:
    first, last = table.opsets
    for entry in model.opset_import:
        if entry.domain not in ("", "ai.onnx"):
            yield f"the domain {entry.domain!r}"
        elif not first <= entry.version <= last:
            yield f"opset {entry.version}, allowed are {first} to {last}"


class _Graph:
    """The graph with the type of every value and the value of every constant."""

    def __init__(self, model: onnx.ModelProto) -> None:
        inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
        self._model, graph = model, inferred.graph
        values = [*graph.input, *graph.output, *graph.value_info]
        self._types = {value.name: value.type.tensor_type.elem_type for value in values}
        self._constants = {tensor.name: tensor for tensor in graph.initializer}
        self._types |= {tensor.name: tensor.data_type for tensor in graph.initializer}
        for node in graph.node:
            if node.op_type == "Constant" and node.attribute[0].name == "value":
                self._constants[node.output[0]] = node.attribute[0].t

    def border_faults(self) -> Iterator[str]:
        """Inputs and outputs of a type or shape that an engine cannot have."""
        for value in (*self._model.graph.input, *self._model.graph.output):
            if self._name(value.name) not in _BORDER:
                yield f"{value.name} is {self._name(value.name)}"
            if any(not size.HasField("dim_value") for size in value.type.tensor_type.shape.dim):
                yield f"{value.name} has a dynamic shape"

    def node_faults(self, table: OperatorTable) -> Iterator[str]:
        """Nodes that the table refuses."""
        for node in self._model.graph.node:
            place = f"{node.op_type} at {node.name or node.output[0]}"
            if node.op_type not in table.types:
                yield f"{place} is not supported"
                continue
            yield from (f"{place}: {fault}" for fault in self._restrictions(node, table))
            allowed = table.types[node.op_type]
            yield from (f"{place} takes {name}, allowed: {', '.join(allowed)}" for name in self._wrong(node, allowed))

    def _restrictions(self, node: onnx.NodeProto, table: OperatorTable) -> Iterator[str]:
        if node.op_type in table.elsewhere:
            yield f"is supported with {table.elsewhere[node.op_type]} only, which is not checked here"
        for position in table.constants.get(node.op_type, ()):
            name = node.input[position] if position < len(node.input) else ""
            if name and name not in self._constants:
                yield f"its input {name} must be a constant"
        if node.op_type in table.zero_points and len(node.input) > 2 and node.input[2]:
            zero = self._constants.get(node.input[2])
            if zero is None or np.any(numpy_helper.to_array(zero)):
                yield f"its zero point {node.input[2]} must be a constant zero"

    def _wrong(self, node: onnx.NodeProto, allowed: Types) -> list[str]:
        """The types of the node's data that are not allowed, each once."""
        found = [self._name(name) for name in self._data(node)]
        return [name for name in dict.fromkeys(found) if name not in allowed]

    def _data(self, node: onnx.NodeProto) -> list[str]:
        """The tensors that the matrix speaks of: those of the schema's first data type, indices and shapes left out."""
        if node.op_type in _FIRST_INPUT_ONLY:
            return [node.input[0]]
        if node.op_type in ("Cast", "Constant"):
            return [*node.input, *node.output]
        schema = onnx.defs.get_schema(node.op_type, max(entry.version for entry in self._model.opset_import))
        formal = [*schema.inputs][: len(node.input)] + [schema.inputs[-1]] * (len(node.input) - len(schema.inputs))
        wanted = "T" if any(one.type_str == "T" for one in formal) else formal[0].type_str
        given = [name for one, name in zip(formal, node.input, strict=True) if name and one.type_str == wanted]
        return given + [node.output[0]] * (schema.outputs[0].type_str == wanted)

    def _name(self, value: str) -> str:
        number = self._types.get(value, TensorProto.UNDEFINED)
        return _NAMES.get(number, str(TensorProto.DataType.Name(number)))
