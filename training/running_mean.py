"""The mean of a stream so far, that goes on adapting for months.

A mean over everything since the start stops adapting, and its count outgrows a float32. This one forgets with a time
constant, and divides by the weight of what it has seen, so that it is a true mean from the first frame on:

    weight_t = a weight_{t-1} + 1        mean_t = mean_{t-1} + (x_t - mean_{t-1}) / weight_t        a = exp(-1 / frames)

The weight never exceeds 1 / (1 - a). With a = 1 this is the mean since the start: `paper` mode, for reproduction only.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

CHUNK_FRAMES = 64
"""Frames that one matrix product takes together; changes the speed, not the result."""


class MeanState(NamedTuple):
    """What is remembered of a stream."""

    mean: Tensor
    """(b, C)."""
    weight: Tensor
    """Frames that the mean rests on, older ones counting less (b, 1)."""


class RunningMean(nn.Module):
    """Mean of the past, the current frame included; has no parameters."""

    def __init__(self, time_constant_frames: float | None) -> None:
        """Forget with this time constant; None: never, the `paper` mode, which must not be exported."""
        super().__init__()
        self.keep = 1.0 if time_constant_frames is None else math.exp(-1 / time_constant_frames)

    @property
    def runs_for_months(self) -> bool:
        """Whether the state stays bounded and the mean goes on adapting."""
        return self.keep < 1

    def initial_state(self, batch: int, channels: int, like: Tensor) -> MeanState:
        """The state of streams that have not begun, of the type and on the device of `like`."""
        return MeanState(like.new_zeros(batch, channels), like.new_zeros(batch, 1))

    def scan(self, x: Tensor, state: MeanState) -> tuple[Tensor, MeanState]:
        """A stretch of a stream (b, T, C) and the state before it, to the means (b, T, C) and the state after it."""
        if not x.shape[1]:
            return x, state
        counted = functional.pad(x, (0, 1), value=1.0)  # the weight is the decayed sum of ones
        total = torch.cat([state.mean * state.weight, state.weight], dim=-1)
        sums = []
        for piece in torch.split(counted, CHUNK_FRAMES, dim=1):
            sums.append(self._decayed_sums(piece, total))
            total = sums[-1][:, -1]
        whole = torch.cat(sums, dim=1)
        means = whole[..., :-1] / whole[..., -1:]
        return means, MeanState(means[:, -1], whole[:, -1, -1:])

    def step(self, x: Tensor, state: MeanState) -> tuple[Tensor, MeanState]:
        """One frame (b, C) and the state before it, to the mean (b, C) and the state after it."""
        weight = self.keep * state.weight + 1
        mean = state.mean + (x - state.mean) / weight
        return mean, MeanState(mean, weight)

    def _decayed_sums(self, piece: Tensor, total: Tensor) -> Tensor:
        """sum_t = keep sum_{t-1} + x_t, from `total` (b, C), over a piece (b, Q, C)."""
        ages = torch.arange(piece.shape[1], dtype=piece.dtype, device=piece.device)
        decays = self.keep**ages
        kept = torch.where(ages.unsqueeze(1) >= ages, self.keep ** (ages.unsqueeze(1) - ages).clamp(min=0), 0.0)
        return kept.to(piece.dtype) @ piece + self.keep * decays.unsqueeze(-1) * total.unsqueeze(1)
