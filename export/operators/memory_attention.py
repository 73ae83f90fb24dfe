"""Attention over the last states of the backbone, and SiLU with its quantizer, in ONNX and in C.

    edgebci.MemoryAttention(m, memory, age, scale)                                               -> c, memory_next
    edgebci.SiluQuantize(x, out_scale)                                                           -> q int8

The float step takes 1 for scale, and has a plain Silu.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgebci.export.c_graph import Node, StepGraph
from edgebci.export.c_literals import Constant, identifier, literal
from edgebci.export.c_operation import Buffer, Operation, c_name, check_columns, check_lanes, floats
from edgebci.export.graph_builder import Builder, formal
from edgebci.export.graph_functions import silu, unsqueeze
from edgebci.export.writers import INT8, INT16, CountingBody
from edgebci.operators.dense import inverse


def _attended(body: Builder, rows: ir.Value, age: ir.Value) -> ir.Value:
    """Softmax over rows of age . m, times the rows: (H,) of rows (k, H)."""
    axis = body.constant("width_axis", [1], np.int64)
    scores = body.node("ReduceSum", [body.node("Mul", [age, rows], "products"), axis], "scores", {"keepdims": 0})
    shares = body.node("Softmax", [scores], "shares", {"axis": 0})
    return body.node("MatMul", [shares, rows], "attended")


def _following(body: Builder, rows: ir.Value, kept: int) -> ir.Value:
    bounds = [body.constant(name, [value], np.int64) for name, value in (("from", 0), ("to", kept), ("along", 0))]
    return body.node("Slice", [rows, *bounds], "memory_next")


def float_memory_function(kept: int) -> ir.Function:
    """MemoryAttention of the float step, for a state of `kept` rows."""
    body, inputs = Builder(), formal("m", "memory", "age")
    m, memory, age = inputs
    rows = body.node("Concat", [unsqueeze(body, m, 0, "newest"), memory], "rows", {"axis": 0})
    return body.function("MemoryAttention", inputs, [_attended(body, rows, age), _following(body, rows, kept)])


def quantized_memory_function(kept: int) -> ir.Function:
    """MemoryAttention of the quantized step."""
    body, inputs = CountingBody(), formal("m", "memory", "age", "scale")
    m, memory, age, scale = inputs
    counts = body.node("Mul", [m, body.node("Reciprocal", [scale], "inverse_scale")], "m_counts")
    newest = unsqueeze(body, body.quantize(counts, INT16, "m_q"), 0, "newest")
    rows = body.node("Concat", [newest, memory], "rows", {"axis": 0})
    seen = body.node("Cast", [rows], "row_counts", {"to": ir.DataType.FLOAT.value})
    c = body.node("Mul", [_attended(body, seen, age), scale], "c")
    return body.function("MemoryAttention", inputs, [c, _following(body, rows, kept)])


def silu_function() -> ir.Function:
    """Silu of the float step."""
    body = Builder()
    (x,) = formal("x")
    return body.function("Silu", [x], [silu(body, x, "y")])


def silu_quantize_function() -> ir.Function:
    """SiluQuantize(x, out_scale): SiLU in counts of out_scale."""
    body, inputs = CountingBody(), formal("x", "out_scale")
    x, out_scale = inputs
    scaled = body.node("Mul", [silu(body, x, "active"), body.node("Reciprocal", [out_scale], "inverse")], "counts")
    return body.function("SiluQuantize", inputs, [body.quantize(scaled, INT8, "q")])


def _c_memory(node: Node, graph: StepGraph, sizes: dict[str, int]) -> Operation:
    m, memory, age, scale = node.inputs
    kept, width = graph.states[memory]
    check_columns(node, width, sizes[m])
    check_lanes(node, width)
    name, one = c_name(node), floats(graph, scale).reshape(())
    constant = Constant(f"{name}_age", floats(graph, age), f"{age}: float32 [{kept + 1}][{width}]")
    kernel = f"memory_attention_{kept + 1}x{width}"
    return Operation(
        node,
        reads=(m,),
        writes=Buffer(node.outputs[0], "float", width),
        shapes=f"float32 [{width}] -> float32 [{width}], state int16 [{kept}][{width}]",
        call=f"{kernel}(&{name}, {{0}}, c->state_{identifier(memory)}, {{out}});",
        kernel=f"EDGEBCI_DEFINE_MEMORY_ATTENTION({kernel}, {kept}u, {width}u)",
        constants=(constant,),
        description=f"{{{constant.name}, {literal(one)}, {literal(inverse(one))}}}",
        description_type="edgebci_memory_attention_t",
        states=(memory,),
        headers=("edgebci_attention.h",),
    )


def _c_silu_quantize(node: Node, graph: StepGraph, sizes: dict[str, int]) -> Operation:
    x, scale = node.inputs
    n, factor = sizes[x], literal(inverse(floats(graph, scale).reshape(())))
    return Operation(
        node,
        reads=(x,),
        writes=Buffer(node.outputs[0], "int8_t", n),
        shapes=f"float32 [{n}] -> int8 [{n}]",
        call=f"silu_quantize_{n}({{0}}, {factor}, {{out}});",
        kernel=f"EDGEBCI_DEFINE_SILU_QUANTIZE(silu_quantize_{n}, {n}u)",
        headers=("edgebci_attention.h",),
    )


C_OPERATORS = {"edgebci.MemoryAttention": _c_memory, "edgebci.SiluQuantize": _c_silu_quantize}
