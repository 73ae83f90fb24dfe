"""Operators that only say where elements go: they act on positions, and need no nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgebci.export.foreign.emitter import Emitter, Unsupported, Value, View
from edgebci.export.foreign.node import OnnxNode, Translate

Move = Callable[[OnnxNode, NDArray[Any]], list[NDArray[Any]]]


def moving(move: Move) -> Translate:
    """What `move` does to an array, done to the positions of a view."""

    def translate(node: OnnxNode, _: Emitter) -> list[Value]:
        x = node.value(0)
        if isinstance(x, np.ndarray):
            return list(move(node, x))
        return [View(x.tensor, positions) for positions in move(node, x.positions)]

    return translate


def _reshape(node: OnnxNode, x: NDArray[Any]) -> list[NDArray[Any]]:
    wanted = [int(n) for n in node.constant(1, "shape")]
    if not node.get("allowzero", 0):
        wanted = [x.shape[i] if n == 0 else n for i, n in enumerate(wanted)]
    return [x.reshape(wanted)]


def _flatten(node: OnnxNode, x: NDArray[Any]) -> list[NDArray[Any]]:
    axis = int(node.get("axis", 1))
    axis = axis + x.ndim if axis < 0 else axis
    return [x.reshape(int(np.prod(x.shape[:axis], dtype=np.int64)), -1)]


def _transpose(node: OnnxNode, x: NDArray[Any]) -> list[NDArray[Any]]:
    return [x.transpose(node.get("perm", range(x.ndim)[::-1]))]


def _squeeze(node: OnnxNode, x: NDArray[Any]) -> list[NDArray[Any]]:
    axes = node.axes(1)
    return [np.squeeze(x) if axes is None else np.squeeze(x, axes)]


def _unsqueeze(node: OnnxNode, x: NDArray[Any]) -> list[NDArray[Any]]:
    axes = node.axes(1)
    if axes is None:
        raise Unsupported("it names no axes")
    return [np.expand_dims(x, axes)]


def _slice(node: OnnxNode, x: NDArray[Any]) -> list[NDArray[Any]]:
    starts, ends = (np.atleast_1d(node.constant(i, what)) for i, what in ((1, "start"), (2, "end")))
    axes = node.axes(3) or tuple(range(len(starts)))
    given = node.optional_constant(4, "step")
    steps = np.ones(len(starts), np.int64) if given is None else np.atleast_1d(given)
    cuts = [slice(None)] * x.ndim
    for axis, start, end, step in zip(axes, starts.tolist(), ends.tolist(), steps.tolist(), strict=True):
        cuts[axis] = _cut(start, end, step, x.shape[axis])
    return [x[tuple(cuts)]]


def _cut(start: int, end: int, step: int, length: int) -> slice:
    """ONNX's slice: bounds count from the end where negative and are limited to the axis."""
    start, end = (bound + length if bound < 0 else bound for bound in (start, end))
    if step > 0:
        return slice(min(max(start, 0), length), min(max(end, 0), length), step)
    first, last = min(max(start, -1), length - 1), min(max(end, -1), length - 1)
    return slice(first, None if last < 0 else last, step)


def _split(node: OnnxNode, x: NDArray[Any]) -> list[NDArray[Any]]:
    axis = int(node.get("axis", 0))
    given = node.attributes.get("split", node.optional_constant(1, "split"))
    if given is None:
        n = int(node.get("num_outputs", node.n_outputs))
        most = -(-x.shape[axis] // n)
        given = [min(most, x.shape[axis] - i * most) for i in range(n)]
    return np.split(x, np.cumsum(np.asarray(given))[:-1], axis)


def _gather(node: OnnxNode, x: NDArray[Any]) -> list[NDArray[Any]]:
    axis = int(node.get("axis", 0))
    indices = node.constant(1, "index").astype(np.int64)
    return [np.take(x, np.where(indices < 0, indices + x.shape[axis], indices), axis)]


def _gather_elements(node: OnnxNode, x: NDArray[Any]) -> list[NDArray[Any]]:
    axis = int(node.get("axis", 0))
    indices = node.constant(1, "index").astype(np.int64)
    return [np.take_along_axis(x, np.where(indices < 0, indices + x.shape[axis], indices), axis)]


def _expand(node: OnnxNode, x: NDArray[Any]) -> list[NDArray[Any]]:
    shape = np.broadcast_shapes(x.shape, tuple(int(n) for n in node.constant(1, "shape")))
    return [np.broadcast_to(x, shape)]


def _tile(node: OnnxNode, x: NDArray[Any]) -> list[NDArray[Any]]:
    return [np.tile(x, tuple(int(n) for n in node.constant(1, "number of repeats")))]


def _depth_to_space(node: OnnxNode, x: NDArray[Any]) -> list[NDArray[Any]]:
    (n, c, h, w), b = x.shape, int(node.attributes["blocksize"])
    if node.get("mode", "DCR") == "DCR":
        return [x.reshape(n, b, b, c // b**2, h, w).transpose(0, 3, 4, 1, 5, 2).reshape(n, c // b**2, h * b, w * b)]
    return [x.reshape(n, c // b**2, b, b, h, w).transpose(0, 1, 4, 2, 5, 3).reshape(n, c // b**2, h * b, w * b)]


def _concat(node: OnnxNode, to: Emitter) -> list[Value]:
    axis, values = int(node.attributes["axis"]), [node.value(i) for i in range(len(node.values))]
    return [joined(values, axis, to)]


def joined(values: list[Value], axis: int, to: Emitter) -> Value:
    """Concatenated; a node only where they come from several tensors."""
    arrays = [value for value in values if isinstance(value, np.ndarray)]
    if len(arrays) == len(values):
        return np.concatenate(arrays, axis)
    views = [value for value in values if isinstance(value, View)]
    if len(views) == len(values) and len({view.tensor for view in views}) == 1:
        return View(views[0].tensor, np.concatenate([view.positions for view in views], axis))
    whole = to.join(values)
    starts = np.cumsum([0, *(int(np.prod(value.shape, dtype=np.int64)) for value in values)])
    parts = [
        np.arange(start, stop).reshape(value.shape)
        for value, start, stop in zip(values, starts[:-1], starts[1:], strict=True)
    ]
    return View(whole.tensor, np.concatenate(parts, axis))


def padded(x: Value, before: list[int], after: list[int], value: float, to: Emitter) -> Value:
    """Filled up with a constant; negative counts cut."""
    cut = tuple(slice(max(0, -b), n - max(0, -a)) for b, a, n in zip(before, after, x.shape, strict=True))
    widths = [(max(0, b), max(0, a)) for b, a in zip(before, after, strict=True)]
    if isinstance(x, np.ndarray):
        return np.pad(x[cut], widths, constant_values=value)
    if not any(map(any, widths)):
        return View(x.tensor, x.positions[cut])
    whole = to.join([x, np.asarray([value], np.float32)])
    inside = np.arange(x.positions.size).reshape(x.shape)[cut]
    return View(whole.tensor, np.pad(inside, widths, constant_values=x.positions.size))


def _pad(node: OnnxNode, to: Emitter) -> list[Value]:
    x, counts = node.value(0), [int(n) for n in node.constant(1, "number of pads")]
    given = node.optional_constant(2, "padding value")
    axes = node.axes(3) or tuple(range(len(x.shape)))
    before, after = [0] * len(x.shape), [0] * len(x.shape)
    for i, axis in enumerate(axes):
        before[axis], after[axis] = counts[i], counts[i + len(axes)]
    mode = node.get("mode", "constant")
    if mode == "constant":
        return [padded(x, before, after, 0.0 if given is None else float(given.reshape(())), to)]
    if min([*before, *after]) < 0:
        raise Unsupported(f"it pads by a negative number in mode {mode}")
    names = {"edge": "edge", "reflect": "reflect", "wrap": "wrap"}
    if isinstance(x, np.ndarray):
        return [np.pad(x, list(zip(before, after, strict=True)), names[mode])]  # type: ignore[call-overload]
    moved = np.pad(x.positions, list(zip(before, after, strict=True)), names[mode])  # type: ignore[call-overload]
    return [View(x.tensor, moved)]


def _shape(node: OnnxNode, _: Emitter) -> list[Value]:
    shape = node.value(0).shape
    start, end = int(node.get("start", 0)), node.attributes.get("end")
    return [np.asarray(shape[start : None if end is None else int(end)], np.int64)]


def _size(node: OnnxNode, _: Emitter) -> list[Value]:
    return [np.asarray(np.prod(node.value(0).shape, dtype=np.int64), np.int64)]


TRANSLATIONS: dict[str, Translate] = {
    "Reshape": moving(_reshape),
    "Flatten": moving(_flatten),
    "Transpose": moving(_transpose),
    "Squeeze": moving(_squeeze),
    "Unsqueeze": moving(_unsqueeze),
    "Slice": moving(_slice),
    "Split": moving(_split),
    "Gather": moving(_gather),
    "GatherElements": moving(_gather_elements),
    "Expand": moving(_expand),
    "Tile": moving(_tile),
    "DepthToSpace": moving(_depth_to_space),
    "Concat": _concat,
    "Pad": _pad,
    "Shape": _shape,
    "Size": _size,
}
