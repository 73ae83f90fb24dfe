"""A flat graph as ONNX: `frame` and states to `output` and `{state}.next`, all of rank 1, in standard operators.

In the quantized form q = QuantizeLinear(x * inverse scale) at the top level, and three local functions:

    edgebci.GroupedDense(q, weight, scale, bias)      sums of products of int8, times scale, plus bias
    edgebci.StateLoad(h, scale)                       int16 to float32
    edgebci.StateStore(x, inverse_scale)              float32 to int16

where Q and DQ work in counts (scale 1) and scales are multiplications of their own, as the bit-exact reference has it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir

from edgebci.export.graph_builder import DOMAIN, Builder, formal, tensor_value, typed
from edgebci.export.graph_functions import dense_function
from edgebci.export.writers import INT8, INT16, CountingBody
from edgebci.foreign.graph import FRAME, OUTPUT, ForeignGraph, Node, Operand, State

FLOAT = ir.DataType.FLOAT
_OWN = "edgebci.constant"
"""Beginning of the names of constants that no tensor of a model gave, so that none of its states is called so."""
_ELEMENTWISE = {
    **{name: name.capitalize() for name in ("add", "exp", "log", "relu", "sigmoid", "tanh", "erf", "sqrt", "softplus")},
    "copy": "Identity",
    "subtract": "Sub",
    "multiply": "Mul",
    "divide": "Div",
    "minimum": "Min",
    "maximum": "Max",
    "negative": "Neg",
    "absolute": "Abs",
    "power": "Pow",
    "leaky_relu": "PRelu",
    "gelu": "Gelu",
}
_TRUTHS = {"equal": "Equal", "less": "Less", "less_equal": "LessOrEqual"}
_FOLDS = {"fold_sum": "ReduceSum", "fold_max": "ReduceMax", "fold_min": "ReduceMin"}


def foreign_onnx(graph: ForeignGraph) -> onnx.ModelProto:
    """Build and fully check the step; the same graph gives the same bytes."""
    return _Writer(graph).model()


class _Writer:
    def __init__(self, graph: ForeignGraph) -> None:
        self._graph, self._builder = graph, Builder()
        self._values: dict[str, ir.Value] = {}
        self._functions: dict[str, ir.Function] = {}

    def model(self) -> onnx.ModelProto:
        """The whole model."""
        graph = self._graph
        inputs = [tensor_value(FRAME, FLOAT, (graph.n_inputs,))]
        inputs += [tensor_value(s.name, ir.DataType[s.type.upper().replace("32", "")], (s.size,)) for s in graph.states]
        names = [FRAME, *(state.name for state in graph.states)]
        self._values |= dict(zip(names, inputs, strict=True))
        for state in graph.states:
            self._load(state)
        for node in graph.nodes:
            self._values[node.output] = self._written(node)
        outputs = [typed(self._values[OUTPUT], FLOAT, (graph.n_outputs,))]
        outputs += [self._store(state) for state in graph.states]
        return self._builder.model("edgebci_foreign_step", inputs, outputs, list(self._functions.values()))

    def _load(self, state: State) -> None:
        if state.type == "int16":
            scale = self._constant(f"{state.name}.scale", np.asarray(state.scale, np.float32))
            self._values[state.name] = self._call("StateLoad", [self._values[state.name], scale], f"{state.name}.load")

    def _store(self, state: State) -> ir.Value:
        value, name = self._values[state.following], f"{state.name}.next"
        if state.type == "float32":
            return typed(self._builder.node("Identity", [value], name), FLOAT, (state.size,))
        inverse = np.float32(1.0) / np.float32(state.scale)
        scale = self._constant(f"{state.name}.inverse_scale", np.asarray(inverse))
        return typed(self._call("StateStore", [value, scale], name), INT16, (state.size,))

    def _written(self, node: Node) -> ir.Value:
        if node.operator == "dense" and node.sizes[1] == 1 and node.operands[1].tensor in self._graph.constants:
            return self._whole_dense(node)
        operands = [self._operand(node, i, operand) for i, operand in enumerate(node.operands)]
        name, builder = node.output, self._builder
        if node.operator in _ELEMENTWISE:
            return builder.node(_ELEMENTWISE[node.operator], operands, name)
        if node.operator in _TRUTHS:
            truth = builder.node(_TRUTHS[node.operator], operands, f"{name}.truth")
            return builder.node("Cast", [truth], name, {"to": FLOAT})
        if node.operator in _FOLDS:
            return self._fold(node, operands[0])
        special: Callable[[Node, list[ir.Value]], ir.Value] = getattr(self, f"_{node.operator}")
        return special(node, operands)

    def _silu(self, node: Node, operands: list[ir.Value]) -> ir.Value:
        share = self._builder.node("Sigmoid", operands, f"{node.output}.sigmoid")
        return self._builder.node("Mul", [operands[0], share], node.output)

    def _select(self, node: Node, operands: list[ir.Value]) -> ir.Value:
        truth = self._builder.node("Cast", operands[:1], f"{node.output}.truth", {"to": ir.DataType.BOOL})
        return self._builder.node("Where", [truth, *operands[1:]], node.output)

    def _join(self, node: Node, operands: list[ir.Value]) -> ir.Value:
        return self._builder.node("Concat", operands, node.output, {"axis": 0})

    def _fold(self, node: Node, x: ir.Value) -> ir.Value:
        rows = self._shaped(x, node.sizes, f"{node.output}.rows")
        axis = self._integers(f"{_OWN}.axis", [1])
        return self._builder.node(_FOLDS[node.operator], [rows, axis], node.output, {"keepdims": 0})

    def _dense(self, node: Node, operands: list[ir.Value]) -> ir.Value:
        """(positions, groups, 1, columns) times (groups, columns, rows)."""
        positions, groups, rows, columns = node.sizes
        x, weight, bias = operands
        name = node.output
        columns_first = self._builder.node(
            "Transpose", [self._shaped(weight, (groups, rows, columns), f"{name}.w")], f"{name}.wt", {"perm": [0, 2, 1]}
        )
        seen = self._shaped(x, (positions, groups, 1, columns), f"{name}.x")
        sums = self._builder.node("MatMul", [seen, columns_first], f"{name}.sums")
        y = self._builder.node(
            "Add",
            [
                self._shaped(sums, (positions, groups, rows), f"{name}.rows"),
                self._shaped(bias, (groups, rows), f"{name}.b"),
            ],
            f"{name}.y",
        )
        return self._shaped(y, (node.size,), name)

    def _whole_dense(self, node: Node) -> ir.Value:
        """One weight for all positions: the function that dense layers have everywhere in the project."""
        positions, _, rows, columns = node.sizes
        names = [operand.tensor for operand in node.operands[1:]]
        weight = self._graph.constants[names[0]].reshape(rows, columns)
        bias, x = self._graph.constants[names[1]].reshape(rows), self._operand(node, 0, node.operands[0])
        seen = x if positions == 1 else self._shaped(x, (positions, columns), f"{node.output}.x")
        inputs = [seen, self._constant(f"{node.output}.weight", weight), self._constant(f"{node.output}.bias", bias)]
        y = self._call("Dense", inputs, node.output if positions == 1 else f"{node.output}.y")
        return y if positions == 1 else self._shaped(y, (node.size,), node.output)

    def _quantize(self, node: Node, operands: list[ir.Value]) -> ir.Value:
        counts = self._builder.node("Mul", operands, f"{node.output}.counts")
        one = self._constant(f"{_OWN}.one", np.asarray(1.0, np.float32))
        zero = self._builder.initializer(f"{_OWN}.zero_point", np.asarray(0, np.int8))
        return self._builder.node("QuantizeLinear", [counts, one, zero], node.output)

    def _dense_int8(self, node: Node, operands: list[ir.Value]) -> ir.Value:
        positions, groups, rows, columns = node.sizes
        q = self._shaped(operands[0], (positions, groups, 1, columns), f"{node.output}.rows_in")
        weight = self._shaped(operands[1], (groups, rows, columns), f"{node.output}.w")
        scale, bias = (self._shaped(operands[i], (groups, 1, rows), f"{node.output}.part.{i}") for i in (2, 3))
        y = self._call("GroupedDense", [q, weight, scale, bias], f"{node.output}.y")
        return self._shaped(y, (node.size,), node.output)

    def _operand(self, node: Node, i: int, operand: Operand) -> ir.Value:
        """The elements that the node reads, of rank 1."""
        if operand.tensor in self._graph.constants:
            values = self._graph.constants[operand.tensor].ravel()
            if operand.index is not None:
                one = len(set(operand.index.tolist())) == 1
                values = values[operand.index[:1]] if one else values[operand.index]
                return self._constant(f"{node.name}.operand.{i}", values)
            return self._constant(operand.tensor, values)
        value = self._values[operand.tensor]
        if operand.index is None:
            return value
        index = self._integers(f"{node.name}.index.{i}", operand.index.tolist())
        return self._builder.node("Gather", [value, index], f"{node.output}.read.{i}", {"axis": 0})

    def _shaped(self, value: ir.Value, shape: tuple[int, ...], name: str) -> ir.Value:
        wanted = self._integers(f"{_OWN}.shape.{'x'.join(map(str, shape))}", list(shape))
        return self._builder.node("Reshape", [value, wanted], name)

    def _integers(self, name: str, values: list[int]) -> ir.Value:
        return self._builder.initializer(name, np.asarray(values, np.int64))

    def _constant(self, name: str, values: Any) -> ir.Value:
        return self._builder.initializer(name, values)

    def _call(self, function: str, inputs: list[ir.Value], name: str) -> ir.Value:
        self._functions.setdefault(function, _FUNCTIONS[function]())
        return self._builder.node(function, inputs, name, domain=DOMAIN)


def _grouped_dense_function() -> ir.Function:
    body = CountingBody()
    inputs = formal("q", "weight", "scale", "bias")
    q, weight, scale, bias = inputs
    columns = body.node("Transpose", [body.counts(weight, INT8, "weight_counts")], "columns", {"perm": [0, 2, 1]})
    sums = body.node("MatMul", [body.counts(q, INT8, "q_counts"), columns], "sums")
    return body.function(
        "GroupedDense", inputs, [body.node("Add", [body.node("Mul", [sums, scale], "scaled"), bias], "y")]
    )


def _load_function() -> ir.Function:
    body, inputs = CountingBody(), formal("h", "scale")
    counts = body.counts(inputs[0], INT16, "h_counts")
    return body.function("StateLoad", inputs, [body.node("Mul", [counts, inputs[1]], "x")])


def _store_function() -> ir.Function:
    body, inputs = CountingBody(), formal("x", "inverse_scale")
    counts = body.node("Mul", list(inputs), "counts")
    return body.function("StateStore", inputs, [body.quantize(counts, INT16, "h")])


_FUNCTIONS: dict[str, Callable[[], ir.Function]] = {
    "Dense": dense_function,
    "GroupedDense": _grouped_dense_function,
    "StateLoad": _load_function,
    "StateStore": _store_function,
}
