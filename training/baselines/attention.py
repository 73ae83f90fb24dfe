"""A causal transformer layer that looks back a fixed number of frames, so that it streams for as long as one likes.

Age stands in place of position: each head subtracts its slope times a frame's age from the logit of that frame (ALiBi:
Press, Smith & Lewis 2022, arXiv 2108.12409), so nothing counts the time since the start.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional


class CacheState(NamedTuple):
    """What a layer remembers of a stream: keys and values of the frames before, the newest last."""

    keys: Tensor
    """(b, context - 1, width)."""
    values: Tensor
    """(b, context - 1, width)."""
    n_seen: Tensor
    """() how many of them are there, at most context - 1."""


class AttentionLayer(nn.Module):
    """x + attention(rms_norm(x)), then x + mlp(rms_norm(x))."""

    slopes: Tensor

    def __init__(self, width: int, inner: int, n_heads: int, context: int) -> None:
        super().__init__()
        self.width, self.inner, self.n_heads, self.context = width, inner, n_heads, context
        self.attention_norm, self.mlp_norm = nn.RMSNorm(width, 1e-5), nn.RMSNorm(width, 1e-5)
        self.queries_keys_values = nn.Linear(width, 3 * width, bias=False)
        self.mixed = nn.Linear(width, width, bias=False)
        self.mlp = nn.Sequential(nn.Linear(width, inner), nn.GELU(), nn.Linear(inner, width))
        heads = torch.arange(1, n_heads + 1, dtype=torch.float32)
        self.register_buffer("slopes", torch.exp2(-8 * heads / n_heads), persistent=False)

    def initial_state(self, batch: int) -> CacheState:
        """The state of a stream that has not begun: an empty cache."""
        empty = self.slopes.new_zeros(batch, self.context - 1, self.width)
        return CacheState(empty, empty, torch.zeros((), dtype=torch.int64))

    def scan(self, u: Tensor, state: CacheState) -> tuple[Tensor, CacheState]:
        """A stretch of streams (b, T, width) and the state before it, to the same and the state after it."""
        cached = self.context - 1
        queries, new_keys, new_values = self.queries_keys_values(self.attention_norm(u)).chunk(3, dim=-1)
        keys, values = torch.cat([state.keys, new_keys], dim=1), torch.cat([state.values, new_values], dim=1)
        attended = functional.scaled_dot_product_attention(
            self._split(queries), self._split(keys), self._split(values), attn_mask=self._bias(u.shape[1], state.n_seen)
        )
        x = u + self.mixed(attended.transpose(1, 2).flatten(2))
        x = x + self.mlp(self.mlp_norm(x))
        first = keys.shape[1] - cached
        return x, CacheState(keys[:, first:], values[:, first:], (state.n_seen + u.shape[1]).clamp(max=cached))

    def step(self, u: Tensor, state: CacheState) -> tuple[Tensor, CacheState]:
        """One frame (b, width) and the state before it, to the same and the state after it."""
        y, state = self.scan(u.unsqueeze(1), state)
        return y[:, 0], state

    def _split(self, x: Tensor) -> Tensor:
        """(b, T, width) to heads (b, heads, T, width / heads)."""
        return x.view(*x.shape[:2], self.n_heads, -1).transpose(1, 2)

    def _bias(self, n_frames: int, n_seen: Tensor) -> Tensor:
        """What is added to the logits of queries and keys (heads, T, context - 1 + T); -inf where one may not look."""
        cached = self.context - 1
        key = torch.arange(cached + n_frames)
        age = cached + torch.arange(n_frames)[:, None] - key
        allowed = (age >= 0) & (age < self.context) & (key >= cached - n_seen)
        return (-self.slopes[:, None, None] * age).masked_fill(~allowed, -torch.inf)
