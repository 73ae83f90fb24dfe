"""The Mamba-2 cell in ONNX: Dense, Mamba2Step, the gated norm, Dense.

    edgebci.Mamba2Step(p, conv_state, ssm_state, conv_weight, conv_weight_scale, conv_scale, conv_bias, dt_bias, A, D,
                       ssm_scale)                                                    -> g, conv_next, ssm_next

without the three scales in the float step; Mamba2StepInt8 where h is int8.

Tensors are one step of one stream, without a batch axis: p (d_in_proj,),
x (n_heads, headdim), B and C (d_state,), h (n_heads, headdim, d_state).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edgebci.arithmetic import F32
from edgebci.block_spec import BlockSpec
from edgebci.export.c_graph import Node, StepGraph
from edgebci.export.c_literals import Constant, identifier
from edgebci.export.c_operation import Buffer, Operation, c_name, check_columns, check_lanes, floats
from edgebci.export.calibration import INT16_MAX, QuantizationRecipe, quantize_dense, quantize_weight, scale_of
from edgebci.export.graph_builder import DOMAIN, Builder, formal
from edgebci.export.graph_functions import silu, slide, tap_sums, unsqueeze
from edgebci.export.operators.form import CellForm, Step, suffix
from edgebci.export.writers import INT8, INT16, CountingBody, FloatWriter, QuantizedWriter, Values
from edgebci.operators.cell import F64
from edgebci.operators.dense import inverse
from edgebci.operators.mamba2 import Mamba2Cell, QuantizedMamba2

_FLOAT_WEIGHTS = ("conv1d.weight", "conv1d.bias", "dt_bias", "A", "D")
_WEIGHTS = (
    *("conv1d.weight", "conv1d.weight_scale", "conv1d.scale", "conv1d.bias"),
    *("dt_bias", "A", "D", "ssm_scale"),
)


@dataclass(frozen=True)
class Mamba2Form(CellForm):
    """Six nodes of a layer, of which this cell writes the last four before the residual."""

    cell: Mamba2Cell

    def quantize(
        self,
        weights: Mapping[str, F64],
        scales: Mapping[str, F32],
        largest: Mapping[str, F64],
        recipe: QuantizationRecipe,
    ) -> QuantizedMamba2:
        """States: one scale per convolution channel and per head."""
        conv_weight, conv_weight_scale = quantize_weight(weights["conv1d.weight"][:, 0])
        ssm = largest["ssm"].max(axis=(1, 2))
        return QuantizedMamba2(
            in_proj=quantize_dense(weights["in_proj.weight"], None, scales["norm"], recipe.weight_bits("in_proj")),
            conv_weight=conv_weight,
            conv_weight_scale=conv_weight_scale,
            conv_scale=scale_of(largest["conv"] * recipe.state_headroom, INT16_MAX),
            conv_bias=weights["conv1d.bias"].astype(np.float32),
            dt_bias=weights["dt_bias"].astype(np.float32),
            A=(-np.exp(weights["A_log"])).astype(np.float32),
            D=weights["D"].astype(np.float32),
            ssm_scale=recipe.state_scale("ssm", ssm),
            norm_weight=weights["norm.weight"].astype(np.float32),
            out_proj=quantize_dense(weights["out_proj.weight"], None, scales["gated"], recipe.weight_bits("out_proj")),
            norm_epsilon=self.cell.block.norm_epsilon,
        )

    def float_functions(self) -> list[ir.Function]:
        """See `CellForm.float_functions`."""
        return [_float_function(self.cell.block)]

    def float_step(self, writer: FloatWriter, layer: int, normed: ir.Value, states: Values) -> Step:
        """See `CellForm.float_step`."""
        name = f"layers.{layer}.mixer"
        p = writer.dense(normed, f"{name}.in_proj")
        given = {
            f"{name}.conv1d.weight": writer.parameters[f"{name}.conv1d.weight"][:, 0],
            f"{name}.A": -np.exp(np.asarray(writer.parameters[f"{name}.A_log"], np.float64)),
        }
        weights = [writer.weight(f"{name}.{w}", given.get(f"{name}.{w}")) for w in _FLOAT_WEIGHTS]
        gated, following = _call(writer.graph, name, layer, [p, *states.values(), *weights])
        return writer.dense(writer.rms_norm(gated, f"{name}.norm"), f"{name}.out_proj"), following

    def quantized_functions(self) -> list[ir.Function]:
        """See `CellForm.quantized_functions`."""
        return [_quantized_function(self.cell.block, INT16)]

    def int8_state_functions(self) -> list[ir.Function]:
        """See `CellForm.int8_state_functions`."""
        return [_quantized_function(self.cell.block, INT8)]

    def quantized_step(self, writer: QuantizedWriter, layer: int, q: ir.Value, states: Values) -> Step:
        """See `CellForm.quantized_step`."""
        name = f"layers.{layer}.mixer"
        p = writer.dense(q, f"{name}.in_proj")
        weights = [writer.tensor(f"{name}.{weight}") for weight in _WEIGHTS]
        gated, following = _call(writer.graph, name, layer, [p, *states.values(), *weights])
        gated_q = writer.rms_norm(gated, f"{name}.norm", f"{name}.out_proj.act_scale", f"layers.{layer}.gated_q")
        return writer.dense(gated_q, f"{name}.out_proj"), following


def _call(graph: Builder, name: str, layer: int, inputs: list[ir.Value]) -> Step:
    outputs = [f"{name}.gated", f"conv.{layer}.next", f"ssm.{layer}.next"]
    gated, conv, ssm = graph.call(f"Mamba2Step{suffix(inputs[2])}", inputs, name, outputs, domain=DOMAIN)
    return gated, {"conv": conv, "ssm": ssm}


@dataclass(frozen=True)
class _Projection:
    """What in_proj gives, apart."""

    z: ir.Value  # (d_inner,) gate
    xbc: ir.Value  # (conv_dim,) input of the convolution
    dt_raw: ir.Value  # (n_heads,)


@dataclass(frozen=True)
class _Discretised:
    """What one step puts into the state and keeps of it."""

    x: ir.Value  # (n_heads, headdim)
    B: ir.Value  # (d_state,)
    C: ir.Value  # (d_state,)
    dx: ir.Value  # (n_heads, headdim), dt x
    decay: ir.Value  # (n_heads, 1, 1), exp(dt A)


def _float_function(block: BlockSpec) -> ir.Function:
    """Mamba2Step(p, conv_state, ssm_state, conv_weight, conv_bias, dt_bias, A, D) -> g, conv_next, ssm_next."""
    body = Builder()
    inputs = formal("p", "conv_state", "ssm_state", "conv_weight", "conv_bias", "dt_bias", "A", "D")
    p, conv_state, ssm_state, conv_weight, conv_bias, dt_bias, A, D = inputs
    parts = _split_projection(body, block, p)
    window, conv_next = slide(body, conv_state, parts.xbc)
    sums = tap_sums(body, window, conv_weight)
    u = silu(body, body.node("Add", [sums, conv_bias], "conv"), "u")
    now = _discretise(body, block, u, parts.dt_raw, dt_bias, A)
    injected = body.node("Mul", [unsqueeze(body, now.dx, 2, "dx_column"), now.B], "injected")
    kept = body.node("Mul", [ssm_state, now.decay], "kept")
    ssm_next = body.node("Add", [kept, injected], "ssm_next")
    y = body.node("Add", [_read_state(body, ssm_next, now.C), _skip(body, D, now.x)], "y")
    return body.function("Mamba2Step", inputs, [_gate(body, block, y, parts.z), conv_next, ssm_next])


def _quantized_function(block: BlockSpec, kind: ir.DataType) -> ir.Function:
    """Mamba2Step with integer states, h in type `kind`; see the top of this file for its inputs."""
    body = CountingBody()
    inputs = formal("p", "conv_state", "ssm_state", "conv_weight", "conv_weight_scale", "conv_scale", "conv_bias")
    inputs += formal("dt_bias", "A", "D", "ssm_scale")
    p, conv_state, ssm_state, conv_weight, conv_weight_scale, conv_scale, conv_bias, dt_bias, A, D, ssm_scale = inputs
    parts = _split_projection(body, block, p)
    newest = body.node("Mul", [parts.xbc, body.node("Reciprocal", [conv_scale], "inverse_conv_scale")], "xbc_counts")
    window, conv_next = slide(body, conv_state, body.quantize(newest, INT16, "xbc_q"))
    sums = tap_sums(body, body.counts(window, INT16, "window_counts"), body.counts(conv_weight, INT8, "tap_weights"))
    scaled = body.node("Mul", [sums, body.node("Mul", [conv_scale, conv_weight_scale], "tap_scale")], "scaled_taps")
    u = silu(body, body.node("Add", [scaled, conv_bias], "conv"), "u")
    now = _discretise(body, block, u, parts.dt_raw, dt_bias, A)
    inverse = unsqueeze(body, body.node("Reciprocal", [ssm_scale], "inverse_scale"), 1, "inverse_ssm_scale")
    dxs = body.node("Mul", [now.dx, inverse], "dx_counts")
    injected = body.node("Mul", [unsqueeze(body, dxs, 2, "dx_column"), now.B], "injected")
    kept = body.node("Mul", [body.counts(ssm_state, kind, "h_counts"), now.decay], "kept")
    ssm_next = body.quantize(body.node("Add", [kept, injected], "h_next"), kind, "ssm_next")
    read = _read_state(body, body.counts(ssm_next, kind, "h_next_counts"), now.C)
    y_state = body.node("Mul", [read, unsqueeze(body, ssm_scale, 1, "ssm_scale_column")], "y_state")
    y = body.node("Add", [y_state, _skip(body, D, now.x)], "y")
    return body.function(f"Mamba2Step{suffix(kind)}", inputs, [_gate(body, block, y, parts.z), conv_next, ssm_next])


def _split_projection(body: Builder, block: BlockSpec, p: ir.Value) -> _Projection:
    """Cut p into z, xbc and dt."""
    sizes = body.constant("projection_sizes", [block.d_inner, block.conv_dim, block.n_heads], np.int64)
    return _Projection(*body.call("Split", [p, sizes], "split_projection", ["z", "xbc", "dt_raw"], {"axis": 0}))


def _discretise(
    body: Builder, block: BlockSpec, u: ir.Value, dt_raw: ir.Value, dt_bias: ir.Value, A: ir.Value
) -> _Discretised:
    """dt = softplus(dt + dt_bias); decay = exp(dt A); dt x."""
    sizes = body.constant("u_sizes", [block.d_inner, block.d_state, block.d_state], np.int64)
    flat, B, C = body.call("Split", [u, sizes], "split_u", ["x_flat", "B", "C"], {"axis": 0})
    x = body.node("Reshape", [flat, body.constant("x_shape", [block.n_heads, block.headdim], np.int64)], "x")
    dt = body.node("Softplus", [body.node("Add", [dt_raw, dt_bias], "dt_biased")], "dt")
    decays = body.node("Exp", [body.node("Mul", [dt, A], "dt_A")], "decays")
    decay = body.node("Reshape", [decays, body.constant("decay_shape", [block.n_heads, 1, 1], np.int64)], "decay")
    dx = body.node("Mul", [unsqueeze(body, dt, 1, "dt_column"), x], "dx")
    return _Discretised(x, B, C, dx, decay)


def _read_state(body: Builder, h: ir.Value, C: ir.Value) -> ir.Value:
    """C h: (n_heads, headdim)."""
    read = body.node("Mul", [C, h], "read")
    return body.node("ReduceSum", [read, body.constant("state_axis", [2], np.int64)], "read_sums", {"keepdims": 0})


def _skip(body: Builder, D: ir.Value, x: ir.Value) -> ir.Value:
    """D x: (n_heads, headdim)."""
    return body.node("Mul", [unsqueeze(body, D, 1, "D_column"), x], "skip")


def _gate(body: Builder, block: BlockSpec, y: ir.Value, z: ir.Value) -> ir.Value:
    """Y silu(z): (d_inner,)."""
    flat = body.node("Reshape", [y, body.constant("y_shape", [block.d_inner], np.int64)], "y_flat")
    return body.node("Mul", [flat, silu(body, z, "z_silu")], "g")


def _c_step(node: Node, graph: StepGraph, sizes: dict[str, int]) -> Operation:
    p, conv, ssm, *_ = node.inputs
    heads, headdim, state_size = graph.states[ssm][-3:]
    channels, past = graph.states[conv][-2:]
    check_columns(node, heads * headdim + channels + heads, sizes[p])
    check_lanes(node, state_size)
    narrow = graph.types[ssm] == "int8"
    name, end = c_name(node), "_int8" if narrow else ""
    kernel = f"mamba2_step{end}_{heads}x{headdim}x{state_size}_{past + 1}"
    constants = _c_constants(node, graph, name)
    return Operation(
        node,
        reads=(p,),
        writes=Buffer(node.outputs[0], "float", heads * headdim),
        shapes=f"float32 [{sizes[p]}] -> float32 [{heads * headdim}], states int16 [{channels}][{past}], "
        f"{'int8 ' if narrow else ''}[{heads}][{headdim}][{state_size}]",
        call=f"{kernel}(&{name}, {{0}}, c->state_{identifier(conv)}, c->state_{identifier(ssm)}, {{out}});",
        kernel=f"EDGEBCI_DEFINE_MAMBA2_STEP{end.upper()}({kernel}, {heads}u, {headdim}u, {state_size}u, {past + 1}u)",
        constants=constants,
        description=f"{{{', '.join(constant.name for constant in constants)}}}",
        description_type="edgebci_mamba2_t",
        destroys=p,
        states=(conv, ssm),
        headers=("edgebci_mamba2_int8.h",) if narrow else (),
    )


def _c_constants(node: Node, graph: StepGraph, name: str) -> tuple[Constant, ...]:
    """In the order of edgebci_mamba2_t."""
    conv_weight, weight_scale, conv_scale, conv_bias, dt_bias, A, D, ssm_scale = node.inputs[3:]
    arrays: list[tuple[str, NDArray[Any], str]] = [
        ("conv_weight", graph.constants[conv_weight], f"{conv_weight}: int8 [channels][taps], oldest first"),
        ("conv_inverse_scale", inverse(floats(graph, conv_scale)), f"1 / {conv_scale}"),
        ("conv_out_scale", floats(graph, conv_scale) * floats(graph, weight_scale), f"{conv_scale} * {weight_scale}"),
        ("conv_bias", floats(graph, conv_bias), conv_bias),
        ("dt_bias", floats(graph, dt_bias), dt_bias),
        ("A", floats(graph, A), A),
        ("D", floats(graph, D), D),
        ("ssm_scale", floats(graph, ssm_scale), ssm_scale),
        ("ssm_inverse_scale", inverse(floats(graph, ssm_scale)), f"1 / {ssm_scale}"),
    ]
    return tuple(Constant(f"{name}_{field}", values, comment) for field, values, comment in arrays)


C_OPERATORS = {"edgebci.Mamba2Step": _c_step, "edgebci.Mamba2StepInt8": _c_step}
