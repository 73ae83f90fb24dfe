"""The float Mamba-2 step with two of its parts as one operator each.

CausalConvWithState(x, weight, bias, past) -> y, present        the convolution, its window and its SiLU
LinearAttention(q, k, v, past, decay) -> o, present             S' = exp(g) S + k v^T, o = S'^T q, for each head

both of ONNX (opset 27) or of ONNX Runtime (com.microsoft 1), with a batch and a time axis of 1. Mamba-2 is the second
with q = C, k = B, v = dt x and g = dt A (Dao & Gu 2024, arXiv 2405.21060, section 3), S being the transpose of its h.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

STEP = "Mamba2Step"


class _Body:
    """Nodes of a function body in the making."""

    def __init__(self, prefix: str) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self._prefix = prefix

    def node(self, operator: str, inputs: list[str], name: str = "", **attributes: Any) -> str:
        """Append a node with one output, named `name` or after its operator; returns the output."""
        output = name or f"{self._prefix}_{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def integers(self, *values: int) -> str:
        """A constant vector."""
        return self.node("Constant", [], value=numpy_helper.from_array(np.asarray(values, np.int64)))

    def fused(self, operator: str, inputs: list[str], domain: str, **attributes: Any) -> tuple[str, str]:
        """Append the operator itself; returns its result and its next state."""
        outputs = [f"{self._prefix}_result", f"{self._prefix}_present"]
        self.nodes.append(helper.make_node(operator, inputs, outputs, name=self._prefix, domain=domain, **attributes))
        return outputs[0], outputs[1]


def with_convolution(function: onnx.FunctionProto, domain: str) -> None:
    """Replace window, taps, bias and SiLU."""
    body = _Body("causal_conv")
    column = body.node("Unsqueeze", ["xbc", body.integers(0, 2)])
    weight = body.node("Unsqueeze", ["conv_weight", body.integers(1)])
    past = body.node("Unsqueeze", ["conv_state", body.integers(0)])
    inputs = [column, weight, "conv_bias", past]
    result, present = body.fused("CausalConvWithState", inputs, domain, activation="silu")
    body.node("Squeeze", [result, body.integers(0, 2)], "u")
    body.node("Squeeze", [present, body.integers(0)], "conv_next")
    _replace(function, {"u", "conv_next"}, body.nodes)


def with_attention(function: onnx.FunctionProto, domain: str) -> None:
    """Replace decay, update and reading of the state."""
    heads, headdim = _constant(function, "x_shape")
    body = _Body("linear_attention")
    query, key = (
        body.node("Reshape", [body.node("Tile", [name, body.integers(heads)]), body.integers(1, 1, -1)])
        for name in ("C", "B")
    )
    value = body.node("Reshape", ["dx", body.integers(1, 1, heads * headdim)])
    decay = body.node("Reshape", ["dt_A", body.integers(1, 1, heads)])
    past = body.node("Unsqueeze", [body.node("Transpose", ["ssm_state"], perm=[0, 2, 1]), body.integers(0)])
    attributes: dict[str, Any] = {"q_num_heads": heads, "kv_num_heads": heads, "scale": 1.0, "update_rule": "gated"}
    result, present = body.fused("LinearAttention", [query, key, value, past, decay], domain, **attributes)
    body.node("Reshape", [result, body.integers(heads, headdim)], "read_sums")
    body.node("Transpose", [body.node("Squeeze", [present, body.integers(0)])], "ssm_next", perm=[0, 2, 1])
    _replace(function, {"read_sums", "ssm_next"}, body.nodes)


BODIES: dict[str, Callable[[onnx.FunctionProto, str], None]] = {
    "CausalConvWithState": with_convolution,
    "LinearAttention": with_attention,
}


def _constant(function: onnx.FunctionProto, name: str) -> tuple[int, ...]:
    node = next(node for node in function.node if node.op_type == "Constant" and name in node.output)
    return tuple(int(value) for value in numpy_helper.to_array(node.attribute[0].t))


def _replace(function: onnx.FunctionProto, outputs: set[str], nodes: list[onnx.NodeProto]) -> None:
    """Put `nodes` in place of what gave `outputs`, without what then serves nothing."""
    kept = [node for node in function.node if not outputs & set(node.output)]
    ordered = list(_alive(_in_order([*kept, *nodes], set(function.input)), set(function.output)))
    del function.node[:]
    function.node.extend(ordered)


def _in_order(nodes: list[onnx.NodeProto], known: set[str]) -> list[onnx.NodeProto]:
    """Sort so that each node comes after what it reads."""
    ordered: list[onnx.NodeProto] = []
    while len(ordered) < len(nodes):
        ready = [node for node in nodes if node not in ordered and set(node.input) <= known | {""}]
        if not ready:
            raise ValueError("the body's nodes read each other in a circle")
        ordered += ready
        known |= {name for node in ready for name in node.output}
    return ordered


def _alive(nodes: list[onnx.NodeProto], wanted: set[str]) -> Iterable[onnx.NodeProto]:
    """Those that something wanted depends on."""
    kept = []
    for node in reversed(nodes):
        if wanted & set(node.output):
            kept.append(node)
            wanted |= set(node.input)
    return reversed(kept)
