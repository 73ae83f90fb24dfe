"""A bidirectional transformer over (time, patch) tokens: pre-norm, rotary time, gated MLP (arXiv 2512.12461, A.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgebci.training.crossmodal.corpus import Windows
from edgebci.training.crossmodal.spec import EncoderSpec, SessionPatches, TransformerSpec
from edgebci.training.crossmodal.tokens import Tokens


class Turn(NamedTuple):
    """Rotary cosines and sines (b, 1, N, d_head / 2)."""

    cos: Tensor
    sin: Tensor


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, spec: TransformerSpec) -> None:
        super().__init__()
        d, hidden = spec.d_model, spec.mlp_ratio * spec.d_model
        self.n_heads, self.attention_dropout = spec.n_heads, spec.dropout
        self.attention_norm, self.mlp_norm = nn.RMSNorm(d, spec.norm_epsilon), nn.RMSNorm(d, spec.norm_epsilon)
        self.qkv = nn.Linear(d, 3 * d, bias=spec.attention_bias)
        self.out = nn.Linear(d, d, bias=spec.attention_bias)
        self.gate, self.up = nn.Linear(d, hidden, bias=False), nn.Linear(d, hidden, bias=False)
        self.down = nn.Linear(hidden, d, bias=False)
        self.dropout = nn.Dropout(spec.dropout)

    def forward(self, x: Tensor, mask: Tensor, turn: Turn) -> Tensor:
        """Tokens (b, N, d); `mask` is what attention adds or leaves out, (b, heads or 1, N or 1, N)."""
        x = x + self.dropout(self._attention(self.attention_norm(x), mask, turn))
        normed = self.mlp_norm(x)
        rise: Tensor = self.dropout(self.down(functional.silu(self.gate(normed)) * self.up(normed)))
        return x + rise

    def _attention(self, x: Tensor, mask: Tensor, turn: Turn) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.n_heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(
            rotated(q, turn),
            rotated(k, turn),
            v,
            attn_mask=mask,
            dropout_p=self.attention_dropout if self.training else 0.0,
        )
        out: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return out


class Transformer(nn.Module):
    """Blocks and a last norm."""

    def __init__(self, spec: TransformerSpec) -> None:
        super().__init__()
        self.spec = spec
        self.blocks = nn.ModuleList(Block(spec) for _ in range(spec.n_layers))
        self.norm = nn.RMSNorm(spec.d_model, spec.norm_epsilon)

    def forward(self, tokens: Tensor, seen: Tensor, frame: Tensor) -> Tensor:
        """Tokens (b, N, d), which of them are real (b, N), and the frame that each belongs to (b, N)."""
        turn, mask = turns(frame, self.spec), attention_mask(seen, frame, self.spec)
        for block in self.blocks:
            tokens = block(tokens, mask, turn)
        normed: Tensor = self.norm(tokens)
        return normed


class PatchEncoder(nn.Module):
    """Windows of one modality to one vector per frame."""

    def __init__(self, spec: EncoderSpec, sessions: Sequence[SessionPatches]) -> None:
        super().__init__()
        self.spec, self.width = spec, spec.transformer.d_model
        self.tokens, self.transformer = Tokens(spec, sessions), Transformer(spec.transformer)

    def forward(self, windows: Windows) -> Tensor:
        """The mean over each frame's patches (b, T, d)."""
        shape = windows.values.shape[:3]
        seen, frame = every_token(windows)
        encoded = self.transformer(self.tokens(windows).flatten(1, 2), seen, frame).unflatten(1, shape[1:])
        there = windows.patches[:, None, :, None]
        mean: Tensor = (encoded * there).sum(dim=2) / there.sum(dim=2)
        return mean


def every_token(windows: Windows) -> tuple[Tensor, Tensor]:
    """Of all tokens in the order (time, patch): whether it is real (b, T P), and its frame (b, T P)."""
    b, t, p, _ = windows.values.shape
    frame = torch.arange(t, device=windows.values.device).repeat_interleave(p).expand(b, -1)
    return windows.patches.repeat(1, t), frame


def attention_mask(seen: Tensor, frame: Tensor, spec: TransformerSpec) -> Tensor:
    """Only tokens that are seen (b, N) are attended to; with localities, the nearer ones the more, (b, heads, N, N)."""
    if not spec.locality_frames:
        return seen[:, None, None, :]
    distance = (frame[:, None, :, None] - frame[:, None, None, :]).abs()
    reach = torch.tensor(spec.locality_frames, device=frame.device)[:, None, None]
    return (-distance / reach).masked_fill(~seen[:, None, None, :], -torch.inf)


def turns(frame: Tensor, spec: TransformerSpec) -> Turn:
    """Angles frame * base^(-2 i / d_head) (Su et al. 2021, arXiv 2104.09864); a window is short, so float32 is exact
    enough."""
    half = spec.d_model // spec.n_heads // 2
    angles = frame[:, None, :, None] * spec.rotary_base ** (-torch.arange(half, device=frame.device) / half)
    return Turn(angles.cos(), angles.sin())


def rotated(x: Tensor, turn: Turn) -> Tensor:
    """Turn each pair (x_i, x_{i + half}) of heads (b, heads, N, d_head)."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * turn.cos - second * turn.sin, first * turn.sin + second * turn.cos], dim=-1)
