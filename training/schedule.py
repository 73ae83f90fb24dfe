"""Learning rate and weight decay over time, and which weights decay."""

from __future__ import annotations

import math

from torch import nn

from edgebci.training.recipe import Optimiser


def learning_rate(optimiser: Optimiser, epoch: float) -> float:
    """The rate at a fractional epoch: linear warm-up, then the schedule.

    `cosine` falls to `final_rate_ratio` at the last epoch, `exponential` by `decay_per_epoch`, and `one_cycle` stays at
    the top for half of the epochs before it falls as a cosine.
    """
    warm, top = optimiser.warm_up_epochs, optimiser.learning_rate
    if epoch < warm:
        start = optimiser.warm_up_start_ratio or 1 / (warm + 1)
        return top * (start + (1 - start) * epoch / warm)
    if optimiser.schedule == "exponential":
        return float(top * optimiser.decay_per_epoch ** (epoch - warm))
    flat = warm + (optimiser.epochs - warm) / 2 if optimiser.schedule == "one_cycle" else warm
    done = (epoch - flat) / max(optimiser.epochs - flat, 1)
    cosine = (1 + math.cos(math.pi * min(max(done, 0.0), 1.0))) / 2
    return top * (optimiser.final_rate_ratio + (1 - optimiser.final_rate_ratio) * cosine)


def weight_decay(optimiser: Optimiser, epoch: float) -> float:
    """Of matrices at a fractional epoch: constant, or along a line."""
    first, last = optimiser.weight_decay, optimiser.final_weight_decay
    return first if last == "constant" else first + (last - first) * epoch / optimiser.epochs


def decayed_or_not(model: nn.Module, optimiser: Optimiser) -> list[dict[str, object]]:
    """Matrices first, the rest second.

    Weight decay acts on matrices only: pulling a gain, a bias or a time constant towards 0 means nothing.
    """
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    others = [p for p in model.parameters() if p.dim() < 2]
    return [
        {"params": matrices, "weight_decay": optimiser.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
