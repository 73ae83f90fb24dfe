"""What is dropped at random while an encoder learns."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from edgebci.documents import Document


class Regularisation(Document):
    """Rates of both kinds."""

    dropout: float = Field(default=0.1, ge=0, lt=1)
    drop_path: float = Field(default=0.1, ge=0, lt=1)
    """Of the last layer; it rises linearly from 0 at the first one."""

    def drop_paths(self, n_layers: int) -> list[float]:
        """The rate of each layer."""
        return [self.drop_path * i / max(n_layers - 1, 1) for i in range(n_layers)]


class DropPath(nn.Module):
    """Leaves out what a layer adds, for whole streams at random (Huang et al. 2016, arXiv 1603.09382)."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """(b, ...) to the same, with the same mean."""
        if not self.training or not self.rate:
            return x
        kept = torch.rand(len(x), *(1 for _ in x.shape[1:]), device=x.device) >= self.rate
        return x * kept / (1 - self.rate)
