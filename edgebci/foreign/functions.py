"""What a foreign graph may compute of each element, and its folds, in the device's arithmetic.

See `edgebci.arithmetic` for the rules. Truth values are 0 and 1. The C twin is `export/kernels/edgebci_foreign.h`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgebci import arithmetic
from edgebci.arithmetic import F32, LANES
from edgebci.operators import activations

Function = Callable[..., F32]

_ZERO, _ONE = np.float32(0.0), np.float32(1.0)
_SQRT_TWO = np.float32(1.41421356)


def copy(x: F32) -> F32:
    """x."""
    return x


def minimum(x: F32, y: F32) -> F32:
    """The lesser; `y` where either is NaN."""
    return np.where(x < y, x, y)


def maximum(x: F32, y: F32) -> F32:
    """The greater; `y` where either is NaN."""
    return np.where(x > y, x, y)


def relu(x: F32) -> F32:
    """x where it is positive, else 0."""
    return np.where(x > _ZERO, x, _ZERO)


def leaky_relu(x: F32, slope: F32) -> F32:
    """x where it is positive, else slope x."""
    return np.where(x > _ZERO, x, x * slope)


def erf(x: F32) -> F32:
    """The error function within 5e-7, from `gelu`: erf(x) = 2 gelu(z) / z - 1 with z = sqrt(2) |x|; odd."""
    z = np.abs(x) * _SQRT_TWO
    safe = np.where(z > arithmetic.TINY, z, _ONE)
    twice = activations.gelu(safe) / safe
    value = (twice + twice) - _ONE
    value = np.where(z > arithmetic.TINY, value, _ZERO)
    return np.where(x < _ZERO, -value, value)


def power(x: F32, y: F32) -> F32:
    """x^y = e^(y log x) of positive x; other x counts as the smallest positive number."""
    return arithmetic.exp(y * arithmetic.log(x))


def select(condition: F32, x: F32, y: F32) -> F32:
    """x where the condition is not zero, else y."""
    return np.where(condition != _ZERO, x, y)


def _truth(condition: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> F32:
    return np.where(condition, _ONE, _ZERO)


FUNCTIONS: dict[str, Function] = {
    "copy": copy,
    "add": lambda x, y: x + y,
    "subtract": lambda x, y: x - y,
    "multiply": lambda x, y: x * y,
    "divide": lambda x, y: x / y,
    "minimum": minimum,
    "maximum": maximum,
    "negative": lambda x: -x,
    "absolute": np.abs,
    "sqrt": np.sqrt,
    "exp": arithmetic.exp,
    "log": arithmetic.log,
    "power": power,
    "relu": relu,
    "leaky_relu": leaky_relu,
    "sigmoid": activations.sigmoid,
    "tanh": activations.tanh,
    "softplus": arithmetic.softplus,
    "silu": arithmetic.silu,
    "gelu": activations.gelu,
    "erf": erf,
    "equal": lambda x, y: _truth(x == y),
    "less": lambda x, y: _truth(x < y),
    "less_equal": lambda x, y: _truth(x <= y),
    "select": select,
}
"""Of one element of each operand."""

ARITY = dict.fromkeys(FUNCTIONS, 1) | {
    **dict.fromkeys(("add", "subtract", "multiply", "divide", "minimum", "maximum", "power", "leaky_relu"), 2),
    **dict.fromkeys(("equal", "less", "less_equal"), 2),
    "select": 3,
}


def fold_sum(x: F32) -> F32:
    """Sum of the last axis: lane j adds elements j, j + 4, ... to zero; the result is (l0 + l1) + (l2 + l3)."""
    n = x.shape[-1]
    lanes = np.zeros((*x.shape[:-1], LANES), np.float32)
    for start in range(0, n, LANES):
        width = min(LANES, n - start)
        lanes[..., :width] = lanes[..., :width] + x[..., start : start + width]
    return lanes_sum(lanes)


def lanes_sum(lanes: F32) -> F32:
    """(l0 + l1) + (l2 + l3) of the last axis."""
    result: F32 = (lanes[..., 0] + lanes[..., 1]) + (lanes[..., 2] + lanes[..., 3])
    return result


def _fold(of: Callable[[F32, F32], F32]) -> Function:
    def folded(x: F32) -> F32:
        result: F32 = x[..., 0]
        for i in range(1, x.shape[-1]):
            result = of(x[..., i], result)
        return result

    return folded


FOLDS: dict[str, Function] = {"fold_sum": fold_sum, "fold_max": _fold(maximum), "fold_min": _fold(minimum)}
"""Of the elements of the last axis, from the first to the last."""


def dense(x: F32, weight: F32, bias: F32) -> F32:
    """weight x + bias for x (..., groups, columns), weight (..., groups, rows, columns), bias (groups, rows).

    Sums of products go in the order of `fold_sum`; the bias comes last. Returns (..., groups, rows).
    """
    n = x.shape[-1]
    shape = np.broadcast_shapes(x.shape[:-2], weight.shape[:-3])
    lanes = np.zeros((*shape, *weight.shape[-3:-1], LANES), np.float32)
    for start in range(0, n, LANES):
        width = min(LANES, n - start)
        product = x[..., None, start : start + width] * weight[..., start : start + width]
        lanes[..., :width] = lanes[..., :width] + product
    return lanes_sum(lanes) + bias
