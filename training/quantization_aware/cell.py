"""What every recurrent cell's twin offers, in the words of `edgebci.operators.cell`.

A twin computes what the cell's `Quantized...` class in the core computes, for b streams at once, in torch: the same
quantizers at the same places with the same rounding, counts in floating point. Sums of floats have torch's order and
exp is torch's, so a count differs where a value lies within a few units in the last place of a tie.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from torch import Tensor

from edgebci.training.quantization_aware.counting import Tensors, Values
from edgebci.training.quantization_aware.dense import Arrays, Dense

Tap = Callable[[str, Tensor], None]
"""Sees named counts (b, T, ...)."""


class TwinCell(Protocol):
    """Functions of `Values` whose names are those within the layer's `mixer`."""

    @property
    def dense(self) -> tuple[Dense, ...]:
        """Its dense layers."""
        ...

    @property
    def input_step(self) -> str:
        """Name of the step of its input."""
        ...

    def starts(self, tensors: Arrays) -> Arrays:
        """The steps that it learns beside those of its dense layers, from the arrays of its quantized form."""
        ...

    @property
    def fixed(self) -> tuple[str, ...]:
        """Names of steps that are not learned: they stay what they are in the quantized form."""
        ...

    def state_steps(self, values: Values) -> dict[str, Tensor]:
        """One count of each state, in a shape that fits (b, *state)."""
        ...

    def run(self, values: Values, q: Tensor, states: Tensors, tap: Tap) -> tuple[Tensor, dict[str, Tensor]]:
        """Counts of the input (b, T, d_model) and of the states (b, ...), to what the layer adds and the states after.

        `tap` sees what the quantized cell shows.
        """
        ...

    def tensors(self, values: Values) -> dict[str, Tensor]:
        """The arrays of the quantized form by their names."""
        ...
