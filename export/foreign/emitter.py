"""Writing the flat graph: what an ONNX tensor is while it is translated, and the few nodes that compute something."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgebci.block_spec import Shape
from edgebci.foreign.functions import FOLDS, FUNCTIONS, dense
from edgebci.foreign.graph import Node, Operand

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class View:
    """A computed ONNX tensor: which element of which flat tensor each of its elements is."""

    tensor: str
    positions: NDArray[np.int64]
    """In the shape of the ONNX tensor."""

    @property
    def shape(self) -> Shape:
        """Of the ONNX tensor."""
        return self.positions.shape


Value = View | NDArray[Any]
"""A computed tensor, or one that is known before any frame comes."""


class Unsupported(Exception):  # noqa: N818 (a finding that is collected, no error of the program)
    """Why a node cannot be translated."""


@dataclass
class Emitter:
    """Collects the nodes and constants of one flat graph; `place` prefixes the names of what comes next."""

    sizes: dict[str, int] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    constants: dict[str, NDArray[Any]] = field(default_factory=dict)
    place: str = "graph"
    _taken: set[str] = field(default_factory=set)

    def apply(self, function: str, *values: Value) -> Value:
        """One of `FUNCTIONS` of every element, shapes broadcast as in NumPy."""
        shape = np.broadcast_shapes(*(value.shape for value in values))
        if not any(isinstance(value, View) for value in values):
            numbers = [np.asarray(value, np.float32) for value in values]
            return np.broadcast_to(FUNCTIONS[function](*numbers), shape)
        operands = tuple(self.operand(value, shape) for value in values)
        return self._emit(function, operands, shape)

    def fold(self, function: str, value: Value, axes: tuple[int, ...], keepdims: bool) -> Value:
        """One of `FOLDS` over `axes`."""
        axes = tuple(
            sorted(axis % value.ndim if isinstance(value, np.ndarray) else axis % len(value.shape) for axis in axes)
        )
        moved = moveaxes(value, axes)
        kept = tuple(n for i, n in enumerate(value.shape) if i not in axes)
        inner = int(np.prod([value.shape[axis] for axis in axes], dtype=np.int64))
        outer = int(np.prod(kept, dtype=np.int64))
        shape = tuple(1 if i in axes else n for i, n in enumerate(value.shape)) if keepdims else kept
        if isinstance(moved, np.ndarray):
            result: Floats = FOLDS[function](moved.astype(np.float32).reshape(outer, inner))
            return result.reshape(shape)
        return self._emit(function, (self.operand(moved, moved.shape),), shape, (outer, inner))

    def dense(self, x: Value, weight: Value, bias: Floats | None = None) -> Value:
        """weight x + bias: x (positions, groups, columns), weight (groups, rows, columns), bias (groups, rows)."""
        groups, rows, columns = weight.shape
        offsets = np.zeros((groups, rows), np.float32) if bias is None else bias.reshape(groups, rows)
        if isinstance(x, np.ndarray) and isinstance(weight, np.ndarray):
            return dense(x.astype(np.float32), weight, offsets)
        shape, name = (x.shape[0], groups, rows), self.name("dense")
        operands = (
            self.operand(x, x.shape),
            self._weight(weight, f"{name}.weight"),
            Operand(self.constant(offsets, f"{name}.bias")),
        )
        return self._emit("dense", operands, shape, (shape[0], groups, rows, columns), name)

    def _weight(self, weight: Value, name: str) -> Operand:
        if isinstance(weight, View):
            return self.operand(weight, weight.shape)
        return Operand(self.constant(weight.astype(np.float32), name))

    def join(self, values: list[Value]) -> View:
        """All elements, one value after another."""
        operands = tuple(self.operand(value, value.shape) for value in values)
        size = sum(value.size if isinstance(value, np.ndarray) else value.positions.size for value in values)
        return self._emit("join", operands, (size,))

    def copy(self, value: Value, output: str) -> None:
        """A tensor `output` of its own with the elements of `value`."""
        shape = value.shape
        self._emit("copy", (self.operand(value, shape),), shape, name=output)

    def operand(self, value: Value, shape: Shape) -> Operand:
        """`value`, broadcast to `shape`, as a node reads it."""
        if isinstance(value, np.ndarray):
            flat = np.arange(value.size).reshape(value.shape)
            value = View(self.constant(np.asarray(value, np.float32), self.name("constant")), flat)
        index = np.broadcast_to(value.positions, shape).ravel()
        return self.read(value.tensor, index)

    def read(self, tensor: str, index: NDArray[np.int64]) -> Operand:
        """Elements `index` of a tensor."""
        whole = len(index) == self.sizes[tensor] and bool((index == np.arange(len(index))).all())
        return Operand(tensor, None if whole else index.astype(np.int32))

    def constant(self, values: NDArray[Any], name: str) -> str:
        """Keep an array; an equal small one is kept once."""
        array = np.ascontiguousarray(values)
        if array.size <= 1:
            name = f"constant.{float(array.reshape(-1)[0])!r}" if array.size else name
        self.constants[name], self.sizes[name] = array, array.size
        return name

    def name(self, what: str) -> str:
        """A new name at this place."""
        base, k = f"{self.place}.{what}", 0
        name = base
        while name in self._taken:
            k += 1
            name = f"{base}.{k}"
        self._taken.add(name)
        return name

    def tensor(self, name: str, shape: Shape) -> View:
        """A tensor that is there before any node: the frame, a state."""
        size = int(np.prod(shape, dtype=np.int64))
        self.sizes[name] = size
        self._taken.add(name)
        return View(name, np.arange(size).reshape(shape))

    def _emit(
        self,
        operator: str,
        operands: tuple[Operand, ...],
        shape: Shape,
        sizes: tuple[int, ...] = (),
        name: str | None = None,
    ) -> View:
        name = name or self.name(operator)
        size = int(np.prod(shape, dtype=np.int64))
        self.nodes.append(Node(name, operator, operands, name, size, sizes))
        return self.tensor(name, shape)


def moveaxes(value: Value, axes: tuple[int, ...]) -> Value:
    """`axes` behind all others, in their order."""
    order = [axis for axis in range(len(value.shape)) if axis not in axes] + list(axes)
    if isinstance(value, np.ndarray):
        return value.transpose(order)
    return View(value.tensor, value.positions.transpose(order))


def reshaped(value: Value, shape: tuple[int, ...]) -> Value:
    """The same elements in another shape."""
    if isinstance(value, np.ndarray):
        return value.reshape(shape)
    return View(value.tensor, value.positions.reshape(shape))
