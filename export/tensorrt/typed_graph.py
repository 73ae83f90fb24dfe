"""A strongly typed step for TensorRT: int8 between quantizers around the dense layers, fp16 beside them, and recurrence
and state in float32.

Precision lies in the graph, as TensorRT 11 demands and 10 allows. The fp16 form (`edgebci.export.half_graph`) gives
casts and types; here its dense layers become

    q = QuantizeLinear(x, act_scale)       per tensor, symmetric, zero point 0
    W = DequantizeLinear(weight, scale)    per row of the layer, symmetric, zero points 0
    y = MatMul(DequantizeLinear(q), W) + bias

on a row (1, K), since a matrix product of a vector has no int8 kernel. All functions are inlined, and the opset is the
last that TensorRT 10 states; no operator here means anything else in it.

A layer with fewer than 16 inputs or outputs is slower with quantizers than without (NVIDIA's own quantizer leaves such
layers out since its release 0.44): it stays in fp16, or is padded with zeros to 16.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray
from onnx import numpy_helper

from edgebci.documents import Document
from edgebci.errors import InputError
from edgebci.export.graph_builder import DOMAIN, Builder, formal
from edgebci.export.half_graph import halved
from edgebci.export.precision_check import SMALLEST_INT8_SHARE, Int8Share
from edgebci.export.tensorrt.int8_tokens import LAYER, token_nodes, write_int8_tokens
from edgebci.export.tensorrt.smoothed_norms import take_over_norms
from edgebci.export.verification import inlined
from edgebci.targets import Precision

LEAST = 16
"""Inputs or outputs of a layer for which TensorRT has int8 kernels that pay."""
OPSET = 20
IR_VERSION = 10
Small = Literal["fp16", "pad", "auto"]
"""What becomes of a layer with fewer: left in fp16; padded; or left while 95 % of the dense MACs stay int8."""
_LEAST_SCALE = float(np.finfo(np.float16).tiny)
_WHOLE, _PADDED = "DenseInt8", "DenseInt8Padded"

Integers = Mapping[str, NDArray[Any]]
"""The tensors of a quantized decoder by name (`QuantizedDecoder.tensors`)."""


class DenseRecord(Document):
    """How one dense layer, or the attention over the tokens of a decoder of spikes, is computed."""

    name: str
    inputs: int
    outputs: int
    computes: Literal["fp32", "fp16", "int8"]
    padded_to: tuple[int, int] | None = None
    """Inputs and outputs with the zeros that were put beside them."""
    reason: str = ""
    """Why it is not what was asked for, or why it is padded."""

    @property
    def macs(self) -> int:
        """Of the layer itself, without padding."""
        return self.inputs * self.outputs


@dataclass(frozen=True, eq=False)
class TypedStep:
    """The graph and what became of each dense layer."""

    model: onnx.ModelProto
    layers: tuple[DenseRecord, ...]

    @property
    def int8_share(self) -> float:
        """Of the multiply-accumulates of dense layers, those in int8."""
        macs = sum(layer.macs for layer in self.layers)
        return sum(layer.macs for layer in self.layers if layer.computes == "int8") / macs if macs else 0.0


def share_on_board(layers: Sequence[DenseRecord], share: Int8Share) -> float:
    """Of the MACs with a weight that `share` counts in the exact form, those that are int8 by int8 here, too."""
    here = {layer.name for layer in layers if layer.computes == "int8"}
    return sum(one.macs for one in share.tensors if one.in_int8 and one.name in here) / share.weight_macs


def typed_step(
    step: onnx.ModelProto, precision: Precision, integers: Integers | None = None, small: Small = "fp16"
) -> TypedStep:
    """The float step graph `step` in `precision`, inlined and fully checked; the same weights give the same bytes.

    Args:
        step: of the float decoder, with its functions.
        precision: fp32, fp16 or int8.
        integers: of the quantized decoder; int8 needs them.
        small: what becomes of layers with fewer than 16 inputs or outputs.

    Raises:
        InputError: int8 without integers, integers of another decoder, or a precision that there is not.
    """
    if precision == "fp32":
        return _finished(step, [_plain(node, step, "fp32") for node in _dense(step)])
    if precision == "fp16":
        half = halved(step)
        return _finished(half, [_plain(node, half, "fp16") for node in _dense(half)])
    if precision != "int8" or integers is None:
        raise InputError(
            f"a Jetson bundle in {precision!r} {'without' if integers is None else 'with'} a quantized decoder: "
            "allowed are fp32, fp16, and int8 with one; change --precision"
        )
    if small == "auto":
        left = typed_step(step, precision, integers, "fp16")
        return left if left.int8_share >= SMALLEST_INT8_SHARE else typed_step(step, precision, integers, "pad")
    half = halved(step)
    plans = [_plan(node, half, integers, small) for node in _dense(half)]
    take_over_norms(half, {one.name for one in plans if one.computes == "int8"}, integers)
    attentions = [_plan_tokens(node, half, integers) for node in token_nodes(half)]
    if any(plan.computes == "int8" for plan in attentions):
        write_int8_tokens(half, integers)
    _write_int8(half, plans, integers)
    return _finished(half, [*attentions, *plans])


def _dense(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    return [node for node in model.graph.node if node.op_type == "Dense" and node.domain == DOMAIN]


def _plain(node: onnx.NodeProto, model: onnx.ModelProto, computes: Literal["fp32", "fp16"]) -> DenseRecord:
    outputs, inputs = next(tuple(tensor.dims) for tensor in model.graph.initializer if tensor.name == node.input[1])
    return DenseRecord(name=node.name, inputs=inputs, outputs=outputs, computes=computes)


def _plan(node: onnx.NodeProto, model: onnx.ModelProto, integers: Integers, small: Small) -> DenseRecord:
    plain = _plain(node, model, "fp16")
    weight = integers.get(f"{node.name}.weight")
    sizes = (plain.inputs, plain.outputs)
    if weight is None or weight.dtype != np.int8:
        return plain.model_copy(update={"reason": "its weights are not int8"})
    if weight.shape != sizes[::-1]:
        raise InputError(
            f"{node.name} is {plain.outputs} x {plain.inputs} in the float decoder and {weight.shape[0]} x "
            f"{weight.shape[1]} in the quantized one; give the two of one checkpoint"
        )
    least = min(float(np.min(integers[f"{node.name}.{part}"])) for part in ("act_scale", "weight_scale"))
    if least < _LEAST_SCALE:
        return plain.model_copy(update={"reason": f"its scale {least:.2g} is below what fp16 holds"})
    if min(sizes) >= LEAST:
        return plain.model_copy(update={"computes": "int8"})
    reason = f"fewer than {LEAST} {'inputs' if plain.inputs < LEAST else 'outputs'}"
    if small == "fp16":
        return plain.model_copy(update={"reason": reason})
    padded = (max(plain.inputs, LEAST), max(plain.outputs, LEAST))
    return plain.model_copy(update={"computes": "int8", "padded_to": padded, "reason": reason})


def _plan_tokens(node: onnx.NodeProto, model: onnx.ModelProto, integers: Integers) -> DenseRecord:
    """Shares of tokens times their values: a product with as many inputs as there are tokens."""
    tokens = next(value for value in model.graph.input if value.name == node.input[0])
    inputs, outputs = tokens.type.tensor_type.shape.dim[0].dim_value, integers["tokens.value"].shape[1]
    plain = DenseRecord(name=LAYER, inputs=inputs, outputs=outputs, computes="fp32")
    if integers["tokens.share"].dtype != np.int8:
        return plain.model_copy(update={"reason": "its shares are not int8"})
    if min(inputs, outputs) < LEAST:
        return plain.model_copy(update={"reason": f"fewer than {LEAST} tokens or values"})
    return plain.model_copy(update={"computes": "int8"})


def _write_int8(half: onnx.ModelProto, plans: Sequence[DenseRecord], integers: Integers) -> None:
    """Let the nodes call int8 functions with integer weights, and leave out the fp16 weights that nobody reads."""
    wanted = {plan.name: plan for plan in plans if plan.computes == "int8"}
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in half.graph.initializer}
    for node in _dense(half):
        if plan := wanted.get(node.name):
            given = _tensors(plan, integers)
            stored |= given
            node.op_type = _PADDED if plan.padded_to else _WHOLE
            node.input[:] = [node.input[0], *given]
    read = {name for node in half.graph.node for name in node.input}
    kept = [numpy_helper.from_array(values, name) for name, values in stored.items() if name in read]
    del half.graph.initializer[:]
    half.graph.initializer.extend(kept)
    half.functions.extend(ir.to_proto(function) for function in (_function(_WHOLE), _function(_PADDED)))
    half.graph.name = half.graph.name.removesuffix("_fp16") + "_int8_fp16"


def _tensors(plan: DenseRecord, integers: Integers) -> dict[str, NDArray[Any]]:
    """Inputs of the function after x, in its order."""
    name = plan.name
    n_in, n_out = plan.padded_to or (plan.inputs, plan.outputs)
    rows, columns = n_out - plan.outputs, n_in - plan.inputs
    scale = np.pad(integers[f"{name}.weight_scale"], (0, rows), constant_values=1.0)
    bias = integers.get(f"{name}.bias", np.zeros(plan.outputs, np.float32))
    given = {
        f"{name}.int8_weight": np.ascontiguousarray(np.pad(integers[f"{name}.weight"], ((0, rows), (0, columns))).T),
        f"{name}.int8_weight_scale": scale.astype(np.float16),
        f"{name}.int8_act_scale": integers[f"{name}.act_scale"].astype(np.float16),
        "int8_zero_point": np.asarray(0, np.int8),
        f"{name}.int8_zero_points": np.zeros(n_out, np.int8),
        f"{name}.int8_bias": np.pad(bias, (0, rows)).astype(np.float16),
    }
    if plan.padded_to is None:
        return given
    return given | {
        f"{name}.zeros": np.zeros(columns, np.float16),
        "from_0": np.asarray([0], np.int64),
        f"to_{plan.outputs}": np.asarray([plan.outputs], np.int64),
        "axis_0": np.asarray([0], np.int64),
    }


def _function(name: str) -> ir.Function:
    """DenseInt8(x, weight, weight_scale, act_scale, zero_point, bias): (K,) and (K, N) to (N,), all else fp16."""
    body = Builder()
    inputs = formal("x", "weight", "weight_scale", "act_scale", "zero_point", "zero_points", "bias")
    x, weight, weight_scale, act_scale, zero_point, zero_points, bias = inputs
    padding = formal("zeros", "start", "stop", "axis") if name == _PADDED else []
    wide = body.node("Concat", [x, padding[0]], "wide", {"axis": 0}) if padding else x
    axis = body.constant("row_axis", [0], np.int64)
    row = body.node("Unsqueeze", [wide, axis], "row")
    q = body.node("QuantizeLinear", [row, act_scale, zero_point], "q")
    activations = body.node("DequantizeLinear", [q, act_scale, zero_point], "activations")
    weights = body.node("DequantizeLinear", [weight, weight_scale, zero_points], "weights", {"axis": 1})
    product = body.node("Add", [body.node("MatMul", [activations, weights], "product"), bias], "sum")
    y = body.node("Squeeze", [product, axis], "y")
    y = body.node("Slice", [y, *padding[1:]], "kept") if padding else y
    return body.function(name, [*inputs, *padding], [y])


def _finished(model: onnx.ModelProto, layers: Sequence[DenseRecord]) -> TypedStep:
    """Inlined, in the opset that every version of TensorRT here takes."""
    used = {node.op_type for node in model.graph.node}
    kept = [function for function in model.functions if function.name in used]
    del model.functions[:]
    model.functions.extend(kept)
    flat = inlined(model)
    del flat.opset_import[:]
    flat.opset_import.append(onnx.helper.make_opsetid("", OPSET))
    flat.ir_version = IR_VERSION
    onnx.checker.check_model(flat, full_check=True)
    return TypedStep(flat, tuple(layers))
