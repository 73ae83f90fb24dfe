"""A model that looks at a window of frames becomes a step: the last frames are a state, and each new one moves them on.

A model whose input is (1, C, T) or (1, T, C), given frames of C values, sees the newest frame and the T - 1 before it;
at power-on those are zero.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgebci.errors import InputError
from edgebci.foreign.graph import FRAME, ForeignGraph, Index, Node, Operand, Port, State

WINDOW = "window"
"""Name of the state."""


@dataclass(frozen=True, eq=False)
class Window:
    """T frames of C values.

    Fields:
        n_frames: T, the newest included.
        n_values: C.
        order: (T C,) which value of the window, oldest frame first, each value of the model's input is.
    """

    n_frames: int
    n_values: int
    order: Index

    def moved_on(self, before: NDArray[Any], frame: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """The model's input, flat, and the next state, from the state and one frame."""
        values = np.concatenate([before, frame])
        return values[self.order], values[self.n_values :]


def find_window(graph: ForeignGraph, n_values: int) -> Window | None:
    """The window that a model looks at, where its frames have `n_values` and its input several times as many.

    Raises:
        InputError: the input is as many frames as a frame has values, so that nobody can tell which axis is time.
    """
    if len(graph.inputs) != 1 or not n_values or graph.n_inputs == n_values or graph.n_inputs % n_values:
        return None
    port, n_frames = graph.inputs[0], graph.n_inputs // n_values
    long = tuple(length for length in port.shape if length > 1)
    if n_values == 1 or long not in ((n_frames, n_values), (n_values, n_frames)):
        return None
    if n_frames == n_values:
        raise InputError(
            f"the input {port.name} {list(port.shape)} is {n_frames} frames of {n_values} values in either order, so "
            f"its axis of time cannot be told; export the model for another number of frames"
        )
    positions = np.arange(graph.n_inputs).reshape(n_frames, n_values)
    order = positions if long == (n_frames, n_values) else positions.T
    return Window(n_frames, n_values, order.ravel().astype(np.int32))


def with_window(graph: ForeignGraph, window: Window) -> ForeignGraph:
    """The step of one frame: what read the model's input reads the window."""
    size = (window.n_frames - 1) * window.n_values
    port, whole, following = graph.inputs[0], f"{WINDOW}.all", f"{WINDOW}.new"
    newer = np.arange(window.n_values, size + window.n_values, dtype=np.int32)
    nodes = [
        Node(whole, "join", (Operand(WINDOW), Operand(FRAME)), whole, size + window.n_values),
        Node(following, "copy", (Operand(whole, newer),), following, size),
        *(
            replace(node, operands=tuple(_read(operand, whole, window) for operand in node.operands))
            for node in graph.nodes
        ),
    ]
    state = State(WINDOW, (window.n_frames - 1, window.n_values), following)
    ports = (Port(port.name, (window.n_values,)),)
    return replace(graph, nodes=tuple(nodes), inputs=ports, states=(*graph.states, state))


def _read(operand: Operand, whole: str, window: Window) -> Operand:
    if operand.tensor != FRAME:
        return operand
    return Operand(whole, window.order if operand.index is None else window.order[operand.index])
