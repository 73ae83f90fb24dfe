"""The random order that REALM's published split is drawn with."""

from __future__ import annotations

import torch


def torch_permutation(seed: int, count: int) -> list[int]:
    """The numbers 0 to count - 1 in the order of torch's generator on the CPU, which no other library draws."""
    order: list[int] = torch.randperm(count, generator=torch.Generator().manual_seed(seed)).tolist()
    return order
