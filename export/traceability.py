"""From every node of an inlined graph to the function node it came from, the C call and the profile row, and back.

The node named `layers.0.mixer/dt` is `dt` in the body of the function that the top-level node `layers.0.mixer` calls;
a top-level node that is no function keeps its name. The same two names stand in the node's metadata, so that a tool
that renames nodes loses nothing. The generated C has one call for each top-level node (`edgebci.export.c_program`); an
emulated core's profile has one row for each C function, which several calls of one shape share, and rows of its parts
(`mamba2_step_..._state`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import onnx
import onnx.inliner

from edgebci.export.c_graph import graph_of
from edgebci.export.c_operators import OPERATORS, operations
from edgebci.export.graph_builder import DOMAIN

CALL, BODY = "edgebci.call", "edgebci.body"
"""Keys of a node's metadata: its top-level node, and its name in the body of the function."""
SEPARATOR = "/"
_INTEGERS = {onnx.TensorProto.INT4, onnx.TensorProto.INT8, onnx.TensorProto.INT16}


@dataclass(frozen=True)
class TracedNode:
    """One node of the inlined graph.

    Fields:
        name: of the node, `{call}/{body}` inside a function.
        operator: what it computes, `Mul`.
        call: name of the top-level node.
        function: of the top-level node, `edgebci.Dense`, or its own operator.
        c_call: number of the call in `edgebci_decoder_step`, counted from 0; None in a graph that has no C.
        c_function: the C function that is called, which is also the row of a profile; None likewise.
    """

    name: str
    operator: str
    call: str
    function: str
    c_call: int | None
    c_function: str | None


def inline(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without its local functions; each node is named after the top-level node that it came from."""
    marked = onnx.ModelProto()
    marked.CopyFrom(model)
    for node in marked.graph.node:
        _mark(node, CALL, node.name)
    _one_function_per_call(marked)
    flat: onnx.ModelProto = onnx.inliner.inline_local_functions(marked)
    for node in flat.graph.node:
        found = metadata(node)
        node.name = SEPARATOR.join(found[key] for key in (CALL, BODY) if key in found)
    return flat


def trace(model: onnx.ModelProto) -> tuple[TracedNode, ...]:
    """Every node of `inline(model)` in order; a quantized step's with their C."""
    operators = {node.name: _operator(node) for node in model.graph.node}
    c_calls = _c_calls(model) if _has_c(model) else {}
    traced = []
    for node in inline(model).graph.node:
        call = metadata(node)[CALL]
        number, function = c_calls.get(call, (None, None))
        traced.append(TracedNode(node.name, node.op_type, call, operators[call], number, function))
    return tuple(traced)


def in_profile(traced: Iterable[TracedNode], row: str) -> tuple[TracedNode, ...]:
    """The nodes whose work a profile's row holds: all calls of that C function, or of the one that it is a part of."""
    return tuple(node for node in traced if node.c_function and _is_part(row, node.c_function))


def metadata(node: onnx.NodeProto) -> dict[str, str]:
    """What a node says about itself."""
    return {entry.key: entry.value for entry in node.metadata_props}


def _one_function_per_call(model: onnx.ModelProto) -> None:
    """Give every call a function of its own, whose nodes say which call they are in."""
    functions = {function.name: function for function in model.functions}
    del model.functions[:]
    for i, node in enumerate(node for node in model.graph.node if node.domain == DOMAIN):
        own = model.functions.add()
        own.CopyFrom(functions[node.op_type])
        own.name = node.op_type = f"{node.op_type}_{i}"
        for inner in own.node:
            _mark(inner, CALL, node.name)
            _mark(inner, BODY, inner.name)


def _mark(node: onnx.NodeProto, key: str, value: str) -> None:
    entry = node.metadata_props.add()
    entry.key, entry.value = key, value


def _c_calls(model: onnx.ModelProto) -> dict[str, tuple[int, str]]:
    """Number and function of each top-level node's call."""
    done = operations(graph_of(model, model.graph.name))
    return {step.node.name: (i, step.call.partition("(")[0]) for i, step in enumerate(done)}


def _has_c(model: onnx.ModelProto) -> bool:
    """Only quantized steps do: their weights are integers, and each of their nodes has a kernel."""
    integers = any(tensor.data_type in _INTEGERS for tensor in model.graph.initializer)
    return integers and all(_operator(node) in OPERATORS for node in model.graph.node)


def _operator(node: onnx.NodeProto) -> str:
    return f"{node.domain}.{node.op_type}" if node.domain else node.op_type


def _is_part(row: str, function: str) -> bool:
    """Parts of a kernel are functions of their own, `mamba2_step_8x32x16_4_gate` one of `mamba2_step_8x32x16_4`."""
    return row == function or row.startswith(f"{function}_")
