"""The attention over spikes of a decoder in int8 for TensorRT: shares and values between quantizers.

    s = score[unit, time_step]              in counts of the exact form
    q = QuantizeLinear(exp(s - max s), 1/127)
    x = latent + DequantizeLinear(q) @ DequantizeLinear(values) / sum of DequantizeLinear(q)

A share is rounded before it is divided by the sum of all, so q are the very counts of
`edgebci.operators.token_attention.QuantizedTokenAttention`, and x differs from it by the rounding of float32 only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray
from onnx import numpy_helper

from edgebci.errors import VerificationError
from edgebci.export.graph_builder import Builder, formal
from edgebci.export.operators.token_attention import looked_up
from edgebci.export.stream_comparison import CURE
from edgebci.operators.token_attention import SCORE_SCALE, QuantizedTokenAttention

LAYER = "tokens.value"
"""As `edgebci.export.precision_check` calls the product."""
_NAME = "TokenAttentionInt8"
_SHARE_SCALE = 1 / 127
_ROUNDING = 2.0**-20
"""float32 rounds at 2^-24; a dozen times in a row here."""


def token_nodes(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """The attentions of a step, at most one."""
    return [node for node in model.graph.node if node.op_type == "TokenAttention"]


def write_int8_tokens(model: onnx.ModelProto, integers: Mapping[str, NDArray[Any]]) -> None:
    """Let the attention of a half-precision step compute in int8, with the tables of the quantized decoder."""
    (node,) = token_nodes(model)
    tables = {
        "tokens.int8_score": (integers["tokens.score"] * SCORE_SCALE).astype(np.float32),
        "tokens.int8_value": integers["tokens.value"],
        "tokens.int8_value_scale": integers["tokens.value_scale"].astype(np.float32),
        "tokens.int8_share_scale": np.asarray(_SHARE_SCALE, np.float32),
        "tokens.int8_zero_point": np.zeros((), np.int8),
        "tokens.latent": integers["tokens.latent"],
    }
    replaced = set(node.input[1:])
    kept = [tensor for tensor in model.graph.initializer if tensor.name not in replaced]
    del model.graph.initializer[:]
    model.graph.initializer.extend([*kept, *(numpy_helper.from_array(values, name) for name, values in tables.items())])
    node.op_type = _NAME
    node.input[:] = [node.input[0], *tables]
    model.functions.append(ir.to_proto(_function()))


def _function() -> ir.Function:
    """TokenAttentionInt8(tokens, score, value, value_scale, share_scale, zero_point, latent) -> x, all else float32."""
    body = Builder()
    inputs = formal("tokens", "score", "value", "value_scale", "share_scale", "zero_point", "latent")
    tokens, score, value, value_scale, share_scale, zero, latent = inputs
    table = body.node("DequantizeLinear", [value, value_scale, zero], "table")
    there, scores, found = looked_up(body, tokens, score, table)
    values_q = body.node("QuantizeLinear", [found, value_scale, zero], "values_q")
    values = body.node("DequantizeLinear", [values_q, value_scale, zero], "counted_values")
    masked = body.node("Where", [there, scores, body.constant("least", -1e30, np.float32)], "masked")
    axis = body.constant("token_axis", [0], np.int64)
    largest = body.node("ReduceMax", [masked, axis], "largest", {"keepdims": 1})
    raised = body.node("Exp", [body.node("Sub", [masked, largest], "below")], "raised")
    q = body.node("QuantizeLinear", [raised, share_scale, zero], "q")
    shares = body.node("DequantizeLinear", [q, share_scale, zero], "counted_shares")
    row_axis = body.constant("row_axis", [0], np.int64)
    matrix = body.node("Unsqueeze", [shares, row_axis], "share_row")
    mixed = body.node("Squeeze", [body.node("MatMul", [matrix, values], "product"), row_axis], "mixed")
    total = body.node("ReduceSum", [shares, axis], "total", {"keepdims": 1})
    x = body.node("Add", [latent, body.node("Div", [mixed, total], "mean")], "x")
    return body.function(_NAME, inputs, [x])


class TokensInInt8:
    """The attention of the quantized decoder beside that of a graph."""

    name = LAYER

    def __init__(self, model: onnx.ModelProto, integers: Mapping[str, NDArray[Any]]) -> None:
        """`model`: inlined. The counts come from the decoder, not from the graph that is judged."""
        self._exact = QuantizedTokenAttention.of(integers)
        self.borders = {next(node for node in model.graph.node if node.name == "tokens/x").output[0]: np.float32}
        self._largest = np.abs(self._exact.value).max() * float(self._exact.value_scale)

    def error(self, found: Mapping[str, NDArray[Any]], step: int) -> float:
        """Of one step, as a share of what float32 can make; raises VerificationError where that is more than 1."""
        expected = self._exact(found["frame"][None])[0].astype(np.float64)
        bound = _ROUNDING * (np.abs(self._exact.latent) + self._largest)
        (gives,) = self.borders
        share = float(np.max(np.abs(found[gives].astype(np.float64) - expected) / bound))
        if not share <= 1.0:
            raise VerificationError(
                f"the int8 attention over tokens differs at step {step} by {share:.2g} times what float32 rounding can "
                f"make; {CURE}"
            )
        return share
