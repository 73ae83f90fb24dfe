"""POSSM's step: from a checkpoint to the quantized step and both graphs, through the operators of any decoder.

    (frame, hidden.0, ..., memory) -> (output, hidden.0.next, ..., memory.next)

where a frame is a chunk of tokens, int32 (N, 2) of (unit, time step); a unit of -1 is no token.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray

from edgebci.arithmetic import F32
from edgebci.decoder_float import Parameters
from edgebci.errors import InputError
from edgebci.export.calibration import QuantizationRecipe, Ranges, quantize_dense
from edgebci.export.graph_builder import DOMAIN, layer_states, tensor_value, typed
from edgebci.export.graph_functions import (
    dense_function,
    quantized_dense_function,
    rms_norm_function,
    rms_norm_quantize_function,
)
from edgebci.export.operators import memory_attention as memory
from edgebci.export.operators import token_attention as tokens
from edgebci.export.operators.dense_widths import DENSE_FUNCTIONS
from edgebci.export.operators.form import CellForm
from edgebci.export.operators.forms import cell_form
from edgebci.export.operators.stack import stack_function, stack_step
from edgebci.export.possm_widths import require_possm_widths
from edgebci.export.writers import INT32, FloatWriter, QuantizedWriter, Values
from edgebci.operators.cell import F64, within
from edgebci.operators.cells import cell_of
from edgebci.operators.dense import QuantizedDense
from edgebci.operators.memory_attention import QuantizedMemoryAttention
from edgebci.operators.token_attention import MOST_TOKENS, Tokens
from edgebci.possm_quantized import QuantizedFeedForward, QuantizedPossmLayer, QuantizedPossmStep, state_type
from edgebci.possm_spec import PossmStepSpec
from edgebci.possm_stream import GRU_NAMES, FloatPossmStream, layer_weights

FLOAT = ir.DataType.FLOAT


def quantize_possm(
    spec: PossmStepSpec,
    parameters: Parameters,
    chunks: Tokens,
    recipe: QuantizationRecipe | None = None,
    reset_before: NDArray[np.bool_] | None = None,
) -> QuantizedPossmStep:
    """Quantize the step with `parameters`, its scales from training chunks (T, N, 2) in order of time.

    Raises:
        InputError: the recipe asks for smoothing or for widths that this step has not, or it takes too many tokens.
    """
    recipe = recipe or QuantizationRecipe()
    require_possm_widths(spec, recipe.widths)
    if recipe.smoothing:
        raise InputError("the recipe asks for smoothing, which a decoder of spikes does not have; leave it out")
    if spec.max_tokens > MOST_TOKENS:
        raise InputError(
            f"max_tokens is {spec.max_tokens}, but sums of more than {MOST_TOKENS} tokens are not exact in every "
            "runtime; train the decoder with fewer"
        )
    return assemble_possm(observe_possm(spec, parameters, chunks, recipe, reset_before), recipe)


@dataclass(frozen=True)
class PossmObservation:
    """What one rollout over calibration chunks gave; weights of any width are made of it."""

    decoder: FloatPossmStream
    ranges: Ranges
    scales: dict[str, F32]
    """Of the activations, by the recipe's observer."""


def observe_possm(
    spec: PossmStepSpec,
    parameters: Parameters,
    chunks: Tokens,
    recipe: QuantizationRecipe,
    reset_before: NDArray[np.bool_] | None = None,
) -> PossmObservation:
    """Run the float step over calibration chunks; see `quantize_possm`."""
    ranges = Ranges(max(1, len(chunks) * max(spec.hidden, spec.feed_forward_hidden) // recipe.activation_samples))
    decoder = FloatPossmStream.of(spec, parameters)
    decoder.stream(chunks, reset_before, ranges)
    return PossmObservation(decoder, ranges, ranges.scales(recipe))


def assemble_possm(seen: PossmObservation, recipe: QuantizationRecipe) -> QuantizedPossmStep:
    """Round the weights of what was observed, in the recipe's widths; see `quantize_possm`."""
    decoder, spec, ranges = seen.decoder, seen.decoder.spec, seen.ranges
    weights, scales = decoder.parameters, seen.scales
    scale = scales["memory.norm"]
    return QuantizedPossmStep(
        spec=spec,
        tokens=tokens.quantize_token_attention(weights),
        encoder=_feed_forward(weights, scales, "encoder", recipe),
        input=None if spec.backbone == "gru" else _dense(weights, "input", scales["input"], recipe),
        layers=tuple(_layer(decoder, i, scales, ranges, recipe) for i in range(spec.n_layers)),
        memory_norm=weights["memory.norm.weight"].astype(np.float32),
        memory=QuantizedMemoryAttention((weights["age"] * float(scale)).astype(np.float32), scale),
        context=quantize_dense(
            weights["context.weight"], weights["query"], scales["context"], recipe.weight_bits("context")
        ),
        decoder=_feed_forward(weights, scales, "decoder", recipe),
        readout=_dense(weights, "readout", scales["readout"], recipe),
    )


def _dense(weights: Mapping[str, F64], name: str, scale: F32, recipe: QuantizationRecipe) -> QuantizedDense:
    return quantize_dense(weights[f"{name}.weight"], weights[f"{name}.bias"], scale, recipe.weight_bits(name))


def _feed_forward(
    weights: Mapping[str, F64], scales: Mapping[str, F32], name: str, recipe: QuantizationRecipe
) -> QuantizedFeedForward:
    return QuantizedFeedForward(
        norm_weight=weights[f"{name}.norm.weight"].astype(np.float32),
        up=_dense(weights, f"{name}.up", scales[f"{name}.norm"], recipe),
        down=_dense(weights, f"{name}.down", scales[f"{name}.hidden"], recipe),
    )


def _layer(
    decoder: FloatPossmStream, i: int, scales: dict[str, F32], ranges: Ranges, recipe: QuantizationRecipe
) -> QuantizedPossmLayer:
    weights, place = decoder.parameters, f"layers.{i}"
    own, widths = layer_weights(decoder.spec, weights, i), recipe.within(f"{place}.mixer", i)
    cell = _form(decoder.spec).quantize(own, within(scales, place), ranges.states(i), widths)
    norm = weights.get(f"{place}.norm.weight")
    return QuantizedPossmLayer(None if norm is None else norm.astype(np.float32), cell)


def _form(spec: PossmStepSpec) -> CellForm:
    return cell_form(cell_of(spec.backbone, spec.block))


def float_possm_graph(spec: PossmStepSpec, parameters: Parameters) -> onnx.ModelProto:
    """Build and fully check the float step graph; the same weights give the same bytes."""
    writer = FloatWriter(_graph_names(spec, parameters), spec.norm_epsilon)
    states = {name: tensor_value(name, FLOAT, shape) for name, shape in spec.state_shapes().items()}
    frame = tensor_value("frame", INT32, (spec.max_tokens, 2))
    x = _float_feed_forward(writer, tokens.float_token_attention(writer, frame), "encoder")
    x, following = _float_backbone(writer, spec, x, states)
    rows, following["memory"] = stack_step(writer.graph, writer.rms_norm(x, "memory.norm"), states["memory"], "memory")
    inputs = [rows, writer.weight("age"), writer.weight("memory.scale", np.ones(()))]
    c = writer.graph.node("MemoryAttention", inputs, "memory.read", domain=DOMAIN)
    x = writer.dense(c, "context", weights=("context.weight", "query"))
    output = writer.dense(_float_feed_forward(writer, x, "decoder"), "readout", "output")
    functions = [dense_function(), rms_norm_function(), memory.silu_function(), tokens.float_function()]
    functions += [*_memory_functions(spec), *_form(spec).float_functions()]
    outputs = _outputs(spec, output, following, dict.fromkeys(states, FLOAT))
    return writer.graph.model("edgebci_possm_step", [frame, *states.values()], outputs, functions)


def _graph_names(spec: PossmStepSpec, parameters: Parameters) -> dict[str, NDArray[np.floating]]:
    """The parameters, those of GRU layers under the names that they have in a cell."""
    named = dict(parameters)
    if spec.backbone == "gru":
        for i in range(spec.n_layers):
            named |= {f"layers.{i}.mixer.{name}": parameters[f"layers.{i}.{own}"] for name, own in GRU_NAMES.items()}
    return named


def _float_feed_forward(writer: FloatWriter, x: ir.Value, name: str) -> ir.Value:
    up = writer.dense(writer.rms_norm(x, f"{name}.norm"), f"{name}.up")
    hidden = writer.graph.node("Silu", [up], f"{name}.silu", domain=DOMAIN)
    return writer.graph.node("Add", [x, writer.dense(hidden, f"{name}.down")], f"{name}.residual")


def _float_backbone(writer: FloatWriter, spec: PossmStepSpec, x: ir.Value, states: Values) -> tuple[ir.Value, Values]:
    cell, residual = cell_of(spec.backbone, spec.block), spec.backbone != "gru"
    following: Values = {}
    x = writer.dense(x, "input") if residual else x
    for i in range(spec.n_layers):
        u = writer.rms_norm(x, f"layers.{i}.norm") if residual else x
        y, after = cell_form(cell).float_step(writer, i, u, layer_states(cell, states, i))
        following |= {f"{name}.{i}": value for name, value in after.items()}
        x = writer.graph.node("Add", [x, y], f"layers.{i}.residual") if residual else y
    return x, following


def quantized_possm_graph(decoder: QuantizedPossmStep) -> onnx.ModelProto:
    """Build and fully check the quantized step graph; the same step gives the same bytes."""
    spec, writer = decoder.spec, QuantizedWriter(decoder.tensors(), decoder.spec.norm_epsilon)
    types = {name: ir.DataType[state_type(name).upper()] for name in spec.state_shapes()}
    states = {name: tensor_value(name, types[name], shape) for name, shape in spec.state_shapes().items()}
    frame = tensor_value("frame", INT32, (spec.max_tokens, 2))
    x = _quantized_feed_forward(writer, tokens.quantized_token_attention(writer, frame), "encoder")
    x, following = _quantized_backbone(writer, spec, x, states)
    m = writer.rms_norm(x, "memory.norm", "memory.scale")
    rows, following["memory"] = stack_step(writer.graph, m, states["memory"], "memory")
    inputs = [rows, writer.tensor("memory.age"), writer.tensor("memory.scale")]
    c = writer.graph.node("MemoryAttention", inputs, "memory.read", domain=DOMAIN)
    x = _quantized_feed_forward(writer, _quantize_dense(writer, c, "context"), "decoder")
    output = _quantize_dense(writer, x, "readout", "output")
    called = {node.op_type for node in writer.graph.nodes}
    others = [make() for name, make in DENSE_FUNCTIONS.items() if name in called]
    functions = [quantized_dense_function(), *others, rms_norm_quantize_function()]
    functions += [memory.silu_quantize_function(), tokens.quantized_function()]
    functions += [*_memory_functions(spec), *_form(spec).quantized_functions()]
    outputs = _outputs(spec, output, following, types)
    return writer.graph.model("edgebci_quantized_possm_step", [frame, *states.values()], outputs, functions)


def _quantize_dense(writer: QuantizedWriter, x: ir.Value, name: str, output: str | None = None) -> ir.Value:
    q = writer.quantize(x, f"{name}.act_scale", f"{name}_quantize", f"{name}_q")
    return writer.dense(q, name, output)


def _quantized_feed_forward(writer: QuantizedWriter, x: ir.Value, name: str) -> ir.Value:
    up = writer.dense(writer.rms_norm(x, f"{name}.norm", f"{name}.up.act_scale"), f"{name}.up")
    inputs = [up, writer.tensor(f"{name}.down.act_scale")]
    hidden = writer.graph.call("SiluQuantize", inputs, f"{name}.silu", [f"{name}.hidden_q"], domain=DOMAIN)[0]
    return writer.graph.node("Add", [x, writer.dense(hidden, f"{name}.down")], f"{name}.residual")


def _quantized_backbone(
    writer: QuantizedWriter, spec: PossmStepSpec, x: ir.Value, states: Values
) -> tuple[ir.Value, Values]:
    cell, residual = cell_of(spec.backbone, spec.block), spec.backbone != "gru"
    following: Values = {}
    x = _quantize_dense(writer, x, "input") if residual else x
    for i in range(spec.n_layers):
        name, scale = f"layers.{i}.norm", f"layers.{i}.mixer.{cell.input_scale}"
        q = writer.rms_norm(x, name, scale) if residual else writer.quantize(x, scale, name, f"{name}_q")
        y, after = cell_form(cell).quantized_step(writer, i, q, layer_states(cell, states, i))
        following |= {f"{state}.{i}": value for state, value in after.items()}
        x = writer.graph.node("Add", [x, y], f"layers.{i}.residual") if residual else y
    return x, following


def _memory_functions(spec: PossmStepSpec) -> list[ir.Function]:
    k = spec.memory_chunks
    return [stack_function(k - 1), memory.memory_function(k, spec.hidden)]


def _outputs(
    spec: PossmStepSpec, output: ir.Value, following: Values, types: Mapping[str, ir.DataType]
) -> list[ir.Value]:
    states = [typed(following[name], types[name], shape) for name, shape in spec.state_shapes().items()]
    return [typed(output, FLOAT, (spec.n_outputs,)), *states]
