"""The recurrence of Mamba-2 over a stretch of a stream, as matrix products over chunks.

For every head, with the letters of `edgebci.training.ssm`:

    h_t = exp(dt_t A) h_{t-1} + dt_t x_t B_t'          y_t = h_t C_t

Time is cut into chunks of Q frames: inside a chunk the sum over past frames is a masked Q x Q product, and only one
state per chunk is carried sequentially (Dao & Gu 2024, arXiv 2405.21060, section 6). Work and memory grow linearly
with T.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

CHUNK_FRAMES = 32
"""Q: larger chunks do more arithmetic per frame, smaller ones more steps in Python."""


def selective_scan(
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    h: Tensor,
    chunk: int = CHUNK_FRAMES,
    input_scaled_by_dt: bool = True,
) -> tuple[Tensor, Tensor]:
    """Run the recurrence over a stream, chunk by chunk.

    Args:
        x: (b, T, H, P). dt: (b, T, H), positive. A: (H,), negative. B, C: (b, T, N).
        h: state before the first frame (b, H, P, N).
        chunk: Q; changes the speed, not the result.
        input_scaled_by_dt: False: h_t = exp(dt_t A) h_{t-1} + x_t B_t'.

    Returns:
        y without the direct path (b, T, H, P), and the state after the last frame (b, H, P, N).
    """
    frames = x.shape[1]
    written = dt.unsqueeze(-1) * x if input_scaled_by_dt else x
    x, steps, B, C = (_in_chunks(v, chunk) for v in (written, dt * A, B, C))
    # Logarithm of the decay from the start of a chunk to each frame; a padded frame has no decay and no input.
    log_decay = steps.transpose(2, 3).cumsum(-1)  # (b, chunks, H, Q)
    x = x.transpose(2, 3)  # (b, chunks, H, Q, P)
    inside = _decay_between(log_decay) * (C @ B.transpose(-1, -2)).unsqueeze(2)
    to_end = (log_decay[..., -1:] - log_decay).exp().unsqueeze(-1)
    added = (x * to_end).transpose(-1, -2) @ B.unsqueeze(2)  # (b, chunks, H, P, N)
    before, h = _carry(added, log_decay[..., -1].exp(), h)
    read = C.unsqueeze(2) @ before.transpose(-1, -2)  # (b, chunks, H, Q, P)
    y = inside @ x + read * log_decay.exp().unsqueeze(-1)
    return y.transpose(2, 3).flatten(1, 2)[:, :frames], h


def _in_chunks(value: Tensor, chunk: int) -> Tensor:
    """(b, T, ...) to (b, chunks, Q, ...), zero-padded at the end."""
    missing = -value.shape[1] % chunk
    padding = [0, 0] * (value.dim() - 2) + [0, missing]
    padded = functional.pad(value, padding)
    return padded.reshape(len(value), -1, chunk, *value.shape[2:])


def _decay_between(log_decay: Tensor) -> Tensor:
    """exp of the summed log decay from frame j (excluded) to frame i, 0 where j > i: (..., Q) to (..., Q, Q)."""
    difference = log_decay.unsqueeze(-1) - log_decay.unsqueeze(-2)
    future = torch.ones(difference.shape[-2:], dtype=torch.bool, device=difference.device).triu(1)
    # Masked before exp: the upper triangle is positive and could overflow, and inf * 0 would poison the gradient.
    return difference.masked_fill(future, -math.inf).exp()


def _carry(written: Tensor, decay: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    """State before each chunk (b, chunks, H, P, N), and after the last."""
    before = []
    for chunk in range(written.shape[1]):
        before.append(h)
        h = h * decay[:, chunk, :, None, None] + written[:, chunk]
    return torch.stack(before, dim=1), h
