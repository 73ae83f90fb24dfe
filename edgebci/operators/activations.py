"""More functions in the device's arithmetic: see `edgebci.arithmetic` for its rules.

The C twin is `export/kernels/edgebci_activations.h`.
"""

from __future__ import annotations

import numpy as np

from edgebci import arithmetic
from edgebci.arithmetic import F32

_ONE, _TWO, _HALF = np.float32(1.0), np.float32(2.0), np.float32(0.5)
# erf(x) = 1 - t (a1 + t (a2 + ...)) e^-x^2 with t = 1 / (1 + p x), x >= 0: Abramowitz and Stegun (1964), 7.1.26,
# within 1.5e-7. The terms from a5 down to a1.
_ERF_P = np.float32(0.3275911)
_ERF_TERMS = tuple(np.float32(a) for a in (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592))
_SQRT_HALF = np.float32(0.70710678)


def sigmoid(x: F32) -> F32:
    """1 / (1 + e^-x) within 4 ulp; 0 at and below -46."""
    value = _ONE / (_ONE + arithmetic.exp(-x))
    return np.where(x > arithmetic.EXP_LOWEST, value, np.float32(0.0))


def tanh(x: F32) -> F32:
    """1 - 2 / (1 + e^2x), within 2e-7; NaN counts as -1."""
    result: F32 = _ONE - _TWO / (_ONE + arithmetic.exp(x + x))
    return result


def gelu(x: F32) -> F32:
    """x (1 + erf(x / sqrt(2))) / 2, within 2e-7 of x; 0 from -12 down."""
    bounded = arithmetic.clamp(np.abs(x) * _SQRT_HALF, np.float32(0.0), np.float32(9.0))
    t = _ONE / (_ONE + _ERF_P * bounded)
    p = np.full_like(t, _ERF_TERMS[0])
    for term in _ERF_TERMS[1:]:
        p = p * t + term
    tail = _HALF * ((p * t) * arithmetic.exp(-(bounded * bounded)))
    share = np.where(x > np.float32(0.0), _ONE - tail, tail)
    return np.where(x > np.float32(-12.0), x * share, np.float32(0.0))
