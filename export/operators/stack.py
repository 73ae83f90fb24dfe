"""The last frames side by side, in ONNX and in C.

    edgebci.Stack(newest, stack)                                                                 -> rows, stack_next

newest (H,), stack (lags, H) with the newest first, rows ((lags + 1) H,); float32, or int8 in the quantized step.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgebci.export.c_graph import Node, StepGraph
from edgebci.export.c_literals import identifier
from edgebci.export.c_operation import Buffer, Operation, check_columns
from edgebci.export.graph_builder import DOMAIN, Builder, formal
from edgebci.export.graph_functions import unsqueeze


def stack_step(graph: Builder, newest: ir.Value, stack: ir.Value, name: str) -> tuple[ir.Value, ir.Value]:
    """Write the node for the part `name`; returns the rows and the next state."""
    outputs = [f"{name}.rows", f"{stack.name}.next"]
    rows, following = graph.call("Stack", [newest, stack], f"{name}.stack", outputs, domain=DOMAIN)
    return rows, following


def stack_function(lags: int) -> ir.Function:
    """Stack for a state of `lags` rows."""
    body, inputs = Builder(), formal("newest", "stack")
    newest, stack = inputs
    rows = body.node("Concat", [unsqueeze(body, newest, 0, "newest_row"), stack], "rows", {"axis": 0})
    bounds = [body.constant(name, [value], np.int64) for name, value in (("from", 0), ("to", lags), ("along", 0))]
    flat = body.node("Reshape", [rows, body.constant("flat_shape", [-1], np.int64)], "flat")
    return body.function("Stack", inputs, [flat, body.node("Slice", [rows, *bounds], "stack_next")])


def _c_stack(node: Node, graph: StepGraph, sizes: dict[str, int]) -> Operation:
    newest, stack = node.inputs
    lags, width = graph.states[stack]
    check_columns(node, width, sizes[newest])
    n = (lags + 1) * width
    return Operation(
        node,
        reads=(newest,),
        writes=Buffer(node.outputs[0], "int8_t", n),
        shapes=f"int8 [{width}] -> int8 [{n}], state int8 [{lags}][{width}]",
        call=f"stack_{lags}x{width}({{0}}, c->state_{identifier(stack)}, {{out}});",
        kernel=f"EDGEBCI_DEFINE_STACK(stack_{lags}x{width}, {lags}u, {width}u)",
        states=(stack,),
        headers=("edgebci_stack.h",),
    )


C_OPERATORS = {"edgebci.Stack": _c_stack}
