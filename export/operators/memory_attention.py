"""Attention over the last states of the backbone, and SiLU with its quantizer, in ONNX and in C.

    edgebci.MemoryAttention(rows, age, scale)                                                    -> c
    edgebci.SiluQuantize(x, out_scale)                                                           -> q int8

where edgebci.Stack gives the rows. The float step takes 1 for scale, and has a plain Silu.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgebci.export.c_graph import Node, StepGraph
from edgebci.export.c_literals import Constant, literal
from edgebci.export.c_operation import Buffer, Operation, c_name, check_columns, check_lanes, floats
from edgebci.export.graph_builder import Builder, formal
from edgebci.export.graph_functions import silu
from edgebci.export.writers import INT8, CountingBody
from edgebci.operators.dense import inverse


def memory_function(k: int, width: int) -> ir.Function:
    """MemoryAttention for k rows; their integers become floats, or stay floats."""
    body, inputs = Builder(), formal("rows", "age", "scale")
    rows, age, scale = inputs
    values = body.node("Cast", [rows], "values", {"to": ir.DataType.FLOAT.value})
    apart = body.node("Reshape", [values, body.constant("apart_shape", [k, width], np.int64)], "apart")
    products, axis = body.node("Mul", [age, apart], "products"), body.constant("width_axis", [1], np.int64)
    scores = body.node("ReduceSum", [products, axis], "scores", {"keepdims": 0})
    shares = body.node("Softmax", [scores], "shares", {"axis": 0})
    attended = body.node("MatMul", [shares, apart], "attended")
    return body.function("MemoryAttention", inputs, [body.node("Mul", [attended, scale], "c")])


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
    rows, age, scale = node.inputs
    k, width = graph.constants[age].shape
    check_columns(node, k * width, sizes[rows])
    check_lanes(node, width)
    name, kernel = c_name(node), f"memory_attention_{k}x{width}"
    constant = Constant(f"{name}_age", floats(graph, age), f"{age}: float32 [{k}][{width}]")
    return Operation(
        node,
        reads=(rows,),
        writes=Buffer(node.outputs[0], "float", width),
        shapes=f"int8 [{k}][{width}] -> float32 [{width}]",
        call=f"{kernel}(&{name}, {{0}}, {{out}});",
        kernel=f"EDGEBCI_DEFINE_MEMORY_ATTENTION({kernel}, {k}u, {width}u)",
        constants=(constant,),
        description=f"{{{constant.name}, {literal(floats(graph, scale).reshape(()))}}}",
        description_type="edgebci_memory_attention_t",
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
