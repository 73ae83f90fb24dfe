"""LAMB: AdamW whose step, for each parameter, is as long as the parameter itself times the learning rate."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

BETAS = (0.9, 0.999)
EPSILON = 1e-6


class Lamb(Optimizer):
    """You et al. 2020 (arXiv 1904.00962), algorithm 2, with bias correction and phi(z) = z.

    r = m / (sqrt(v) + epsilon) + weight_decay * w          w = w - lr * |w| / |r| * r

    Where w or r is all zeros, the ratio of their norms counts as 1.
    """

    def __init__(self, params: Iterable[dict[str, object]], lr: float) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]  # noqa: ARG002 (torch's)
        """Change every parameter that has a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    _change(parameter, self.state[parameter], group["lr"], group["weight_decay"])


def _change(parameter: Tensor, state: dict[str, Any], rate: float, weight_decay: float) -> None:
    gradient = parameter.grad
    assert gradient is not None
    if not state:
        state |= {"step": torch.zeros(1), "mean": torch.zeros_like(parameter), "square": torch.zeros_like(parameter)}
    state["step"] += 1
    count = float(state["step"])
    state["mean"].lerp_(gradient, 1 - BETAS[0])
    state["square"].mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
    mean = state["mean"] / (1 - BETAS[0] ** count)
    square = state["square"] / (1 - BETAS[1] ** count)
    step = (mean / (square.sqrt() + EPSILON)).add_(parameter, alpha=weight_decay)
    ratio = parameter.norm() / step.norm()
    parameter.sub_(step.mul_(torch.where(ratio.isfinite() & (ratio > 0), ratio, 1.0)), alpha=rate)
