"""The bit-exact forms of what every decoder has: dense layers and root-mean-square norms that quantize."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgebci import arithmetic
from edgebci.arithmetic import F32, I8, I16, I32

_PARTS = ("act_scale", "weight_scale", "bias")
WeightBits = Literal[4, 8, 16]


@dataclass(frozen=True)
class QuantizedDense:
    """y = float32(W q) * (act_scale * weight_scale) + bias.

    Weights of 8 bits lie in [-127, 127], of 4 in [-7, 7]; of 16 so that the sum over all columns fits an int32.
    """

    weight: NDArray[np.signedinteger]  # (out, in), int8, or int16 where `bits` says so
    act_scale: F32  # (), one count of the input
    weight_scale: F32  # (out,)
    bias: F32  # (out,)
    bits: WeightBits = 8

    @cached_property
    def inverse_act_scale(self) -> np.float32:
        """What the quantizer in front of this layer multiplies by."""
        return np.float32(1.0 / self.act_scale)

    @cached_property
    def scale(self) -> F32:
        """(out,): one count of the integer sum, rounded once."""
        return self.act_scale * self.weight_scale

    def __call__(self, q: I8 | I16) -> F32:
        """(T, in) int8, in fixed point int16, to (T, out) float32."""
        return self._sums(q).astype(np.float32) * self.scale + self.bias

    @cached_property
    def _columns(self) -> NDArray[np.float64]:
        return self.weight.T.astype(np.float64)

    def _sums(self, q: I8 | I16) -> I32:
        # Integers below 2^53 add exactly in float64, in any order, and BLAS has no integer product.
        return (q.astype(np.float64) @ self._columns).astype(np.int32)


def weight_name(name: str, bits: WeightBits) -> str:
    """What the weights of the dense layer `name` are called: `{name}.weight`, or `{name}.weight_int4`, `_int16`."""
    return f"{name}.weight" if bits == 8 else f"{name}.weight_int{bits}"


def weight_bits(tensors: Mapping[str, NDArray[Any]], name: str) -> WeightBits:
    """The width of the weights of the dense layer `name`, as the names of its tensors tell it."""
    widths: tuple[WeightBits, ...] = (4, 16)
    return next((bits for bits in widths if weight_name(name, bits) in tensors), 8)


def dense_tensors(name: str, dense: QuantizedDense) -> dict[str, NDArray[Any]]:
    """The four arrays of a dense layer by their names."""
    own = {f"{name}.{part}": getattr(dense, part) for part in _PARTS}
    return {weight_name(name, dense.bits): dense.weight} | own


def dense_of(tensors: Mapping[str, NDArray[Any]], name: str) -> QuantizedDense:
    """Build from what `dense_tensors` gave."""
    bits = weight_bits(tensors, name)
    act_scale, weight_scale, bias = (tensors[f"{name}.{part}"] for part in _PARTS)
    return QuantizedDense(tensors[weight_name(name, bits)], act_scale, weight_scale, bias, bits)


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
