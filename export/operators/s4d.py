"""The S4D cell in ONNX: S4DStep, a quantizer, Dense, Glu.

    edgebci.S4DStep(q, modes, decay_real, decay_imag, inject, read, skip)            -> g, modes_next
    edgebci.Glu(p)                                                                   -> value * sigmoid(gate)

The float step takes u for q and 1 for inject. Tensors are one step of one stream: q and g (d_model,), modes
(d_model, 2 n) with real parts first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from edgebci.arithmetic import F32
from edgebci.export.c_graph import Node, StepGraph
from edgebci.export.c_literals import Constant, identifier
from edgebci.export.c_operation import Buffer, Operation, c_name, check_columns, check_lanes, floats
from edgebci.export.calibration import QuantizationRecipe, quantize_dense
from edgebci.export.graph_builder import DOMAIN, Builder, formal
from edgebci.export.graph_functions import gelu, unsqueeze
from edgebci.export.operators.form import CellForm, Step, suffix
from edgebci.export.writers import INT8, INT16, CountingBody, FloatWriter, QuantizedWriter, Values
from edgebci.operators.cell import F64
from edgebci.operators.s4d import QuantizedS4D, S4DCell, dynamics

_INPUTS = ("decay_real", "decay_imag", "inject", "read", "skip")
_HEADERS = ("edgebci_activations.h", "edgebci_s4d.h")


@dataclass(frozen=True)
class S4DForm(CellForm):
    """Four nodes."""

    cell: S4DCell

    def quantize(
        self,
        weights: Mapping[str, F64],
        scales: Mapping[str, F32],
        largest: Mapping[str, F64],
        recipe: QuantizationRecipe,
    ) -> QuantizedS4D:
        """States: one scale per mode, the same for its real and its imaginary part, which mix."""
        decay, read = dynamics(weights)
        seen = largest["modes"].reshape(len(decay), 2, -1).max(axis=1)
        modes, act = recipe.state_scale("modes", seen).astype(np.float64), float(scales["norm"])
        return QuantizedS4D(
            input_scale=scales["norm"],
            decay_real=decay.real.astype(np.float32),
            decay_imag=decay.imag.astype(np.float32),
            inject=(act / modes).astype(np.float32),
            read=np.concatenate([read.real * modes, -read.imag * modes], axis=1).astype(np.float32),
            skip=(weights["D"] * act).astype(np.float32),
            out_proj=quantize_dense(
                weights["out_proj.weight"], weights["out_proj.bias"], scales["gated"], recipe.weight_bits("out_proj")
            ),
        )

    def float_functions(self) -> list[ir.Function]:
        """See `CellForm.float_functions`."""
        return [_step_function(Builder(), self.cell.modes), _glu_function(self.cell.block.d_model)]

    def float_step(self, writer: FloatWriter, layer: int, normed: ir.Value, states: Values) -> Step:
        """See `CellForm.float_step`."""
        name = f"layers.{layer}.mixer"
        parts = ("dt_log", "A_log", "A_imag", "C")
        decay, read = dynamics({part: np.asarray(writer.parameters[f"{name}.{part}"], np.float64) for part in parts})
        arrays = {
            "decay_real": decay.real,
            "decay_imag": decay.imag,
            "inject": np.ones(decay.shape),
            "read": np.concatenate([read.real, -read.imag], axis=1),
            "skip": writer.parameters[f"{name}.D"],
        }
        weights = [writer.weight(f"{name}.{part}", arrays[part]) for part in _INPUTS]
        active, following = _call(writer.graph, name, layer, [normed, states["modes"], *weights])
        return _glu(writer.graph, writer.dense(active, f"{name}.out_proj"), name), following

    def quantized_functions(self) -> list[ir.Function]:
        """See `CellForm.quantized_functions`."""
        return [_step_function(CountingBody(), self.cell.modes), _glu_function(self.cell.block.d_model)]

    def int8_state_functions(self) -> list[ir.Function]:
        """See `CellForm.int8_state_functions`."""
        return [_step_function(CountingBody(), self.cell.modes, INT8)]

    def quantized_step(self, writer: QuantizedWriter, layer: int, q: ir.Value, states: Values) -> Step:
        """See `CellForm.quantized_step`."""
        name = f"layers.{layer}.mixer"
        weights = [writer.tensor(f"{name}.{part}") for part in _INPUTS]
        active, following = _call(writer.graph, name, layer, [q, states["modes"], *weights])
        out = f"{name}.out_proj"
        gated = writer.quantize(active, f"{out}.act_scale", f"{out}_quantize", f"layers.{layer}.gated_q")
        return _glu(writer.graph, writer.dense(gated, out), name), following


def _call(graph: Builder, name: str, layer: int, inputs: list[ir.Value]) -> Step:
    operator = f"S4DStep{suffix(inputs[1])}"
    active, modes = graph.call(operator, inputs, name, [f"{name}.active", f"modes.{layer}.next"], domain=DOMAIN)
    return active, {"modes": modes}


def _glu(graph: Builder, p: ir.Value, name: str) -> ir.Value:
    return graph.node("Glu", [p], f"{name}.glu", domain=DOMAIN)


def _step_function(body: Builder, modes: int, kind: ir.DataType = INT16) -> ir.Function:
    """S4DStep; in a counting body q, the modes and their next values are integers."""
    inputs = formal("q", "modes", *_INPUTS)
    q, h, decay_real, decay_imag, inject, read, skip = inputs
    # A cast: ONNX Runtime moves a DequantizeLinear behind the Unsqueeze below and gives it another type there.
    u = body.node("Cast", [q], "q_counts", {"to": ir.DataType.FLOAT.value}) if isinstance(body, CountingBody) else q
    h = body.counts(h, kind, "h_counts") if isinstance(body, CountingBody) else h
    sizes = body.constant("parts", [modes, modes], np.int64)
    real, imag = body.call("Split", [h, sizes], "split_modes", ["real", "imag"], {"axis": 1})
    turned = body.node(
        "Sub", [_mul(body, decay_real, real, "a_real"), _mul(body, decay_imag, imag, "b_imag")], "turned"
    )
    injected = body.node("Mul", [inject, unsqueeze(body, u, 1, "u_column")], "injected")
    next_real = body.node("Add", [turned, injected], "next_real")
    next_imag = body.node(
        "Add", [_mul(body, decay_imag, real, "b_real"), _mul(body, decay_real, imag, "a_imag")], "next_imag"
    )
    following = body.node("Concat", [next_real, next_imag], "modes_next", {"axis": 1})
    seen = following
    if isinstance(body, CountingBody):
        following = body.quantize(following, kind, "modes_next_q")
        seen = body.counts(following, kind, "next_counts")
    products = _mul(body, read, seen, "read_products")
    s = body.node("ReduceSum", [products, body.constant("mode_axis", [1], np.int64)], "read_sums", {"keepdims": 0})
    y = body.node("Add", [s, _mul(body, skip, u, "skipped")], "y")
    return body.function(f"S4DStep{suffix(kind)}", inputs, [gelu(body, y, "active"), following])


def _mul(body: Builder, a: ir.Value, b: ir.Value, name: str) -> ir.Value:
    return body.node("Mul", [a, b], name)


def _glu_function(width: int) -> ir.Function:
    body = Builder()
    (p,) = formal("p")
    sizes = body.constant("halves", [width, width], np.int64)
    value, gate = body.call("Split", [p, sizes], "split_p", ["value", "gate"], {"axis": 0})
    return body.function("Glu", [p], [_mul(body, value, body.node("Sigmoid", [gate], "opened"), "y")])


def _c_step(node: Node, graph: StepGraph, sizes: dict[str, int]) -> Operation:
    q, modes, *arrays = node.inputs
    width, state_size = graph.states[modes]
    check_columns(node, width, sizes[q])
    check_lanes(node, state_size)
    kind = graph.types[modes]
    end = "_int8" if kind == "int8" else ""
    name, kernel = c_name(node), f"s4d_step{end}_{width}x{state_size // 2}"
    constants = tuple(
        Constant(f"{name}_{field}", floats(graph, array), array) for field, array in zip(_INPUTS, arrays, strict=True)
    )
    return Operation(
        node,
        reads=(q,),
        writes=Buffer(node.outputs[0], "float", width),
        shapes=f"int8 [{width}] -> float32 [{width}], state {kind} [{width}][{state_size}]",
        call=f"{kernel}(&{name}, {{0}}, c->state_{identifier(modes)}, {{out}});",
        kernel=f"EDGEBCI_DEFINE_S4D_STEP{end.upper()}({kernel}, {width}u, {state_size // 2}u)",
        constants=constants,
        description=f"{{{', '.join(constant.name for constant in constants)}}}",
        description_type="edgebci_s4d_t",
        states=(modes,),
        headers=(*_HEADERS, "edgebci_s4d_int8.h") if end else _HEADERS,
    )


def _c_glu(node: Node, _: StepGraph, sizes: dict[str, int]) -> Operation:
    (p,) = node.inputs
    n = sizes[p] // 2
    return Operation(
        node,
        reads=(p,),
        writes=Buffer(node.outputs[0], "float", n),
        shapes=f"float32 [{2 * n}] -> float32 [{n}]",
        call=f"glu_{n}({{0}}, {{out}});",
        kernel=f"EDGEBCI_DEFINE_GLU(glu_{n}, {n}u)",
        headers=_HEADERS,
    )


C_OPERATORS = {"edgebci.S4DStep": _c_step, "edgebci.S4DStepInt8": _c_step, "edgebci.Glu": _c_glu}
