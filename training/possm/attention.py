"""The parts of POSSM around its backbone: rotation by time, attention of one query, feed-forward.

Rotary embedding by time (arXiv 2104.09864; periods as in POYO, arXiv 2310.16046): of each head a fraction of the
numbers turns in pairs with time, with periods from short to long; keys and queries turn, so that a score depends on
the time between them. Values turn too and are turned back by the query's time. All times here are differences of less
than a few chunks, so that float32 holds them after months.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgebci.possm_spec import PossmSpec


class TimeRotation(nn.Module):
    """Turns the first 2 R of a head's numbers; pair r is number r and number r + R."""

    omega: Tensor

    def __init__(self, spec: PossmSpec) -> None:
        super().__init__()
        periods = torch.logspace(
            math.log10(spec.shortest_period_s), math.log10(spec.longest_period_s), spec.n_rotations, dtype=torch.float64
        )
        self.register_buffer("omega", (2 * math.pi / periods).float(), persistent=False)

    def forward(self, value: Tensor, time_s: Tensor) -> Tensor:
        """Turn (..., head_dim) by times (...) in seconds."""
        angle = time_s.unsqueeze(-1) * self.omega
        cosine, sine = angle.cos(), angle.sin()
        rotations = self.omega.shape[0]
        first, second, rest = torch.split(value, [rotations, rotations, value.shape[-1] - 2 * rotations], dim=-1)
        return torch.cat([first * cosine - second * sine, first * sine + second * cosine, rest], dim=-1)


class CrossAttention(nn.Module):
    """One query attends to a few tokens, with one head; what it read is to be added to the query."""

    def __init__(self, spec: PossmSpec, context_width: int) -> None:
        super().__init__()
        self.head_dim, self.rotate_values = spec.head_dim, spec.rotate_values
        self.norm, self.norm_context = make_norm(spec, spec.dim), make_norm(spec, context_width)
        self.to_query = nn.Linear(spec.dim, spec.head_dim, bias=False)
        self.to_key_value = nn.Linear(context_width, 2 * spec.head_dim, bias=False)
        self.out = nn.Linear(spec.head_dim, spec.dim)
        self.rotation = TimeRotation(spec)

    def keys_values(self, context: Tensor) -> Tensor:
        """What is asked for in tokens (..., context_width): keys, then values (..., 2 head_dim), not turned yet."""
        projected: Tensor = self.to_key_value(self.norm_context(context))
        return projected

    def read(self, query: Tensor, keys_values: Tensor, since_token_s: Tensor, mask: Tensor | None = None) -> Tensor:
        """What one query each finds.

        Args:
            query: (..., dim).
            keys_values: of N tokens (..., N, 2 head_dim).
            since_token_s: time of the query minus time of each token (..., N).
            mask: which tokens are there (..., N); None: all.

        Returns:
            (..., dim).
        """
        key, value = keys_values.chunk(2, dim=-1)
        key = self.rotation(key, -since_token_s)
        scores = (key @ self.to_query(self.norm(query)).unsqueeze(-1)).squeeze(-1) / math.sqrt(self.head_dim)
        if mask is not None:
            scores = scores.masked_fill(~mask, -torch.inf)
        if self.rotate_values:
            value = self.rotation(value, -since_token_s)
        found: Tensor = self.out((scores.softmax(-1).unsqueeze(-2) @ value).squeeze(-2))
        return found


class FeedForward(nn.Module):
    """What is to be added to (..., dim): down(a gelu(b)) as published, or down(silu(up))."""

    def __init__(self, spec: PossmSpec, dropout: float) -> None:
        super().__init__()
        self.gated = spec.feed_forward == "geglu"
        self.norm = make_norm(spec, spec.dim)
        self.up = nn.Linear(spec.dim, spec.feed_forward_hidden * (2 if self.gated else 1))
        self.down = nn.Linear(spec.feed_forward_hidden, spec.dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(..., dim) to the same."""
        up = self.up(self.norm(x))
        hidden = _geglu(up) if self.gated else functional.silu(up)
        down: Tensor = self.dropout(self.down(hidden))
        return down


def _geglu(up: Tensor) -> Tensor:
    value, gate = up.chunk(2, dim=-1)
    return value * functional.gelu(gate)


def make_norm(spec: PossmSpec, width: int) -> nn.Module:
    """The norm that is used throughout a model."""
    kind = nn.LayerNorm if spec.norm == "layer" else nn.RMSNorm
    return kind(width, spec.norm_epsilon)
