"""Mamba-2 that looks both ways, for the teacher: it never runs on the implant."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgebci.block_spec import BlockSpec
from edgebci.training.ssm import Mamba2


class BidirectionalMamba2(nn.Module):
    """One block forwards and one backwards in time, joined by a linear layer: (b, T, d_model) to the same.

    REALM's teacher (arXiv 2605.14867) normalises what is joined: `joined_norm`.
    """

    def __init__(self, spec: BlockSpec, joined_norm: bool = False) -> None:
        super().__init__()
        self.forwards = Mamba2(spec)
        self.backwards = Mamba2(spec)
        self.join = nn.Linear(2 * spec.d_model, spec.d_model)
        self.norm = nn.LayerNorm(spec.d_model, spec.norm_epsilon) if joined_norm else nn.Identity()

    def forward(self, u: Tensor) -> Tensor:
        """Whole streams (b, T, d_model) at once."""
        past, future = self.forwards(u), self.backwards(u.flip(1)).flip(1)
        joined: Tensor = self.norm(self.join(torch.cat([past, future], dim=-1)))
        return joined
