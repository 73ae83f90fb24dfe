"""The GRU cell in ONNX: Dense of the input, the state quantized, Dense of the state, GruStep.

    edgebci.StateQuantize(h, scale, act_scale)                                       -> q int8
    edgebci.GruStep(p, s, h, scale)                                                  -> y, h_next

without quantizers and scales in the float step. p and s (3 d_model,) in the order reset, update, new.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from edgebci.arithmetic import F32
from edgebci.export.c_graph import Node, StepGraph, size
from edgebci.export.c_literals import identifier, literal
from edgebci.export.c_operation import Buffer, Operation, check_columns, floats
from edgebci.export.calibration import QuantizationRecipe, quantize_dense
from edgebci.export.graph_builder import DOMAIN, Builder, formal
from edgebci.export.operators.form import CellForm, Step, suffix
from edgebci.export.writers import INT8, INT16, CountingBody, FloatWriter, QuantizedWriter, Values
from edgebci.operators.cell import F64
from edgebci.operators.dense import inverse
from edgebci.operators.gru import HIDDEN_SCALE, HIDDEN_SCALE_INT8, GruCell, QuantizedGru

_HEADERS_OF = {
    "int16": ("edgebci_activations.h", "edgebci_gru.h"),
    "int8": ("edgebci_activations.h", "edgebci_gru.h", "edgebci_gru_int8.h"),
}


@dataclass(frozen=True)
class GruForm(CellForm):
    """Four nodes."""

    cell: GruCell

    def quantize(
        self,
        weights: Mapping[str, F64],
        scales: Mapping[str, F32],
        _largest: Mapping[str, F64],
        recipe: QuantizationRecipe,
    ) -> QuantizedGru:
        """The state cannot leave [-1, 1]: its scale needs no calibration."""
        ih, hh = (
            quantize_dense(
                weights[f"gru.weight_{part}_l0"],
                weights[f"gru.bias_{part}_l0"],
                scales[seen],
                recipe.weight_bits(part),
            )
            for part, seen in (("ih", "norm"), ("hh", "hidden"))
        )
        narrow = recipe.widths.get("hidden") == 8
        return QuantizedGru(ih, hh, hidden_scale=np.asarray(HIDDEN_SCALE_INT8 if narrow else HIDDEN_SCALE))

    def float_functions(self) -> list[ir.Function]:
        """See `CellForm.float_functions`."""
        return [_float_function(self.cell.block.d_model)]

    def float_step(self, writer: FloatWriter, layer: int, normed: ir.Value, states: Values) -> Step:
        """See `CellForm.float_step`."""
        name, h = f"layers.{layer}.mixer", states["hidden"]
        dense = [
            writer.dense(x, f"{name}.{part}", weights=(f"{name}.gru.weight_{part}_l0", f"{name}.gru.bias_{part}_l0"))
            for part, x in (("ih", normed), ("hh", h))
        ]
        hidden = writer.graph.call("GruStep", [*dense, h], name, [f"hidden.{layer}.next"], domain=DOMAIN)[0]
        return hidden, {"hidden": hidden}

    def quantized_functions(self) -> list[ir.Function]:
        """See `CellForm.quantized_functions`."""
        return [_state_quantize_function(INT16), _quantized_function(self.cell.block.d_model, INT16)]

    def int8_state_functions(self) -> list[ir.Function]:
        """See `CellForm.int8_state_functions`."""
        return [_state_quantize_function(INT8), _quantized_function(self.cell.block.d_model, INT8)]

    def quantized_step(self, writer: QuantizedWriter, layer: int, q: ir.Value, states: Values) -> Step:
        """See `CellForm.quantized_step`."""
        name, h = f"layers.{layer}.mixer", states["hidden"]
        scale = writer.tensor(f"{name}.hidden_scale")
        inputs = [h, scale, writer.tensor(f"{name}.hh.act_scale")]
        state_q = f"layers.{layer}.hidden_q"
        before = writer.graph.call(f"StateQuantize{suffix(h)}", inputs, f"{name}.state", [state_q], domain=DOMAIN)[0]
        dense = [writer.dense(q, f"{name}.ih"), writer.dense(before, f"{name}.hh")]
        outputs = [f"{name}.output", f"hidden.{layer}.next"]
        y, hidden = writer.graph.call(f"GruStep{suffix(h)}", [*dense, h, scale], name, outputs, domain=DOMAIN)
        return y, {"hidden": hidden}


def _gates(body: Builder, p: ir.Value, s: ir.Value, h: ir.Value, width: int) -> ir.Value:
    """n + z (h - n)."""
    sizes = body.constant("gates", [width] * 3, np.int64)
    p_reset, p_update, p_new = body.call("Split", [p, sizes], "split_p", ["p_reset", "p_update", "p_new"], {"axis": 0})
    s_reset, s_update, s_new = body.call("Split", [s, sizes], "split_s", ["s_reset", "s_update", "s_new"], {"axis": 0})
    reset = body.node("Sigmoid", [body.node("Add", [p_reset, s_reset], "reset_sum")], "reset")
    remembered = body.node("Mul", [reset, s_new], "remembered")
    new = body.node("Tanh", [body.node("Add", [p_new, remembered], "new_sum")], "new")
    update = body.node("Sigmoid", [body.node("Add", [p_update, s_update], "update_sum")], "update")
    kept = body.node("Mul", [update, body.node("Sub", [h, new], "difference")], "kept")
    return body.node("Add", [new, kept], "hidden")


def _float_function(width: int) -> ir.Function:
    body, inputs = Builder(), formal("p", "s", "h")
    p, s, h = inputs
    return body.function("GruStep", inputs, [_gates(body, p, s, h, width)])


def _quantized_function(width: int, kind: ir.DataType) -> ir.Function:
    body, inputs = CountingBody(), formal("p", "s", "h", "scale")
    p, s, h, scale = inputs
    before = body.node("Mul", [body.counts(h, kind, "h_counts"), scale], "before")
    counts = body.node(
        "Mul", [_gates(body, p, s, before, width), body.node("Reciprocal", [scale], "inverse_scale")], "next_counts"
    )
    following = body.quantize(counts, kind, "h_next")
    y = body.node("Mul", [body.counts(following, kind, "y_counts"), scale], "y")
    return body.function(f"GruStep{suffix(kind)}", inputs, [y, following])


def _state_quantize_function(kind: ir.DataType) -> ir.Function:
    body, inputs = CountingBody(), formal("h", "scale", "act_scale")
    h, scale, act_scale = inputs
    ratio = body.node("Div", [scale, act_scale], "ratio")
    counts = body.node("Mul", [body.counts(h, kind, "h_counts"), ratio], "counts")
    return body.function(f"StateQuantize{suffix(kind)}", inputs, [body.quantize(counts, INT8, "q")])


def _c_state_quantize(node: Node, graph: StepGraph, _: dict[str, int]) -> Operation:
    h, scale, act_scale = node.inputs
    n, kind = size(graph.states[h]), graph.types[h]
    end = "_int8" if kind == "int8" else ""
    ratio = np.float32(floats(graph, scale).reshape(()) / floats(graph, act_scale).reshape(()))
    return Operation(
        node,
        reads=(),
        writes=Buffer(node.outputs[0], "int8_t", n),
        shapes=f"{kind} [{n}] -> int8 [{n}]",
        call=f"state_quantize{end}_{n}(c->state_{identifier(h)}, {literal(ratio)}, {{out}});",
        kernel=f"EDGEBCI_DEFINE_STATE_QUANTIZE{end.upper()}(state_quantize{end}_{n}, {n}u)",
        headers=_HEADERS_OF[kind],
    )


def _c_step(node: Node, graph: StepGraph, sizes: dict[str, int]) -> Operation:
    p, s, h, scale = node.inputs
    n, kind = size(graph.states[h]), graph.types[h]
    end = "_int8" if kind == "int8" else ""
    check_columns(node, 3 * n, sizes[p])
    check_columns(node, 3 * n, sizes[s])
    one = floats(graph, scale).reshape(())
    numbers = f"{literal(one)}, {literal(inverse(one))}"
    return Operation(
        node,
        reads=(p, s),
        writes=Buffer(node.outputs[0], "float", n),
        shapes=f"float32 [{3 * n}], [{3 * n}] -> float32 [{n}], state {kind} [{n}]",
        call=f"gru_step{end}_{n}({{0}}, {{1}}, {numbers}, c->state_{identifier(h)}, {{out}});",
        kernel=f"EDGEBCI_DEFINE_GRU_STEP{end.upper()}(gru_step{end}_{n}, {n}u)",
        states=(h,),
        headers=_HEADERS_OF[kind],
    )


C_OPERATORS = {
    **dict.fromkeys(("edgebci.StateQuantize", "edgebci.StateQuantizeInt8"), _c_state_quantize),
    **dict.fromkeys(("edgebci.GruStep", "edgebci.GruStepInt8"), _c_step),
}
