"""Recurrent cells behind one interface: what a decoder's backbone is built of."""

from __future__ import annotations

from typing import Any, Literal, Protocol

from torch import Tensor

from edgebci.block_spec import BlockSpec
from edgebci.training.gru_cell import GruCell
from edgebci.training.s4d import S4D
from edgebci.training.ssm import Mamba2

CellKind = Literal["mamba2", "s4d", "gru"]


class Cell(Protocol):
    """A stream in, a stream of the same length out; the state, a NamedTuple of tensors, is the cell's own.

    A scan over a stretch, scans over its pieces, and one step per frame give the same outputs and the same state.
    """

    def initial_state(self, batch: int) -> Any:
        """The state of streams that have not begun."""
        ...

    def scan(self, u: Tensor, state: Any) -> tuple[Tensor, Any]:
        """A stretch of streams (b, T, d_model) and the state before it, to (b, T, d_model) and the state after it."""
        ...

    def step(self, u: Tensor, state: Any) -> tuple[Tensor, Any]:
        """One frame (b, d_model) and the state before it, to (b, d_model) and the state after it."""
        ...


def make_cell(kind: CellKind, spec: BlockSpec) -> Mamba2 | S4D | GruCell:
    """A new cell of width `spec.d_model`; `s4d` reads d_state besides, `gru` nothing else."""
    if kind == "mamba2":
        return Mamba2(spec)
    return S4D(spec) if kind == "s4d" else GruCell(spec.d_model, spec.d_model)
