"""Rotation by an angle that grows with time, exact after months.

The phase is an integer: 2^32 parts of a turn, modulo one turn, to which each step adds an integer. A float32 angle,
t * frequency, loses its last bits as t grows and is off by 0.1 rad after a day at 100 Hz; the integer never is. Batch
and stream use the same integers, so they agree wherever a stream is cut.

Rotary embedding: Su et al. 2021, arXiv 2104.09864. State n turns together with state n + N / 2.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

TURN = 2**32
"""Parts of one turn. The slowest rotation of base 1e4 adds some 70,000 of them a step: rounding it costs under 1e-5."""


def increments(n_rotations: int, base: float, device: torch.device | None = None) -> Tensor:
    """What a step adds to each phase, in parts of a turn (n_rotations,) int64; frequencies base^(-n / n_rotations)."""
    exponents = torch.arange(n_rotations, dtype=torch.float64) / max(n_rotations, 1)
    radians = base**-exponents
    return (radians * (TURN / (2 * math.pi))).round().to(torch.int64).to(device)


def phases(start: Tensor, step: Tensor, frames: int) -> tuple[Tensor, Tensor]:
    """Phases of the next `frames` frames (b, T, R), and of the frame after them (b, R), from `start` (b, R)."""
    counts = torch.arange(frames + 1, device=start.device).unsqueeze(-1)
    turned = (start.unsqueeze(1) + counts * step) % TURN
    return turned[:, :-1], turned[:, -1]


def rotate(value: Tensor, phase: Tensor) -> Tensor:
    """Turn the pairs of `value` (..., 2 R) by `phase` (..., R), parts of a turn."""
    # To float64 first: float32 cannot hold 32 bits, and the angle's error would be the phase's.
    angle = (phase.to(torch.float64) * (2 * math.pi / TURN)).to(value.dtype)
    cosine, sine = angle.cos(), angle.sin()
    first, second = value.chunk(2, dim=-1)
    return torch.cat([first * cosine - second * sine, first * sine + second * cosine], dim=-1)
