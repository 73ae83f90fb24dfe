"""R² and Pearson r of a decoded trace, the sums over time that both come from, and how late the trace is.

Every figure but the lag is a function of sums over frames, so the block bootstrap of `edgebci.comparison` resamples
sums of blocks instead of traces. T frames, D axes; truth and prediction have shape (T, D).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]

LONGEST_LAG_S = 1.0
CONSTANT = 1e-9
"""Share of its squares that a trace's variance must have, or it is constant to rounding: sums of blocks lose digits."""

# Columns of `frame_terms`: each is summed over frames.
_Y, _P, _YY, _PP, _YP, _EE = range(6)


def frame_terms(truth: F64, prediction: F64) -> F64:
    """The terms whose sums give R² and r, shape (T, 6, D): y, p, y², p², y·p, (y - p)².

    Both traces are first shifted by the truth's mean: R² and r do not change, and squares keep their precision.
    """
    centre = truth.mean(axis=0)
    y, p = truth - centre, prediction - centre
    return np.stack([y, p, y * y, p * p, y * p, (y - p) ** 2], axis=1)


def r2_of_sums(sums: F64, n: F64 | int) -> F64:
    """R² = 1 - SS_res / SS_tot per axis from sums (..., 6, D) over n frames; nan where the truth is constant."""
    squares = sums[..., _YY, :]
    total = squares - sums[..., _Y, :] ** 2 / n
    return 1.0 - sums[..., _EE, :] / np.where(total > CONSTANT * squares, total, np.nan)


def pearson_of_sums(sums: F64, n: F64 | int) -> F64:
    """Pearson r per axis from sums (..., 6, D) over n frames; nan where a trace is constant."""
    covariance = sums[..., _YP, :] - sums[..., _Y, :] * sums[..., _P, :] / n
    truth = sums[..., _YY, :] - sums[..., _Y, :] ** 2 / n
    prediction = sums[..., _PP, :] - sums[..., _P, :] ** 2 / n
    product = truth * prediction
    return covariance / np.sqrt(np.where(product > 0, product, np.nan))


def r2(truth: F64, prediction: F64) -> F64:
    """Coefficient of determination of each axis, shape (D,)."""
    return r2_of_sums(frame_terms(truth, prediction).sum(axis=0), len(truth))


def pearson_r(truth: F64, prediction: F64) -> F64:
    """Correlation of each axis, shape (D,)."""
    return pearson_of_sums(frame_terms(truth, prediction).sum(axis=0), len(truth))


def effective_lag_s(truth: F64, decoded: F64, counted: Bool, rate_hz: float) -> float:
    """How late what is decoded is: the shift at which it correlates most with the truth, in seconds.

    The correlation is the mean over axes; its peak, sought within +-1 s, is placed between frames by a parabola.
    Positive: the output is late. Negative: it is ahead of the truth, which neural activity, leading movement, allows.

    Args:
        truth, decoded: shape (T, D), frames of one stretch, none left out.
        counted: (T,) frames that are valid.
        rate_hz: frames per second.

    Returns:
        nan where an axis is constant or too few frames count.
    """
    if not (np.ptp(truth[counted], axis=0).all() and np.ptp(decoded[counted], axis=0).all()):
        return float("nan")
    longest = min(round(LONGEST_LAG_S * rate_hz), len(truth) - 2)
    shifts = np.arange(-longest, longest + 1)
    found = np.array([_shifted_correlation(truth, decoded, counted, int(shift)) for shift in shifts])
    if not np.isfinite(found).any():
        return float("nan")
    peak = int(np.nanargmax(found))
    return float(shifts[peak] + _between(found[peak - 1 : peak + 2])) / rate_hz


def _shifted_correlation(truth: F64, decoded: F64, counted: Bool, shift: int) -> float:
    """Mean over axes of the correlation of truth[t] with decoded[t + shift]."""
    n = len(truth) - abs(shift)
    at, later = max(-shift, 0), max(shift, 0)
    both = counted[at : at + n] & counted[later : later + n]
    if both.sum() < 2:
        return float("nan")
    return float(pearson_r(truth[at : at + n][both], decoded[later : later + n][both]).mean())


def _between(three: F64) -> float:
    """Where the parabola through three equidistant values has its top, from the middle one; 0 at a border."""
    if len(three) < 3 or not np.isfinite(three).all():
        return 0.0
    curvature = three[0] - 2 * three[1] + three[2]
    return 0.5 * float(three[0] - three[2]) / float(curvature) if curvature < 0 else 0.0
