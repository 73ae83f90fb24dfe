"""The bit-exact forms of what every decoder has: dense layers and root-mean-square norms that quantize."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgebci import arithmetic
from edgebci.arithmetic import F32, I8, I32

_PARTS = ("weight", "act_scale", "weight_scale", "bias")


@dataclass(frozen=True)
class QuantizedDense:
    """y = float32(W q) * (act_scale * weight_scale) + bias."""

    weight: I8  # (out, in), in [-127, 127]
    act_scale: F32  # (), one count of the input
    weight_scale: F32  # (out,)
    bias: F32  # (out,)

    @cached_property
    def inverse_act_scale(self) -> np.float32:
        """What the quantizer in front of this layer multiplies by."""
        return np.float32(1.0 / self.act_scale)

    @cached_property
    def scale(self) -> F32:
        """(out,): one count of the integer sum, rounded once."""
        return self.act_scale * self.weight_scale

    def __call__(self, q: I8) -> F32:
        """(T, in) int8 to (T, out) float32."""
        return self._sums(q).astype(np.float32) * self.scale + self.bias

    @cached_property
    def _columns(self) -> NDArray[np.float64]:
        return self.weight.T.astype(np.float64)

    def _sums(self, q: I8) -> I32:
        # Integers below 2^53 add exactly in float64, in any order, and BLAS has no integer product.
        return (q.astype(np.float64) @ self._columns).astype(np.int32)


def dense_tensors(name: str, dense: QuantizedDense) -> dict[str, NDArray[Any]]:
    """The four arrays of a dense layer by their names."""
    return {f"{name}.{part}": getattr(dense, part) for part in _PARTS}


def dense_of(tensors: Mapping[str, NDArray[Any]], name: str) -> QuantizedDense:
    """Build from what `dense_tensors` gave."""
    return QuantizedDense(*(tensors[f"{name}.{part}"] for part in _PARTS))


def inverse(scale: F32) -> F32:
    """1 / scale, rounded once."""
    result: F32 = np.float32(1.0) / scale
    return result


def rms_norm(x: F32, gamma: F32, epsilon: np.float32) -> F32:
    """(x * r) * gamma with r = 1 / sqrt(sum(x^2) * (1/n) + epsilon); (T, n) float32 to the same."""
    mean = arithmetic.lane_sum(x * x) * np.float32(1.0 / x.shape[-1])
    r = arithmetic.reciprocal_sqrt(mean + epsilon)
    return (x * r[..., None]) * gamma


def rms_norm_quantize(x: F32, gamma: F32, epsilon: np.float32, inverse_scale: np.float32) -> I8:
    """q(rms_norm(x)); (T, n) float32 to (T, n) int8."""
    return arithmetic.quantize_int8(rms_norm(x, gamma, epsilon), inverse_scale)
