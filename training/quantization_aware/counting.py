"""Counts with gradients: the quantizers of `edgebci.arithmetic`, and steps that are learned.

A quantizer's count is round(clamp(x / s)), ties to even, as on the device. Backwards the rounding is passed straight
through and the clamp stops what it cut. Where a count is multiplied by its step s again, the chain rule then gives the
gradient of LSQ (Esser et al. 2020, arXiv 1902.08153, equation 3): for s, count - x / s inside the range and the limit
outside.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

Tensors = Mapping[str, Tensor]
Limits = tuple[float, float]

INT8: Limits = (-128.0, 127.0)
INT16: Limits = (-32768.0, 32767.0)


class _Count(torch.autograd.Function):
    """round(clamp(values, lowest, highest)), ties to even."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, lowest: float, highest: float) -> Tensor:
        ctx.save_for_backward((values >= lowest) & (values <= highest))
        return values.clamp(lowest, highest).round()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (inside,) = ctx.saved_tensors
        return gradients[0] * inside, None, None


def count(values: Tensor, limits: Limits) -> Tensor:
    """Whole numbers within the limits, of the values' shape; the gradient is 1 inside and 0 outside."""
    return cast(Tensor, _Count.apply(values, *limits))  # type: ignore[no-untyped-call]


class _Scaled(torch.autograd.Function):
    """The identity, whose gradient is multiplied."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0] * ctx.factor, None


def learned_step(start: Tensor, change: Tensor, elements: int, largest: float) -> Tensor:
    """A positive step: start * exp(change), its gradient divided by sqrt(elements * largest) as in LSQ.

    In the logarithm an update changes a step by a share of itself, however small it is; at 0 it is `start`, bit for
    bit.

    Args:
        start: where training begins, of any shape.
        change: what is learned, of that shape.
        elements: how many numbers share one step.
        largest: the largest count.
    """
    slow = cast(Tensor, _Scaled.apply(change, 1.0 / math.sqrt(elements * largest)))  # type: ignore[no-untyped-call]
    return start * slow.exp()


@dataclass(frozen=True)
class Values:
    """What a part of the twin computes with; names are those within that part."""

    weights: Tensors
    """Float weights by their names in a checkpoint."""
    steps: Tensors
    """Of each quantizer, by the name that the quantized decoder's file has for it."""
    largest: Mapping[str, int]
    """Largest count of each dense layer's weights, by the layer's name."""
    states: Mapping[str, Limits]
    """Limits of each state."""
    exact: frozenset[str] = frozenset()
    """Quantizers, by the names of their steps, that neither round nor clamp."""

    def count(self, counts: Tensor, name: str, limits: Limits) -> Tensor:
        """What the quantizer with the step `name` makes of values that are in units of the step."""
        return counts if name in self.exact else count(counts, limits)

    def quantized(self, x: Tensor, name: str, limits: Limits = INT8) -> Tensor:
        """Counts of x, with the device's reciprocal: x * (1 / step)."""
        return self.count(x * (1.0 / self.steps[name]), name, limits)

    def weight(self, weight: Tensor, name: str, largest: int) -> Tensor:
        """Counts of a weight (rows, columns) with a step per row, in the precision in which export rounds."""
        exact = weight.double() / self.steps[name].double().unsqueeze(1)
        return self.count(exact, name, (-float(largest), float(largest))).to(weight.dtype)

    def within(self, place: str, layer: int) -> Values:
        """Those of one layer's cell; `place` is its name with `.mixer`, states are `{name}.{layer}`."""
        end = f".{layer}"
        return Values(
            _inside(self.weights, place),
            _inside(self.steps, place),
            _inside(self.largest, place),
            {name.removesuffix(end): limits for name, limits in self.states.items() if name.endswith(end)},
            frozenset(_inside(dict.fromkeys(self.exact), place)),
        )


def _inside(values: Mapping[str, Any], place: str) -> dict[str, Any]:
    return {name[len(place) + 1 :]: value for name, value in values.items() if name.startswith(f"{place}.")}
