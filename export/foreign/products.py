"""Operators that become dense layers: matrix products and convolutions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgebci.block_spec import Shape
from edgebci.export.foreign.emitter import Emitter, Unsupported, Value, View, reshaped
from edgebci.export.foreign.movement import padded
from edgebci.export.foreign.node import OnnxNode, Translate


def transposed(value: Value, order: tuple[int, ...]) -> Value:
    """Axes in another order."""
    if isinstance(value, np.ndarray):
        return value.transpose(order)
    return View(value.tensor, value.positions.transpose(order))


def matrix_product(a: Value, b: Value, to: Emitter) -> Value:
    """a (..., m, k) times b (..., k, n) as NumPy's matmul; a matrix known beforehand is the weight."""
    if len(a.shape) == 1:
        product = matrix_product(reshaped(a, (1, *a.shape)), b, to)
        return reshaped(product, (*product.shape[:-2], product.shape[-1]))
    if len(b.shape) == 1:
        product = matrix_product(a, reshaped(b, (*b.shape, 1)), to)
        return reshaped(product, product.shape[:-1])
    if isinstance(a, np.ndarray) and isinstance(b, View):
        return _swapped(matrix_product(_swapped(b), np.swapaxes(a, -1, -2), to))
    if isinstance(b, np.ndarray) and math.prod(b.shape[:-2]) == 1:
        weight = np.ascontiguousarray(b.reshape(b.shape[-2:]).T, np.float32)[None]
        shape = (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
        y = to.dense(reshaped(a, (-1, 1, a.shape[-1])), weight)
        return reshaped(y, shape)
    return _batched(a, b, to)


def _batched(a: Value, b: Value, to: Emitter) -> Value:
    """One group for each matrix of the batch."""
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    (m, k), n, groups = a.shape[-2:], b.shape[-1], math.prod(batch)
    x = reshaped(_broadcast(a, (*batch, m, k)), (groups, m, k))
    weight = reshaped(_broadcast(b, (*batch, k, n)), (groups, k, n))
    y = to.dense(transposed(x, (1, 0, 2)), transposed(weight, (0, 2, 1)))
    return reshaped(transposed(y, (1, 0, 2)), (*batch, m, n))


def _broadcast(value: Value, shape: Shape) -> Value:
    if isinstance(value, np.ndarray):
        return np.broadcast_to(value, shape)
    return View(value.tensor, np.broadcast_to(value.positions, shape))


def _swapped(value: Value) -> Value:
    order = list(range(len(value.shape)))
    order[-2], order[-1] = order[-1], order[-2]
    return transposed(value, tuple(order))


def _matmul(node: OnnxNode, to: Emitter) -> list[Value]:
    return [matrix_product(node.value(0), node.value(1), to)]


def _gemm(node: OnnxNode, to: Emitter) -> list[Value]:
    a, b = node.value(0), node.value(1)
    a = transposed(a, (1, 0)) if node.get("transA", 0) else a
    b = transposed(b, (1, 0)) if node.get("transB", 0) else b
    alpha, beta = np.float32(node.get("alpha", 1.0)), np.float32(node.get("beta", 1.0))
    if isinstance(b, np.ndarray):
        y = matrix_product(a, b * alpha, to)
    else:
        y = matrix_product(a, b, to)
        y = y if alpha == 1 else to.apply("multiply", y, np.asarray(alpha))
    c = node.optional(2)
    if c is None or beta == 0:
        return [y]
    return [to.apply("add", y, c if beta == 1 else to.apply("multiply", c, np.asarray(beta)))]


def windows(x: NDArray[Any], kernel: Shape, strides: Shape, dilations: Shape) -> NDArray[Any]:
    """(N, C, L...) to (N, C, O..., K...): what each output of a convolution or pooling looks at."""
    n = len(kernel)
    reach = tuple((k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True))
    if any(length < r for length, r in zip(x.shape[2:], reach, strict=True)):
        raise Unsupported("its kernel is longer than its input")
    found = np.lib.stride_tricks.sliding_window_view(x, reach, tuple(range(2, 2 + n)))
    steps = (slice(None), slice(None), *(slice(None, None, step) for step in (*strides, *dilations)))
    return found[steps]


def spatial(node: OnnxNode, kernel: Shape, lengths: Shape) -> tuple[Shape, Shape, list[int], list[int]]:
    """Strides, dilations, and what to fill up before and after each spatial axis."""
    n = len(kernel)
    strides, dilations = (tuple(node.get(name, [1] * n)) for name in ("strides", "dilations"))
    auto = node.get("auto_pad", "NOTSET")
    if not auto.startswith("SAME"):
        pads = [0] * (2 * n) if auto == "VALID" else list(node.get("pads", [0] * (2 * n)))
        return strides, dilations, pads[:n], pads[n:]
    wanted = [
        max(0, (-(-length // s) - 1) * s + (k - 1) * d + 1 - length)
        for length, k, s, d in zip(lengths, kernel, strides, dilations, strict=True)
    ]
    less, more = [w // 2 for w in wanted], [w - w // 2 for w in wanted]
    return (strides, dilations, less, more) if auto == "SAME_UPPER" else (strides, dilations, more, less)


def _conv(node: OnnxNode, to: Emitter) -> list[Value]:
    weight, bias = node.constant(1, "weight"), node.optional_constant(2, "bias")
    x, groups, kernel = node.value(0), int(node.get("group", 1)), weight.shape[2:]
    strides, dilations, before, after = spatial(node, kernel, x.shape[2:])
    filled = padded(x, [0, 0, *before], [0, 0, *after], 0.0, to)
    array = filled.positions if isinstance(filled, View) else filled
    seen = windows(array, kernel, strides, dilations)
    n, channels, lengths = seen.shape[0], seen.shape[1], seen.shape[2 : 2 + len(kernel)]
    rows = weight.shape[0]
    columns = channels // groups * math.prod(kernel)
    # (N, C, O..., K...) to (N O..., groups, C / groups K...)
    axes = [0, *range(2, 2 + len(kernel)), 1, *range(2 + len(kernel), seen.ndim)]
    patches = seen.transpose(axes).reshape(-1, groups, columns)
    value: Value = View(filled.tensor, patches) if isinstance(filled, View) else patches
    y = to.dense(value, np.asarray(weight, np.float32).reshape(groups, rows // groups, columns), bias)
    order = (0, 1 + len(kernel), *range(1, 1 + len(kernel)))
    return [transposed(reshaped(y, (n, *lengths, rows)), order)]


TRANSLATIONS: dict[str, Translate] = {"MatMul": _matmul, "Gemm": _gemm, "Conv": _conv}
