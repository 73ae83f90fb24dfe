"""REALM's tokenizer in ONNX: its step, a quantizer, Dense, RmsNorm.

    edgebci.SiluTokenizerStep(frame, conv, mean, weight, conv_weight, conv_weight_scale, conv_scale, conv_bias,
                              attention, mean_scale, keep, unit)             -> g, conv_next, mean_next, weight_next

or GeluTokenizerStep; without scales and unit in the float step. Tensors are one step of one stream: frame (C,), conv
(C, taps - 1) oldest first, mean (C,), weight (1,), g (C E,) channel by channel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from edgebci.arithmetic import F32
from edgebci.export.c_graph import Node, StepGraph
from edgebci.export.c_literals import Constant, identifier, literal
from edgebci.export.c_operation import Buffer, Operation, Translate, c_name, check_columns, floats
from edgebci.export.calibration import INT16_MAX, QuantizationRecipe, quantize_dense, quantize_weight, scale_of
from edgebci.export.graph_builder import DOMAIN, Builder, formal
from edgebci.export.graph_functions import gelu, rms_norm_function, silu, slide, unsqueeze
from edgebci.export.operators.form import EntryForm, Step
from edgebci.export.writers import INT8, INT16, INT32, CountingBody, FloatWriter, QuantizedWriter, Values
from edgebci.operators.cell import F64
from edgebci.operators.dense import inverse
from edgebci.operators.tokenizer import CONV, MEAN, MEAN_HIGHEST, WEIGHT, QuantizedTokenizer, TokenizerEntry

_STATES = (CONV, MEAN, WEIGHT)
_FLOAT_WEIGHTS = ("conv.weight", "conv.bias", "attention.weight", "keep")
_WEIGHTS = (
    *("conv.weight", "conv.weight_scale", "conv.scale", "conv.bias"),
    *("attention.weight", "mean_scale", "keep", "unit"),
)


@dataclass(frozen=True)
class TokenizerForm(EntryForm):
    """Four nodes."""

    entry: TokenizerEntry

    @property
    def operator(self) -> str:
        """SiluTokenizerStep or GeluTokenizerStep."""
        return f"{self.entry.spec.activation.capitalize()}TokenizerStep"

    def quantize(
        self,
        weights: Mapping[str, F64],
        scales: Mapping[str, F32],
        largest: Mapping[str, F64],
        recipe: QuantizationRecipe,
    ) -> QuantizedTokenizer:
        """Frames: one scale per channel; means: one for all, since gates compare them."""
        spec, headroom = self.entry.spec, recipe.state_headroom
        conv_weight, conv_weight_scale = quantize_weight(weights["tokenizer.conv.weight"][:, 0])
        mix, bias = weights["tokenizer.mix.weight"], weights["tokenizer.mix.bias"]
        return QuantizedTokenizer(
            conv_weight=conv_weight,
            conv_weight_scale=conv_weight_scale,
            conv_scale=scale_of(largest[CONV] * headroom, INT16_MAX),
            conv_bias=weights["tokenizer.conv.bias"].astype(np.float32),
            attention=weights["tokenizer.attention.weight"][0, 0].astype(np.float32),
            mean_scale=scale_of(largest[MEAN].max() * headroom, int(MEAN_HIGHEST)),
            keep=np.asarray(spec.keep, np.float32),
            unit=np.asarray(spec.unit, np.float32),
            norm_weight=weights["tokenizer.norm.weight"].astype(np.float32),
            mix=quantize_dense(mix, bias, scales["tokenizer.gated"], recipe.weight_bits("tokenizer.mix")),
            activation=spec.activation,
            norm_epsilon=self.entry.norm_epsilon,
        )

    def float_functions(self) -> list[ir.Function]:
        """See `EntryForm.float_functions`."""
        return [_float_function(self.operator, self.entry)]

    def float_step(self, writer: FloatWriter, frame: ir.Value, states: Values) -> Step:
        """See `EntryForm.float_step`."""
        given = {
            "conv.weight": writer.parameters["tokenizer.conv.weight"][:, 0],
            "attention.weight": writer.parameters["tokenizer.attention.weight"][0, 0],
            "keep": np.asarray(self.entry.spec.keep),
        }
        weights = [writer.weight(f"tokenizer.{name}", given.get(name)) for name in _FLOAT_WEIGHTS]
        gated, following = self._call(writer.graph, [frame, *(states[name] for name in _STATES), *weights])
        return writer.rms_norm(writer.dense(gated, "tokenizer.mix"), "tokenizer.norm"), following

    def quantized_functions(self) -> list[ir.Function]:
        """See `EntryForm.quantized_functions`."""
        return [_quantized_function(self.operator, self.entry), rms_norm_function()]

    def quantized_step(self, writer: QuantizedWriter, frame: ir.Value, states: Values) -> Step:
        """See `EntryForm.quantized_step`."""
        weights = [writer.tensor(f"tokenizer.{name}") for name in _WEIGHTS]
        gated, following = self._call(writer.graph, [frame, *(states[name] for name in _STATES), *weights])
        name = "tokenizer.mix"
        q = writer.quantize(gated, f"{name}.act_scale", f"{name}_quantize", "tokenizer.gated_q")
        inputs = [writer.dense(q, name), writer.tensor("tokenizer.norm.weight")]
        attributes = {"epsilon": writer.norm_epsilon}
        return writer.graph.node("RmsNorm", inputs, "tokenizer.norm", attributes, DOMAIN), following

    def _call(self, graph: Builder, inputs: list[ir.Value]) -> Step:
        outputs = ["tokenizer.gated", *(f"{state}.next" for state in _STATES)]
        gated, *states = graph.call(self.operator, inputs, "tokenizer.step", outputs, domain=DOMAIN)
        return gated, dict(zip(_STATES, states, strict=True))


def _features(body: Builder, window: ir.Value, weight: ir.Value) -> ir.Value:
    """Sums over taps (C, E) of window (C, taps) and weight (E, taps)."""
    products = body.node("Mul", [unsqueeze(body, window, 1, "window_column"), weight], "taps")
    return body.node("ReduceSum", [products, body.constant("tap_axis", [2], np.int64)], "tap_sums", {"keepdims": 0})


def _active(body: Builder, operator: str, x: ir.Value) -> tuple[ir.Value, ir.Value]:
    """The activation (C, E), and its mean over features (C,)."""
    values = gelu(body, x, "values") if operator.startswith("Gelu") else silu(body, x, "values")
    axis = body.constant("feature_axis", [1], np.int64)
    return values, body.node("ReduceMean", [values, axis], "feature_mean", {"keepdims": 0})


def _gated(body: Builder, entry: TokenizerEntry, values: ir.Value, mean: ir.Value, attention: ir.Value) -> ir.Value:
    """values * sigmoid(attention over neighbouring channels of the mean): (C E,)."""
    taps = entry.spec.attention_taps
    row = body.node("Reshape", [mean, body.constant("row_shape", [1, 1, -1], np.int64)], "row")
    kernel = body.node("Reshape", [attention, body.constant("kernel_shape", [1, 1, taps], np.int64)], "kernel")
    sums = body.node("Conv", [row, kernel], "neighbours", {"pads": [taps // 2, taps // 2], "kernel_shape": [taps]})
    gates = body.node("Sigmoid", [sums], "gates")
    column = body.node("Reshape", [gates, body.constant("column_shape", [-1, 1], np.int64)], "gate_column")
    gated = body.node("Mul", [values, column], "gated")
    return body.node("Reshape", [gated, body.constant("flat_shape", [-1], np.int64)], "g")


def _moved(body: Builder, mean: ir.Value, x: ir.Value, rate: ir.Value) -> ir.Value:
    difference = body.node("Sub", [x, mean], "difference")
    return body.node("Add", [mean, body.node("Mul", [difference, rate], "approach")], "moved")


def _float_function(operator: str, entry: TokenizerEntry) -> ir.Function:
    body = Builder()
    inputs = formal("frame", "conv", "mean", "weight", "conv_weight", "conv_bias", "attention", "keep")
    frame, conv, mean, weight, conv_weight, conv_bias, attention, keep = inputs
    window, conv_next = slide(body, conv, frame)
    sums = _features(body, window, conv_weight)
    values, feature_mean = _active(body, operator, body.node("Add", [sums, conv_bias], "features"))
    one = body.constant("one", 1.0, np.float32)
    weight_next = body.node("Add", [body.node("Mul", [keep, weight], "kept"), one], "weight_next")
    mean_next = _moved(body, mean, feature_mean, body.node("Reciprocal", [weight_next], "rate"))
    gated = _gated(body, entry, values, mean_next, attention)
    return body.function(operator, inputs, [gated, conv_next, mean_next, weight_next])


def _quantized_function(operator: str, entry: TokenizerEntry) -> ir.Function:
    body = CountingBody()
    names = ("conv_weight", "conv_weight_scale", "conv_scale", "conv_bias", "attention", "mean_scale", "keep", "unit")
    inputs = formal("frame", "conv", "mean", "weight", *names)
    frame, conv, mean, weight, conv_weight, conv_weight_scale, conv_scale, conv_bias, *rest = inputs
    attention, mean_scale, keep, unit = rest
    newest = body.node("Mul", [frame, body.node("Reciprocal", [conv_scale], "inverse_conv_scale")], "frame_counts")
    window, conv_next = slide(body, conv, body.quantize(newest, INT16, "frame_q"))
    sums = _features(body, body.counts(window, INT16, "window_counts"), body.counts(conv_weight, INT8, "tap_weights"))
    scale = body.node("Mul", [unsqueeze(body, conv_scale, 1, "conv_scale_column"), conv_weight_scale], "tap_scale")
    features = body.node("Add", [body.node("Mul", [sums, scale], "scaled_taps"), conv_bias], "features")
    values, feature_mean = _active(body, operator, features)
    kept = body.node("Mul", [keep, _float(body, weight, "weight_counts")], "kept")
    weight_counts = body.node("Round", [body.node("Add", [kept, unit], "weight_sum")], "weight_next_counts")
    rate = body.node("Div", [unit, weight_counts], "rate")
    x = body.node("Mul", [feature_mean, body.node("Reciprocal", [mean_scale], "inverse_mean_scale")], "x_counts")
    moved = _moved(body, _float(body, mean, "mean_counts"), x, rate)
    ends = [body.constant(name, end, np.float32) for name, end in (("low", -MEAN_HIGHEST), ("high", MEAN_HIGHEST))]
    mean_counts = body.node("Round", [body.node("Clip", [moved, *ends], "clipped")], "mean_next_counts")
    gated = _gated(body, entry, values, body.node("Mul", [mean_counts, mean_scale], "mean_value"), attention)
    states = [_integer(body, mean_counts, "mean_next"), _integer(body, weight_counts, "weight_next")]
    return body.function(operator, inputs, [gated, conv_next, *states])


def _float(body: Builder, integers: ir.Value, name: str) -> ir.Value:
    return body.node("Cast", [integers], name, {"to": ir.DataType.FLOAT.value})


def _integer(body: Builder, counts: ir.Value, name: str) -> ir.Value:
    return body.node("Cast", [counts], name, {"to": INT32.value})


def _c_step(activate: str) -> Translate:
    """The translation of the step with one activation."""

    def translate(node: Node, graph: StepGraph, sizes: dict[str, int]) -> Operation:
        frame, conv, mean, weight, *_ = node.inputs
        channels, past = graph.states[conv]
        check_columns(node, channels, sizes[frame])
        features, taps = graph.constants[node.inputs[4]].shape[0], len(graph.constants[node.inputs[8]])
        name, kernel = c_name(node), f"tokenizer_step_{channels}x{features}"
        constants, numbers = _c_constants(node, graph, name)
        states = ", ".join(f"c->state_{identifier(state)}" for state in (conv, mean, weight))
        shape = f"{channels}u, {features}u, {past + 1}u, {taps}u"
        return Operation(
            node,
            reads=(frame,),
            writes=Buffer(node.outputs[0], "float", channels * features),
            shapes=f"float32 [{channels}] -> float32 [{channels}][{features}], states int16 [{channels}][{past}], "
            f"int32 [{channels}], int32 [1]",
            call=f"{kernel}(&{name}, {{0}}, {states}, {{out}});",
            kernel=f"EDGEBCI_DEFINE_TOKENIZER_STEP({kernel}, {shape}, {activate})",
            constants=constants,
            description=f"{{{', '.join([*(constant.name for constant in constants), *numbers])}}}",
            description_type="edgebci_tokenizer_t",
            states=(conv, mean, weight),
            headers=("edgebci_activations.h", "edgebci_tokenizer.h"),
        )

    return translate


def _c_constants(node: Node, graph: StepGraph, name: str) -> tuple[tuple[Constant, ...], list[str]]:
    """In the order of edgebci_tokenizer_t: arrays, then numbers."""
    conv_weight, weight_scale, conv_scale, conv_bias, attention, mean_scale, keep, unit = node.inputs[4:]
    scale = floats(graph, conv_scale)[:, None] * floats(graph, weight_scale)
    arrays = (
        ("conv_weight", graph.constants[conv_weight], f"{conv_weight}: int8 [features][taps], oldest first"),
        ("conv_inverse_scale", inverse(floats(graph, conv_scale)), f"1 / {conv_scale}"),
        ("conv_out_scale", scale, f"{conv_scale} * {weight_scale}: [channels][features]"),
        ("conv_bias", floats(graph, conv_bias), conv_bias),
        ("attention", floats(graph, attention), attention),
    )
    means = floats(graph, mean_scale).reshape(())
    numbers = (means, inverse(means), floats(graph, keep).reshape(()), floats(graph, unit).reshape(()))
    constants = tuple(Constant(f"{name}_{field}", values, comment) for field, values, comment in arrays)
    return constants, [literal(number) for number in numbers]


def _c_rms_norm(node: Node, graph: StepGraph, sizes: dict[str, int]) -> Operation:
    x, gamma = node.inputs
    n, name = sizes[x], c_name(node)
    weight = Constant(f"{name}_gamma", floats(graph, gamma), f"{gamma}: float32 [{n}]")
    numbers = (literal(np.float32(1.0 / n)), literal(np.float32(node.attributes["epsilon"])))
    return Operation(
        node,
        reads=(x,),
        writes=Buffer(node.outputs[0], "float", n),
        shapes=f"float32 [{n}] -> float32 [{n}]",
        call=f"rms_norm_{n}(&{name}, {{0}}, {{out}});",
        kernel=f"EDGEBCI_DEFINE_RMS_NORM(rms_norm_{n}, {n}u)",
        constants=(weight,),
        description=f"{{{weight.name}, {', '.join(numbers)}}}",
        description_type="edgebci_float_norm_t",
        headers=("edgebci_rms_norm.h",),
    )


C_OPERATORS: dict[str, Translate] = {
    "edgebci.SiluTokenizerStep": _c_step("edgebci_silu"),
    "edgebci.GeluTokenizerStep": _c_step("edgebci_gelu"),
    "edgebci.RmsNorm": _c_rms_norm,
}
