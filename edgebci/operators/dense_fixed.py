"""Dense layers and root-mean-square norms in fixed point: int16 activations, int8 weights, int32 sums.

A norm's weight is folded into the dense layer behind it, so that the norm's output has a length that no input can
exceed: from it follows, for each row of weights, that no sum overflows. Scales are chosen so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgebci import arithmetic
from edgebci.arithmetic import F32, I8, I16, I32
from edgebci.operators.fixed_point import I64, multiplied, saturated, truncated

LARGEST_SUM = 2**23 - 1
"""Of one segment of a row: the packed kernel holds 256 times as much in an int32."""
SEGMENT = 128
"""Columns; sums of longer rows are put together from several."""
_SQUARE_SHIFT = 8
_LARGEST_MULTIPLIER = 2.0**30


@dataclass(frozen=True)
class FixedDense:
    """y = saturated(bias + S multiplier / 2^32), or added to a residual; S = W q. Rows have scales of their own."""

    weight: I8  # (out, in), [-127, 127]
    multiplier: I32  # (out,), counts of y per count of the sum, times 2^32
    bias: I32  # (out,), counts of y

    def __call__(self, q: I16, residual: I16 | None = None) -> I16:
        """(T, in) to (T, out)."""
        scaled = multiplied(self.sums(q), self.multiplier) + self.bias
        return saturated(scaled if residual is None else scaled + residual)

    def sums(self, q: I16) -> I64:
        """W q, exact."""
        return (q.astype(np.float64) @ self._columns).astype(np.int64)

    @cached_property
    def _columns(self) -> NDArray[np.float64]:
        return self.weight.T.astype(np.float64)

    def tensors(self, name: str) -> dict[str, NDArray[Any]]:
        """Every array by its name."""
        return {f"{name}.{part}": getattr(self, part) for part in ("weight", "multiplier", "bias")}

    @classmethod
    def of(cls, tensors: Mapping[str, NDArray[Any]], name: str) -> FixedDense:
        """Build from what `tensors` gave."""
        return cls(*(tensors[f"{name}.{part}"] for part in ("weight", "multiplier", "bias")))


@dataclass(frozen=True)
class FixedNorm:
    """q = x / rms(x) in counts of its own: the multiplier of a frame is a float32 made an integer.

    Fields:
        mean: what one count of sum(x^2) / 256 adds to the mean square.
        unit: 2^16 counts of q per count of x, at an rms of 1.
    """

    mean: F32  # ()
    unit: F32  # ()
    epsilon: float

    def __call__(self, x: I16) -> I16:
        """(T, n) to (T, n)."""
        wide = x.astype(np.int64)
        squares = (wide * wide).sum(axis=-1) >> _SQUARE_SHIFT
        r = arithmetic.reciprocal_sqrt(squares.astype(np.float32) * self.mean + np.float32(self.epsilon))
        multiplier = truncated(r * self.unit, _LARGEST_MULTIPLIER)
        return saturated(multiplied(wide << 16, multiplier[..., None]))


def quantized_frame(frame: F32, inverse_scale: np.float32, limit: int) -> I16:
    """Round to counts of a scale, ties to even, saturated to [-limit - 1, limit]."""
    lowest, highest = np.float32(-limit - 1), np.float32(limit)
    return arithmetic.round_to_int(arithmetic.clamp(frame * inverse_scale, lowest, highest)).astype(np.int16)
