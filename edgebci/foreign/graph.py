"""The small graph that every foreign decoder becomes: flat tensors, one output per node, no shapes to speak of.

A node reads its operands element by element through an index, so reshaping, transposing, slicing, gathering and
broadcasting need no nodes. Operators:

    a name of `functions.FUNCTIONS`      element by element
    a name of `functions.FOLDS`          sizes (outer, inner): one value of each `inner` elements
    join                                 its operands one after another
    dense                                sizes (positions, groups, rows, columns); operands x, weight, bias
    quantize                             operands x, inverse scale: int8 counts
    dense_int8                           as dense; operands q, weight, scale of the sums, bias
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgebci.block_spec import Shape

_UNPRINTED = re.compile(r"[^\w.:/-]", re.ASCII)
FRAME, OUTPUT = "frame", "output"
StateType = Literal["float32", "int16"]
Index = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Operand:
    """What a node reads: elements `index` of a tensor, or all of them in their order."""

    tensor: str
    index: Index | None = None

    def of(self, values: NDArray[Any]) -> NDArray[Any]:
        """The elements along the last axis."""
        return values if self.index is None else values[..., self.index]


@dataclass(frozen=True, eq=False)
class Node:
    """One operator; its output has `size` elements."""

    name: str
    operator: str
    operands: tuple[Operand, ...]
    output: str
    size: int
    sizes: tuple[int, ...] = ()

    @property
    def reads(self) -> tuple[str, ...]:
        """Names of the tensors that it reads."""
        return tuple(operand.tensor for operand in self.operands)

    @property
    def macs(self) -> int:
        """Multiplications whose products are added: those of dense layers."""
        return int(np.prod(self.sizes, dtype=np.int64)) if self.operator.startswith("dense") else 0


@dataclass(frozen=True)
class State:
    """What a step leaves to the next; zero at power-on."""

    name: str
    shape: Shape
    following: str
    """Tensor that is its next value."""
    type: StateType = "float32"
    scale: float = 1.0
    """One count of an int16 state."""

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))


@dataclass(frozen=True)
class Port:
    """An input or output of the model as it came; `frame` and `output` are all of them, one after another."""

    name: str
    shape: Shape

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))


@dataclass(frozen=True, eq=False)
class ForeignGraph:
    """One step: the tensor `frame` and the states to the tensor `output` and the next states.

    Fields:
        nodes: in an order in which they can be computed; the last one that writes `output` is among them.
        constants: arrays by name; operands see them flat.
    """

    nodes: tuple[Node, ...]
    constants: Mapping[str, NDArray[Any]]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    states: tuple[State, ...]

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Elements of every tensor, constants included."""
        of_states = {state.name: state.size for state in self.states}
        of_constants = {name: values.size for name, values in self.constants.items()}
        return {FRAME: self.n_inputs} | of_states | of_constants | {node.output: node.size for node in self.nodes}

    @property
    def n_inputs(self) -> int:
        """Values of a frame."""
        return sum(port.size for port in self.inputs)

    @property
    def n_outputs(self) -> int:
        """Values that are decoded."""
        return sum(port.size for port in self.outputs)

    @property
    def output_names(self) -> tuple[str, ...]:
        """One for each decoded value: `velocity.0`, `velocity.1`, ..., or the port's name where it has one value."""
        return tuple(name for port in self.outputs for name in _names(port))

    @property
    def macs(self) -> int:
        """Of one step."""
        return sum(node.macs for node in self.nodes)

    @property
    def int8_macs(self) -> int:
        """Those with int8 weights and int8 activations."""
        return sum(node.macs for node in self.nodes if node.operator == "dense_int8")

    @cached_property
    def recurrent(self) -> tuple[frozenset[str], frozenset[str]]:
        """Tensors that depend on a state, and those on which a next state depends."""
        dependent = {state.name for state in self.states}
        for node in self.nodes:
            if dependent.intersection(node.reads):
                dependent.add(node.output)
        needed = {state.following for state in self.states}
        for node in reversed(self.nodes):
            if node.output in needed:
                needed.update(node.reads)
        return frozenset(dependent), frozenset(needed)


def plain(name: str) -> str:
    """A name that may stand in a comment or a string of C, whatever its maker put into it."""
    return _UNPRINTED.sub("_", name)


def _names(port: Port) -> Iterator[str]:
    return iter([port.name] if port.size == 1 else [f"{port.name}.{i}" for i in range(port.size)])
