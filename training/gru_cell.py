"""A gated recurrent unit (Cho et al. 2014, arXiv 1406.1078) behind the interface of the state-space blocks."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn


class GruState(NamedTuple):
    """What a unit remembers of a stream."""

    hidden: Tensor
    """(b, n_hidden)."""


class GruCell(nn.Module):
    """One layer; its output is its hidden state."""

    def __init__(self, n_inputs: int, n_hidden: int) -> None:
        super().__init__()
        self.gru = nn.GRU(n_inputs, n_hidden, batch_first=True)

    def initial_state(self, batch: int) -> GruState:
        """The state of a stream that has not begun: zeros."""
        return GruState(next(self.parameters()).new_zeros(batch, self.gru.hidden_size))

    def scan(self, u: Tensor, state: GruState | None = None) -> tuple[Tensor, GruState]:
        """A stretch of a stream (b, T, n_inputs) and the state before it, to (b, T, n_hidden) and the state after."""
        before = (state or self.initial_state(len(u))).hidden
        if not u.shape[1]:  # torch's GRU refuses a stretch of no frames
            return u.new_zeros(*u.shape[:2], self.gru.hidden_size), GruState(before)
        y, hidden = self.gru(u, before.unsqueeze(0))
        return y, GruState(hidden[0])

    def step(self, u: Tensor, state: GruState) -> tuple[Tensor, GruState]:
        """One frame (b, n_inputs) and the state before it, to (b, n_hidden) and the state after it."""
        in_weight, hidden_weight, in_bias, hidden_bias = self.gru.all_weights[0]
        hidden = torch.gru_cell(u, state.hidden, in_weight, hidden_weight, in_bias, hidden_bias)
        return hidden, GruState(hidden)

    def forward(self, u: Tensor) -> Tensor:
        """A whole stream from its beginning, (b, T, n_inputs) to (b, T, n_hidden)."""
        return self.scan(u)[0]
