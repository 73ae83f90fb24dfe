"""The quantized step as ONNX with explicit Q/DQ: what `edgebci.quantized_decoder` computes, in standard operators.

The top level holds one node per call of the device's C, and nothing else:

    QuantizeLinear(frame, act_scale, zero)                                           -> q int8
    edgebci.Dense(q, weight, act_scale, weight_scale, bias)                          -> y float32
    edgebci.RmsNormQuantize(x, gamma, out_scale) {epsilon}                           -> q int8
    edgebci.Mamba2Step(p, conv_state, ssm_state, conv_weight, conv_weight_scale, conv_scale, conv_bias, dt_bias, A, D,
                       ssm_scale)                                                    -> g, conv_next, ssm_next
    Add(x, y)

Inside the functions Q and DQ work in counts (scale 1) and the scales are multiplications of their own, where the
reference has them: sums of products of integers are then exact in float32 (below 2^24, up to 1,032 columns), whether a
runtime multiplies integers or floats, and a value near a tie rounds the same way. ONNX Runtime fuses the dense layers
into integer kernels all the same.
"""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir

from edgebci.decoder_spec import DecoderSpec
from edgebci.export.graph_builder import (
    DOMAIN,
    Builder,
    formal,
    state_inputs,
    state_outputs,
    tensor_value,
    typed,
)
from edgebci.export.graph_functions import (
    EPSILON,
    discretise,
    gate,
    read_state,
    rms_norm,
    silu,
    skip,
    slide,
    split_projection,
    tap_sums,
    unsqueeze,
)
from edgebci.quantized_decoder import QuantizedDecoder

FLOAT, INT8, INT16 = ir.DataType.FLOAT, ir.DataType.INT8, ir.DataType.INT16


def quantized_step_graph(decoder: QuantizedDecoder) -> onnx.ModelProto:
    """Build and fully check the quantized step graph; the same decoder gives the same bytes."""
    spec, writer = decoder.spec, _Writer(decoder)
    frame = tensor_value("frame", FLOAT, (spec.n_inputs,))
    states = state_inputs(spec, INT16)
    following: dict[str, ir.Value] = {}
    x = writer.dense(writer.quantize(frame), "input")
    for i in range(spec.n_layers):
        mixed, following[f"conv.{i}"], following[f"ssm.{i}"] = writer.mixer(i, x, states)
        x = writer.graph.node("Add", [x, mixed], f"layers.{i}.residual")
    output = writer.dense(writer.rms_norm(x, "norm", "readout"), "readout", "output")
    functions = [dense_function(), rms_norm_quantize_function(), mamba2_step_function(spec)]
    outputs = [typed(output, FLOAT, (spec.n_outputs,)), *state_outputs(spec, following, INT16)]
    return writer.graph.model("edgebci_quantized_step", [frame, *states.values()], outputs, functions)


class _Writer:
    """Writes calls of the functions, with tensors under their names in `QuantizedDecoder.tensors`."""

    def __init__(self, decoder: QuantizedDecoder) -> None:
        self.spec, self.tensors, self.graph = decoder.spec, decoder.tensors(), Builder()

    def quantize(self, frame: ir.Value) -> ir.Value:
        zero = self.graph.initializer("zero_point", np.asarray(0, np.int8))
        inputs = [frame, self._tensor("input.act_scale"), zero]
        return self.graph.call("QuantizeLinear", inputs, "frame_quantize", ["frame_q"])[0]

    def dense(self, q: ir.Value, name: str, output: str | None = None) -> ir.Value:
        parts = [self._tensor(f"{name}.{part}") for part in ("weight", "act_scale", "weight_scale", "bias")]
        return self.graph.call("Dense", [q, *parts], name, [output or f"{name}.output"], domain=DOMAIN)[0]

    def rms_norm(self, x: ir.Value, name: str, following: str, output: str | None = None) -> ir.Value:
        """Normalise and quantize for the dense layer `following`."""
        inputs = [x, self._tensor(f"{name}.weight"), self._tensor(f"{following}.act_scale")]
        outputs, attributes = [output or f"{name}_q"], {"epsilon": self.spec.norm_epsilon}
        return self.graph.call("RmsNormQuantize", inputs, name, outputs, attributes, DOMAIN)[0]

    def mixer(self, i: int, x: ir.Value, states: dict[str, ir.Value]) -> list[ir.Value]:
        """One block up to its residual: the addend and the next states."""
        layer, name = f"layers.{i}", f"layers.{i}.mixer"
        p = self.dense(self.rms_norm(x, f"{layer}.norm", f"{name}.in_proj"), f"{name}.in_proj")
        weights = (
            "conv1d.weight",
            "conv1d.weight_scale",
            "conv1d.scale",
            "conv1d.bias",
            "dt_bias",
            "A",
            "D",
            "ssm_scale",
        )
        inputs = [p, states[f"conv.{i}"], states[f"ssm.{i}"], *(self._tensor(f"{name}.{weight}") for weight in weights)]
        outputs = [f"{name}.gated", f"conv.{i}.next", f"ssm.{i}.next"]
        gated, conv, ssm = self.graph.call("Mamba2Step", inputs, name, outputs, domain=DOMAIN)
        q = self.rms_norm(gated, f"{name}.norm", f"{name}.out_proj", f"{layer}.gated_q")
        return [self.dense(q, f"{name}.out_proj"), conv, ssm]

    def _tensor(self, name: str) -> ir.Value:
        return self.graph.initializer(name, self.tensors[name])


class _Body(Builder):
    """A function body with quantizers that count."""

    def __init__(self) -> None:
        super().__init__()
        self.one = self.constant("one", 1.0, np.float32)
        self.zeros = {INT8: self.constant("zero8", 0, np.int8), INT16: self.constant("zero16", 0, np.int16)}

    def quantize(self, counts: ir.Value, dtype: ir.DataType, name: str) -> ir.Value:
        """Round to the nearest integer, ties to even, and saturate."""
        return self.node("QuantizeLinear", [counts, self.one, self.zeros[dtype]], name)

    def counts(self, integers: ir.Value, dtype: ir.DataType, name: str) -> ir.Value:
        """The integers as float32."""
        return self.node("DequantizeLinear", [integers, self.one, self.zeros[dtype]], name)


def dense_function() -> ir.Function:
    """Dense(q, weight, act_scale, weight_scale, bias) = (weight q) * (act_scale * weight_scale) + bias."""
    body = _Body()
    inputs = formal("q", "weight", "act_scale", "weight_scale", "bias")
    q, weight, act_scale, weight_scale, bias = inputs
    columns = body.node("Transpose", [body.counts(weight, INT8, "weight_counts")], "columns", {"perm": [1, 0]})
    sums = body.node("MatMul", [body.counts(q, INT8, "q_counts"), columns], "sums")
    scale = body.node("Mul", [act_scale, weight_scale], "scale")
    return body.function("Dense", inputs, [body.node("Add", [body.node("Mul", [sums, scale], "scaled"), bias], "y")])


def rms_norm_quantize_function() -> ir.Function:
    """RmsNormQuantize(x, gamma, out_scale): the norm, in counts of out_scale."""
    body = _Body()
    inputs = formal("x", "gamma", "out_scale")
    x, gamma, out_scale = inputs
    normed = rms_norm(body, x, gamma)
    counts = body.node("Mul", [normed, body.node("Reciprocal", [out_scale], "inverse_scale")], "counts")
    return body.function("RmsNormQuantize", inputs, [body.quantize(counts, INT8, "q")], [EPSILON])


def mamba2_step_function(spec: DecoderSpec) -> ir.Function:
    """Mamba2Step with int16 states; see the top of this file for its inputs."""
    body = _Body()
    inputs = formal("p", "conv_state", "ssm_state", "conv_weight", "conv_weight_scale", "conv_scale", "conv_bias")
    inputs += formal("dt_bias", "A", "D", "ssm_scale")
    p, conv_state, ssm_state, conv_weight, conv_weight_scale, conv_scale, conv_bias, dt_bias, A, D, ssm_scale = inputs
    parts = split_projection(body, spec, p)
    newest = body.node("Mul", [parts.xbc, body.node("Reciprocal", [conv_scale], "inverse_conv_scale")], "xbc_counts")
    window, conv_next = slide(body, conv_state, body.quantize(newest, INT16, "xbc_q"))
    sums = tap_sums(body, body.counts(window, INT16, "window_counts"), body.counts(conv_weight, INT8, "tap_weights"))
    scaled = body.node("Mul", [sums, body.node("Mul", [conv_scale, conv_weight_scale], "tap_scale")], "scaled_taps")
    u = silu(body, body.node("Add", [scaled, conv_bias], "conv"), "u")
    now = discretise(body, spec, u, parts.dt_raw, dt_bias, A)
    inverse = unsqueeze(body, body.node("Reciprocal", [ssm_scale], "inverse_scale"), 1, "inverse_ssm_scale")
    dxs = body.node("Mul", [now.dx, inverse], "dx_counts")
    injected = body.node("Mul", [unsqueeze(body, dxs, 2, "dx_column"), now.B], "injected")
    kept = body.node("Mul", [body.counts(ssm_state, INT16, "h_counts"), now.decay], "kept")
    ssm_next = body.quantize(body.node("Add", [kept, injected], "h_next"), INT16, "ssm_next")
    read = read_state(body, body.counts(ssm_next, INT16, "h_next_counts"), now.C)
    y_state = body.node("Mul", [read, unsqueeze(body, ssm_scale, 1, "ssm_scale_column")], "y_state")
    y = body.node("Add", [y_state, skip(body, D, now.x)], "y")
    return body.function("Mamba2Step", inputs, [gate(body, spec, y, parts.z), conv_next, ssm_next])
