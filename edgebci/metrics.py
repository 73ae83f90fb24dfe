"""R² and Pearson r of a decoded trace, and the sums over time that both come from.

Every figure here is a function of sums over frames, so the block bootstrap of `edgebci.comparison` resamples
sums of blocks instead of traces. T frames, D axes; truth and prediction have shape (T, D).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

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
    total = sums[..., _YY, :] - sums[..., _Y, :] ** 2 / n
    return 1.0 - sums[..., _EE, :] / np.where(total > 0, total, np.nan)


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
