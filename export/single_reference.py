"""The float step of a decoder in the device's arithmetic, node by node: the reference that the float32 C equals.

It reads the float step graph that a bundle holds, so that it sees the constants that the C gets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgebci.arithmetic import F32
from edgebci.errors import InputError
from edgebci.export.c_graph import STATE_SUFFIX, Node, StepGraph, read_graph
from edgebci.operators import single

Tensors = dict[str, F32]
_Operator = Callable[..., F32 | tuple[F32, ...]]


def _add(x: F32, y: F32) -> F32:
    return x + y


_OPERATORS: dict[str, _Operator] = {
    "Add": _add,
    "edgebci.Dense": single.dense,
    "edgebci.RmsNorm": single.rms_norm,
    "edgebci.Mamba2Step": single.mamba2_step,
    "edgebci.S4DStep": single.s4d_step,
    "edgebci.Glu": single.glu,
    "edgebci.GruStep": single.gru_step,
    "edgebci.SiluTokenizerStep": partial(single.tokenizer_step, "silu"),
    "edgebci.GeluTokenizerStep": partial(single.tokenizer_step, "gelu"),
    "edgebci.Stack": single.stack,
}


class SingleDecoder:
    """A decoder in float32, one stream, bit for bit what the generated C gives."""

    def __init__(self, graph: StepGraph) -> None:
        """Take a float step graph; raises InputError for a node that has no form in float32 C."""
        unknown = [f"{node.name} ({node.operator})" for node in graph.nodes if node.operator not in _OPERATORS]
        if unknown:
            raise InputError(f"no float32 form of {', '.join(unknown)}; there are {', '.join(sorted(_OPERATORS))}")
        self._graph = graph

    @classmethod
    def load(cls, path: Path) -> SingleDecoder:
        """Read a float step graph; raises InputError if it is missing, damaged or of another kind."""
        return cls(read_graph(path))

    def initial_states(self) -> Tensors:
        """All zero: the state at power-on and after a reset."""
        return {name: np.zeros(shape, np.float32) for name, shape in self._graph.states.items()}

    def step(self, frame: F32, states: Mapping[str, F32]) -> tuple[F32, Tensors]:
        """Decode one frame (n_inputs,): returns the output (n_outputs,) and the next states."""
        known: dict[str, Any] = {**self._graph.constants, **states, self._graph.frame: frame.astype(np.float32)}
        for node in self._graph.nodes:
            found = _OPERATORS[node.operator](*(known[name] for name in node.inputs), **_attributes(node))
            known.update(zip(node.outputs, found if isinstance(found, tuple) else (found,), strict=True))
        return known[self._graph.output], {name: known[name + STATE_SUFFIX] for name in states}

    def stream(self, frames: F32, reset_before: NDArray[np.bool_] | None = None) -> F32:
        """Decode (T, n_inputs) from zero states, which `reset_before` (T,) restores: returns (T, n_outputs)."""
        states, outputs = self.initial_states(), []
        for k, frame in enumerate(frames):
            if reset_before is not None and reset_before[k]:
                states = self.initial_states()
            output, states = self.step(frame, states)
            outputs.append(output)
        return np.stack(outputs)


def _attributes(node: Node) -> dict[str, np.float32]:
    return {name: np.float32(value) for name, value in node.attributes.items()}
