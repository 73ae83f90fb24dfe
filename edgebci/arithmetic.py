"""The arithmetic of the device, in NumPy: every other form of it (C on the host, C on a core) equals it bit for bit.

Three rules make that possible on any IEEE 754 machine:
  * only +, -, *, / and sqrt on float32, each rounded once (C is compiled with -ffp-contract=off);
  * every sum of floats has one defined order, `lane_sum`; sums of integers are exact;
  * exp, log, softplus and SiLU are our own polynomials, never a libm's.
Results smaller than 1e-20 become zero, so nothing depends on how a core treats subnormal numbers.

The C twin is `export/kernels/edgebci_math.h`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
I8 = NDArray[np.int8]
I16 = NDArray[np.int16]
I32 = NDArray[np.int32]

LANES = 4
TINY = np.float32(1e-20)
# exp(-46) is about 1.05e-20, the last value above TINY; exp(88) is the last finite power in float32.
EXP_LOWEST, EXP_HIGHEST = np.float32(-46.0), np.float32(88.0)
INT8_LOWEST, INT8_HIGHEST = np.float32(-128.0), np.float32(127.0)
INT16_LOWEST, INT16_HIGHEST = np.float32(-32768.0), np.float32(32767.0)

LOG2E = np.float32(1.44269504)
# ln 2 in two parts: the first has 9 trailing zero bits, so k * LN2_HIGH is exact for |k| < 512.
LN2_HIGH, LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
# Taylor terms of exp on |r| <= ln(2) / 2 from r^6 down to r^2; the truncation error there is below 1.3e-7.
EXP_TERMS = tuple(np.float32(1.0 / f) for f in (720.0, 120.0, 24.0, 6.0, 2.0))
_SQRT_HALF = np.float32(0.70710678)
# atanh series of log((1 + s) / (1 - s)) = 2 s (1 + s^2/3 + s^4/5 + ...), |s| <= 0.1716; next term below 2e-9.
_LOG_TERMS = tuple(np.float32(1.0 / f) for f in (9.0, 7.0, 5.0, 3.0))
# The same series for log(1 + e), 0 <= e <= 1, with s = e / (2 + e) <= 1/3: more terms, next one below 2e-9.
LOG1P_TERMS = tuple(np.float32(1.0 / f) for f in (15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0))
_ONE, _TWO, _HALF = np.float32(1.0), np.float32(2.0), np.float32(0.5)
# Adding and subtracting 1.5 * 2^23 rounds to the nearest integer, ties to even, for |x| < 2^22.
_ROUNDER = np.float32(12582912.0)


def lane_sum(values: F32) -> F32:
    """Sum the last axis of (..., n), n a multiple of 4, in the one defined order.

    Lane j adds elements j, j + 4, j + 8, ... from the first to the last; the result is (l0 + l1) + (l2 + l3).
    """
    lanes = values.reshape(*values.shape[:-1], -1, LANES)
    total = lanes[..., 0, :]
    for i in range(1, lanes.shape[-2]):
        total = total + lanes[..., i, :]
    result: F32 = (total[..., 0] + total[..., 1]) + (total[..., 2] + total[..., 3])
    return result


def clamp(values: F32, lowest: np.float32, highest: np.float32) -> F32:
    """Limit to [lowest, highest]; NaN becomes `lowest` (C: `v = v > lo ? v : lo; v = v < hi ? v : hi`)."""
    raised = np.where(values > lowest, values, lowest)
    return np.where(raised < highest, raised, highest)


def round_to_int(values: F32) -> I32:
    """Round to nearest, ties to even, for |values| < 2^22."""
    return ((values + _ROUNDER) - _ROUNDER).astype(np.int32)


def quantize_int8(values: F32, inverse_scale: F32 | np.float32) -> I8:
    """round(values * inverse_scale) saturated to [-128, 127]."""
    return round_to_int(clamp(values * inverse_scale, INT8_LOWEST, INT8_HIGHEST)).astype(np.int8)


def quantize_int16(values: F32, inverse_scale: F32 | np.float32) -> I16:
    """round(values * inverse_scale) saturated to [-32768, 32767]."""
    return round_to_int(clamp(values * inverse_scale, INT16_LOWEST, INT16_HIGHEST)).astype(np.int16)


def flush(values: F32) -> F32:
    """Set what is smaller than 1e-20 in magnitude to zero."""
    return np.where(np.abs(values) < TINY, np.float32(0.0), values)


def exp(x: F32) -> F32:
    """e^x within 3 ulp; 0 below -46, e^88 above 88; NaN counts as -46 and below."""
    bounded = clamp(x, EXP_LOWEST, EXP_HIGHEST)
    k = round_to_int(bounded * LOG2E)
    kf = k.astype(np.float32)
    r = (bounded - kf * LN2_HIGH) - kf * LN2_LOW
    p = np.full_like(r, EXP_TERMS[0])
    for term in EXP_TERMS[1:]:
        p = p * r + term
    p = (p * r) * r + r + _ONE
    scaled = p * ((k + 127) << 23).astype(np.int32).view(np.float32)
    return np.where(x > EXP_LOWEST, scaled, np.float32(0.0))


def log(x: F32) -> F32:
    """Natural logarithm of positive normal numbers within 2 ulp; other input counts as 1.2e-38, the smallest normal."""
    smallest = np.float32(1.1754944e-38)
    bits = np.where(x > smallest, x, smallest).astype(np.float32).view(np.int32)
    k = (bits >> 23) - 127
    m = ((bits & 0x007FFFFF) | 0x3F800000).astype(np.int32).view(np.float32)  # [1, 2)
    high = m * _SQRT_HALF > _ONE  # move to [sqrt(1/2), sqrt(2)) so that s stays small
    m = np.where(high, m * _HALF, m)
    kf = np.where(high, k + 1, k).astype(np.float32)
    fraction = _twice_atanh((m - _ONE) / (m + _ONE), _LOG_TERMS)
    return kf * LN2_HIGH + (kf * LN2_LOW + fraction)


def softplus(x: F32) -> F32:
    """log(1 + e^x) within 4 ulp, as max(x, 0) + log(1 + e^-|x|), which stays precise for very negative x."""
    positive = np.where(x > np.float32(0.0), x, np.float32(0.0))
    e = exp(-np.abs(x))
    return positive + _twice_atanh(e / (_TWO + e), LOG1P_TERMS)


def _twice_atanh(s: F32, terms: tuple[np.float32, ...]) -> F32:
    s2 = s * s
    twice: F32 = _TWO * s
    p = np.full_like(s, terms[0])
    for term in terms[1:]:
        p = p * s2 + term
    return (p * s2) * twice + twice


def silu(x: F32) -> F32:
    """x / (1 + e^-x) within 4 ulp; 0 at and below -46, where the true value is below 1e-18."""
    value = x / (_ONE + exp(-x))
    return np.where(x > EXP_LOWEST, value, np.float32(0.0))


def reciprocal_sqrt(x: F32) -> F32:
    """1 / sqrt(x): two correctly rounded operations, so it needs no polynomial."""
    root: F32 = np.sqrt(x)
    return _ONE / root
