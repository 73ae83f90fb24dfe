"""One call of the generated C: what it reads, writes and keeps in flash."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgebci.errors import InputError
from edgebci.export.c_graph import Node, StepGraph
from edgebci.export.c_literals import Constant, identifier


@dataclass(frozen=True)
class Buffer:
    """A tensor that lives in work memory between two nodes."""

    tensor: str
    c_type: str  # float or int8_t
    size: int


@dataclass(frozen=True)
class Operation:
    """One call. `call` has {0}, {1} for the buffers that it reads and {out} for the one that it writes."""

    node: Node
    reads: tuple[str, ...]
    writes: Buffer
    shapes: str
    call: str
    kernel: str = ""  # definition of a kernel for this shape; operations of one shape share it
    constants: tuple[Constant, ...] = ()
    description: str = ""  # definition of the kernel's description in flash
    description_type: str = ""
    destroys: str = ""  # a tensor in `reads` that is used up
    overwrites: bool = False  # may write where it reads
    states: tuple[str, ...] = ()  # advanced in place
    headers: tuple[str, ...] = ()  # kernels beside edgebci_kernels.h

    @property
    def c_name(self) -> str:
        """Identifier of the node's description."""
        return c_name(self.node)


Translate = Callable[[Node, StepGraph, dict[str, int]], Operation]
"""A node, its graph and the sizes of the tensors so far, to a call."""


def c_name(node: Node) -> str:
    """Node names like `input` and `norm` get a prefix: they would be global names in C."""
    return f"node_{identifier(node.name)}"


def floats(graph: StepGraph, name: str) -> NDArray[np.float32]:
    """A constant in float32."""
    return graph.constants[name].astype(np.float32, copy=False)


def per_row(graph: StepGraph, act_scale: str, weight_scale: str) -> NDArray[np.float32]:
    """One count of the integer sum, per row, rounded once."""
    scale: NDArray[np.float32] = floats(graph, act_scale).reshape(()) * floats(graph, weight_scale)
    return scale


def check_columns(node: Node, expected: int, got: int) -> None:
    """Raise InputError where a node gets another number of values than it expects."""
    if expected != got:
        raise InputError(f"{node.name} ({node.operator}) expects {expected} values and gets {got}; export again")


def check_lanes(node: Node, n: int) -> None:
    """Raise InputError where a sum does not fill the lanes of the defined order."""
    if n % 4:
        raise InputError(f"{node.name} ({node.operator}) sums {n} values; the C kernels need a multiple of 4")
