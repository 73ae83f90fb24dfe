"""The recurrent backbone: chunk by chunk, GRU layers, or state-space layers with norm and residual path."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from edgebci.possm_spec import PossmSpec
from edgebci.training.cells import make_cell
from edgebci.training.gru_cell import GruCell
from edgebci.training.possm.attention import make_norm
from edgebci.training.s4d import S4D
from edgebci.training.ssm import spread_time_constants

States = tuple[Any, ...]
"""One state for each layer, a NamedTuple of tensors."""


class ResidualCell(nn.Module):
    """x + cell(norm(x)); the norm of mamba2 is that of root mean squares, as in `mamba_ssm`."""

    def __init__(self, spec: PossmSpec) -> None:
        super().__init__()
        mamba = spec.backbone == "mamba2"
        self.norm = nn.RMSNorm(spec.hidden, spec.norm_epsilon) if mamba else make_norm(spec, spec.hidden)
        self.mixer = make_cell(spec.backbone, spec.block)

    def initial_state(self, batch: int) -> Any:
        """The state of streams that have not begun."""
        return self.mixer.initial_state(batch)

    def scan(self, u: Tensor, state: Any) -> tuple[Tensor, Any]:
        """(b, C, hidden) and the state before it, to the same and the state after it."""
        y, after = self.mixer.scan(self.norm(u), state)
        return u + y, after

    def step(self, u: Tensor, state: Any) -> tuple[Tensor, Any]:
        """(b, hidden) and the state before it, to the same and the state after it."""
        y, after = self.mixer.step(self.norm(u), state)
        return u + y, after


class Backbone(nn.Module):
    """(b, C, dim) to (b, C, hidden). A GRU's first layer widens; before state-space layers a matrix does."""

    def __init__(self, spec: PossmSpec, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        if spec.backbone == "gru":
            self.input: nn.Module = nn.Identity()
            widths = [spec.dim, *[spec.hidden] * (spec.n_layers - 1)]
            self.layers = nn.ModuleList([GruCell(width, spec.hidden) for width in widths])
        else:
            self.input = nn.Linear(spec.dim, spec.hidden)
            self.layers = nn.ModuleList([ResidualCell(spec) for _ in range(spec.n_layers)])

    def initial_state(self, batch: int) -> States:
        """The state of streams that have not begun."""
        return tuple(layer.initial_state(batch) for layer in self.layers)  # type: ignore[operator]

    def scan(self, x: Tensor, states: States) -> tuple[Tensor, States]:
        """A stretch (b, C, dim) and the states before it, to (b, C, hidden) and the states after it."""
        x, after = self.input(x), []
        for i, (layer, state) in enumerate(zip(self.layers, states, strict=True)):
            x, next_state = layer.scan(self.dropout(x) if i else x, state)  # type: ignore[operator]
            after.append(next_state)
        return x, tuple(after)

    def step(self, x: Tensor, states: States) -> tuple[Tensor, States]:
        """One chunk (b, dim) and the states before it, to (b, hidden) and the states after it."""
        x, after = self.input(x), []
        for layer, state in zip(self.layers, states, strict=True):
            x, next_state = layer.step(x, state)  # type: ignore[operator]
            after.append(next_state)
        return x, tuple(after)


def spread_over(model: nn.Module, time_constants_s: tuple[float, float], chunk_s: float) -> None:
    """Let the heads of new mamba2 blocks, and the channels of new s4d layers, remember from shortest to longest.

    S4D's own start, made for signals of thousands of samples, remembers from 20 to 2000 steps: with chunks of 50 ms,
    from 1 to 100 s, and a decoder of movement learns little from that.
    """
    spread_time_constants(model, time_constants_s, 1 / chunk_s)
    shortest, longest = (math.log(length_s / chunk_s) for length_s in time_constants_s)
    for layer in model.modules():
        if isinstance(layer, S4D):
            # A mode forgets with rate exp(A_log) dt per step.
            chunks_log = torch.linspace(shortest, longest, len(layer.dt_log))
            with torch.no_grad():
                layer.dt_log.copy_(-chunks_log - layer.A_log[:, 0])
