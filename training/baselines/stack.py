"""A decoder of other cells than Mamba-2: linear input, a stack of cells, linear readout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from torch import Tensor, nn

from edgebci.training.baselines.attention import AttentionLayer
from edgebci.training.gru_cell import GruCell
from edgebci.training.network import Network

StackCell = GruCell | AttentionLayer


class StackedDecoder(Network):
    """readout(rms_norm(cells(input(frame))))."""

    def __init__(
        self, n_inputs: int, width: int, cells: Sequence[StackCell], cell_width: int, n_outputs: int, dropout: float
    ) -> None:
        super().__init__()
        self.input = nn.Linear(n_inputs, width)
        self.cells = nn.ModuleList(cells)
        self.norm = nn.RMSNorm(cell_width, 1e-5)
        self.dropout = nn.Dropout(dropout)
        self.readout = nn.Linear(cell_width, n_outputs)

    @property
    def stack(self) -> list[StackCell]:
        """The cells, from input to readout."""
        return cast(list[StackCell], list(self.cells))

    def initial_states(self, batch: int) -> list[Any]:
        """States of streams that have not begun."""
        return [cell.initial_state(batch) for cell in self.stack]

    def encode(self, frames: Tensor, states: list[Any]) -> tuple[Tensor, list[Any]]:
        """Frames (b, T, F) to the last cell's output (b, T, cell_width)."""
        x, after = self.input(frames), []
        for cell, state in zip(self.stack, states, strict=True):
            x, state = cell.scan(x, state)
            x = self.dropout(x)
            after.append(state)
        return x, after

    def decode(self, x: Tensor) -> Tensor:
        """The last cell's output to outputs."""
        outputs: Tensor = self.readout(self.norm(x))
        return outputs

    def step(self, frame: Tensor, states: list[Any]) -> tuple[Tensor, list[Any]]:
        """One frame (b, F) and the states before it, to outputs (b, D) and the states after it."""
        x, after = self.input(frame), []
        for cell, state in zip(self.stack, states, strict=True):
            x, state = cell.step(x, state)
            after.append(state)
        return self.decode(x), after
