"""Operators that fold axes: sums, means, extremes, softmax, norms and pooling."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from edgebci.export.foreign.elementwise import number
from edgebci.export.foreign.emitter import Emitter, Unsupported, Value, View, reshaped
from edgebci.export.foreign.movement import padded
from edgebci.export.foreign.node import OnnxNode, Translate
from edgebci.export.foreign.products import spatial, windows

_LOWEST = float(np.finfo(np.float32).min)
Axes = tuple[int, ...]
Reduce = Callable[[Value, Axes, bool, Emitter], Value]


def total(x: Value, axes: Axes, keepdims: bool, to: Emitter) -> Value:
    """Sum over `axes`."""
    return to.fold("fold_sum", x, axes, keepdims)


def mean(x: Value, axes: Axes, keepdims: bool, to: Emitter) -> Value:
    """Mean over `axes`."""
    n = math.prod(x.shape[axis] for axis in axes)
    return to.apply("multiply", total(x, axes, keepdims, to), number(1 / n))


def _sum_square(x: Value, axes: Axes, keepdims: bool, to: Emitter) -> Value:
    return total(to.apply("multiply", x, x), axes, keepdims, to)


def _l1(x: Value, axes: Axes, keepdims: bool, to: Emitter) -> Value:
    return total(to.apply("absolute", x), axes, keepdims, to)


def _l2(x: Value, axes: Axes, keepdims: bool, to: Emitter) -> Value:
    return to.apply("sqrt", _sum_square(x, axes, keepdims, to))


def _log_sum(x: Value, axes: Axes, keepdims: bool, to: Emitter) -> Value:
    return to.apply("log", total(x, axes, keepdims, to))


def _log_sum_exp(x: Value, axes: Axes, keepdims: bool, to: Emitter) -> Value:
    largest = to.fold("fold_max", x, axes, True)
    powers = to.apply("exp", to.apply("subtract", x, largest))
    summed = to.apply("add", to.apply("log", total(powers, axes, True, to)), largest)
    kept = tuple(n for i, n in enumerate(x.shape) if i not in {axis % len(x.shape) for axis in axes})
    return summed if keepdims else reshaped(summed, kept)


def _largest(x: Value, axes: Axes, keepdims: bool, to: Emitter) -> Value:
    return to.fold("fold_max", x, axes, keepdims)


def _least(x: Value, axes: Axes, keepdims: bool, to: Emitter) -> Value:
    return to.fold("fold_min", x, axes, keepdims)


def _reduce(over: Reduce) -> Translate:
    def translate(node: OnnxNode, to: Emitter) -> list[Value]:
        x, axes, keepdims = node.value(0), node.axes(1), bool(node.get("keepdims", 1))
        if not axes and node.get("noop_with_empty_axes", 0):
            return [over(reshaped(x, (*x.shape, 1)), (len(x.shape),), False, to)]
        return [over(x, axes or tuple(range(len(x.shape))), keepdims, to)]

    return translate


def _softmax(node: OnnxNode, to: Emitter) -> list[Value]:
    return [to.apply("divide", *_powers(node, to)[1:])]


def _log_softmax(node: OnnxNode, to: Emitter) -> list[Value]:
    shifted, _, summed = _powers(node, to)
    return [to.apply("subtract", shifted, to.apply("log", summed))]


def _powers(node: OnnxNode, to: Emitter) -> tuple[Value, Value, Value]:
    """x less its largest, e to that, and the sum of that."""
    x, axes = node.value(0), (int(node.get("axis", -1)),)
    shifted = to.apply("subtract", x, to.fold("fold_max", x, axes, True))
    powers = to.apply("exp", shifted)
    return shifted, powers, total(powers, axes, True, to)


def _standardized(x: Value, axes: Axes, epsilon: float, to: Emitter) -> tuple[Value, Value, Value]:
    """(x - mean) / deviation, the mean and 1 / deviation."""
    middle = mean(x, axes, True, to)
    centered = to.apply("subtract", x, middle)
    variance = mean(to.apply("multiply", centered, centered), axes, True, to)
    deviation = to.apply("sqrt", to.apply("add", variance, number(epsilon)))
    inverse = to.apply("divide", number(1), deviation)
    return to.apply("multiply", centered, inverse), middle, inverse


def _layer_norm(node: OnnxNode, to: Emitter) -> list[Value]:
    x, axis = node.value(0), int(node.get("axis", -1))
    axes = tuple(range(axis % len(x.shape), len(x.shape)))
    y, middle, inverse = _standardized(x, axes, node.get("epsilon", 1e-5), to)
    y = to.apply("multiply", y, node.value(1))
    offset = node.optional(2)
    return [y if offset is None else to.apply("add", y, offset), middle, inverse][: node.n_outputs]


def _rms_norm(node: OnnxNode, to: Emitter) -> list[Value]:
    x, axis = node.value(0), int(node.get("axis", -1))
    axes = tuple(range(axis % len(x.shape), len(x.shape)))
    square = mean(to.apply("multiply", x, x), axes, True, to)
    root = to.apply("sqrt", to.apply("add", square, number(node.get("epsilon", 1e-5))))
    unit = to.apply("multiply", x, to.apply("divide", number(1), root))
    return [to.apply("multiply", unit, node.value(1))]


def _by_channel(values: Value, x: Value) -> Value:
    return reshaped(values, (-1, *[1] * (len(x.shape) - 2)))


def _instance_norm(node: OnnxNode, to: Emitter) -> list[Value]:
    x = node.value(0)
    y = _standardized(x, tuple(range(2, len(x.shape))), node.get("epsilon", 1e-5), to)[0]
    y = to.apply("multiply", y, _by_channel(node.value(1), x))
    return [to.apply("add", y, _by_channel(node.value(2), x))]


def _group_norm(node: OnnxNode, to: Emitter) -> list[Value]:
    x, groups = node.value(0), int(node.attributes["num_groups"])
    if node.opset < 21:
        raise Unsupported("its scale is per group before opset 21; export with opset 21")
    parts = reshaped(x, (x.shape[0], groups, -1))
    y = reshaped(_standardized(parts, (2,), node.get("epsilon", 1e-5), to)[0], x.shape)
    y = to.apply("multiply", y, _by_channel(node.value(1), x))
    return [to.apply("add", y, _by_channel(node.value(2), x))]


def _batch_norm(node: OnnxNode, to: Emitter) -> list[Value]:
    if node.get("training_mode", 0) or node.n_outputs > 1:
        raise Unsupported("it learns; export the model in evaluation mode")
    names = ("scale", "bias", "mean", "variance")
    scale, bias, middle, variance = (node.constant(i + 1, name).astype(np.float64) for i, name in enumerate(names))
    factor = scale / np.sqrt(variance + node.get("epsilon", 1e-5))
    x = node.value(0)
    factors, offsets = (_by_channel(values.astype(np.float32), x) for values in (factor, bias - middle * factor))
    return [to.apply("add", to.apply("multiply", x, factors), offsets)]


def _global_pool(over: Reduce) -> Translate:
    return lambda node, to: [over(node.value(0), tuple(range(2, len(node.value(0).shape))), True, to)]


def _pool(node: OnnxNode, to: Emitter, filling: float) -> tuple[Value, Value]:
    """What each output looks at, (N, C, O..., K), and the same of ones where there is input, of zeros elsewhere."""
    if node.get("ceil_mode", 0) or node.n_outputs > 1:
        raise Unsupported("it rounds its output length up or gives indices")
    x, kernel = node.value(0), tuple(node.attributes["kernel_shape"])
    strides, dilations, before, after = spatial(node, kernel, x.shape[2:])
    seen = []
    for value, fill in ((x, filling), (np.ones(x.shape, np.float32), float(node.get("count_include_pad", 0)))):
        filled = padded(value, [0, 0, *before], [0, 0, *after], fill, to)
        array = filled.positions if isinstance(filled, View) else filled
        cut = windows(array, kernel, strides, dilations)
        cut = cut.reshape(*cut.shape[: 2 + len(kernel)], -1)
        seen.append(View(filled.tensor, cut) if isinstance(filled, View) else cut)
    return seen[0], seen[1]


def _max_pool(node: OnnxNode, to: Emitter) -> list[Value]:
    seen, _ = _pool(node, to, _LOWEST)
    return [to.fold("fold_max", seen, (-1,), False)]


def _average_pool(node: OnnxNode, to: Emitter) -> list[Value]:
    seen, there = _pool(node, to, 0.0)
    counts = np.asarray(there).sum(axis=-1)
    return [to.apply("multiply", to.fold("fold_sum", seen, (-1,), False), (1 / counts).astype(np.float32))]


TRANSLATIONS: dict[str, Translate] = {
    "ReduceSum": _reduce(total),
    "ReduceMean": _reduce(mean),
    "ReduceSumSquare": _reduce(_sum_square),
    "ReduceL1": _reduce(_l1),
    "ReduceL2": _reduce(_l2),
    "ReduceLogSum": _reduce(_log_sum),
    "ReduceLogSumExp": _reduce(_log_sum_exp),
    "ReduceMax": _reduce(_largest),
    "ReduceMin": _reduce(_least),
    "Softmax": _softmax,
    "LogSoftmax": _log_softmax,
    "LayerNormalization": _layer_norm,
    "RMSNormalization": _rms_norm,
    "InstanceNormalization": _instance_norm,
    "GroupNormalization": _group_norm,
    "BatchNormalization": _batch_norm,
    "GlobalAveragePool": _global_pool(mean),
    "GlobalMaxPool": _global_pool(_largest),
    "MaxPool": _max_pool,
    "AveragePool": _average_pool,
}
