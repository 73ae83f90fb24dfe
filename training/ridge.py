"""The baseline: ridge regression on lagged frames, its penalty chosen within the training intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve

from edgebci.decoding_data import DecodingData, Floats
from edgebci.errors import InputError
from edgebci.training.recipe import RidgeRecipe
from edgebci.training.windows import pieces

F64 = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class RidgeDecoder:
    """A linear function of the last frames; causal."""

    weight: Floats
    """(lags, F, D)."""
    bias: Floats
    """(D,)."""
    lag_frames: int
    """Frames between one lag and the next."""
    penalty: float
    """The chosen lambda, per training frame."""
    lag_window_s: float
    """Age of the oldest frame that is used."""

    def predict(self, data: DecodingData) -> Floats:
        """Decode a whole recording (K, D); before a stream's beginning, frames count as their mean, zero."""
        decoded = np.empty((len(data.frames), len(self.bias)), dtype=np.float32)
        for start, stop in data.segments(0, len(data.frames)):
            decoded[start:stop] = self.predict_stream(data.frames[start:stop])
        return decoded

    def predict_stream(self, frames: Floats) -> Floats:
        """Decode one stream (K, F) from its beginning."""
        decoded = np.tile(self.bias, (len(frames), 1))
        for lag, weight in enumerate(self.weight):
            age = lag * self.lag_frames
            decoded[age:] += frames[: max(len(frames) - age, 0)] @ weight
        return decoded


def fit_ridge(data: DecodingData, recipe: RidgeRecipe) -> RidgeDecoder:
    """Choose lambda by contiguous folds of the training frames, then fit all of them.

    Neighbouring frames hardly differ, so the choice looks at one frame per lag; the fit takes every frame.

    Raises:
        InputError: too few training frames for the folds and the gap.
    """
    lag_frames = max(1, round(recipe.lag_s * data.frame_rate_hz))
    ages = np.arange(recipe.lags) * lag_frames
    rows = _usable_rows(data, int(ages[-1]))
    penalty = _choose_penalty(data, ages, rows[::lag_frames], recipe)
    weight, bias = _solve(data, ages, rows, penalty)
    return RidgeDecoder(weight, bias, lag_frames, penalty, lag_window_s=float(ages[-1] / data.frame_rate_hz))


def _usable_rows(data: DecodingData, oldest: int) -> Rows:
    """Valid training frames whose lagged frames all lie in the same piece of a training interval."""
    ranges = [np.arange(start + oldest, stop) for start, stop in pieces(data, "train")]
    rows = np.concatenate([*ranges, np.empty(0, dtype=np.int64)]).astype(np.int64)
    return rows[data.valid[rows]]


def _choose_penalty(data: DecodingData, ages: Rows, rows: Rows, recipe: RidgeRecipe) -> float:
    gap = round(recipe.gap_s * data.frame_rate_hz) + int(ages[-1])
    errors = np.zeros(len(recipe.lambdas))
    for held_out in np.array_split(rows, recipe.folds):
        others = rows[(rows < held_out[:1] - gap) | (rows > held_out[-1:] + gap)] if len(held_out) else rows[:0]
        if not len(others):
            raise InputError(
                f"{len(rows)} training frames, {gap} frames apart, are too few for {recipe.folds} folds of the ridge "
                "baseline; record longer or set fewer folds, lags or a shorter gap_s"
            )
        errors += _squared_errors(data, ages, others, held_out, recipe.lambdas)
    return recipe.lambdas[int(np.argmin(errors))]


def _squared_errors(data: DecodingData, ages: Rows, rows: Rows, held_out: Rows, lambdas: tuple[float, ...]) -> F64:
    """Squared error on `held_out` of the fit to `rows`, in units of each axis' variance, for each lambda."""
    x, y = _lagged(data, ages, rows), data.targets[rows].astype(np.float64)
    x_mean, y_mean, y_sd = x.mean(axis=0), y.mean(axis=0), y.std(axis=0)
    x, y = x - x_mean, (y - y_mean) / y_sd
    x_new = _lagged(data, ages, held_out) - x_mean
    truth = (data.targets[held_out] - y_mean) / y_sd
    # With fewer frames than lagged features, the dual problem is the smaller one.
    dual = len(x) < x.shape[1]
    gram, right, left = (x @ x.T, y, x_new @ x.T) if dual else (x.T @ x, x.T @ y, x_new)
    return np.array([np.sum((left @ _penalised(gram, right, value * len(x)) - truth) ** 2) for value in lambdas])


def _solve(data: DecodingData, ages: Rows, rows: Rows, penalty: float) -> tuple[Floats, Floats]:
    """The fit to `rows`: weights (lags, F, D) and bias (D,)."""
    y = data.targets[rows].astype(np.float64)
    y_mean = y.mean(axis=0)
    at_age = [rows - age for age in ages]
    x_mean = np.concatenate([data.frames[r].mean(axis=0, dtype=np.float64) for r in at_age])
    right = np.concatenate([data.frames[r].T @ (y - y_mean) for r in at_age])
    gram = _gram(data.frames.astype(np.float64), rows, len(ages), int(ages[-1]) // max(len(ages) - 1, 1))
    gram -= len(rows) * np.outer(x_mean, x_mean)
    weight = _penalised(gram, right, penalty * len(rows))
    shape = (len(ages), data.frames.shape[1], y.shape[1])
    return weight.reshape(shape).astype(np.float32), (y_mean - x_mean @ weight).astype(np.float32)


def _gram(frames: F64, rows: Rows, lags: int, lag_frames: int) -> F64:
    """X'X of the lagged frames X (rows, lags * F), without building X.

    The block of two ages, summed over rows R, equals the block of both ages one lag less, summed over R moved back by a
    lag: only the rows in which those two sets differ, a handful, are summed again.
    """
    width = frames.shape[1]
    gram = np.empty((lags * width, lags * width))
    moved = rows - lag_frames
    lost, gained = np.setdiff1d(rows, moved), np.setdiff1d(moved, rows)

    def block(of: Rows, older: int, newer: int) -> F64:
        product: F64 = frames[of - older * lag_frames].T @ frames[of - newer * lag_frames]
        return product

    for apart in range(lags):
        current = block(rows, apart, 0)
        for newer, older in enumerate(range(apart, lags)):
            if newer:
                current = current - block(lost, older - 1, newer - 1) + block(gained, older - 1, newer - 1)
            gram[older * width : (older + 1) * width, newer * width : (newer + 1) * width] = current
            gram[newer * width : (newer + 1) * width, older * width : (older + 1) * width] = current.T
    return gram


def _lagged(data: DecodingData, ages: Rows, rows: Rows) -> F64:
    """Frames at each age before `rows`, side by side: (rows, lags * F)."""
    lagged: F64 = data.frames[rows[:, None] - ages].reshape(len(rows), -1).astype(np.float64)
    return lagged


def _penalised(gram: F64, right: F64, penalty: float) -> F64:
    """(gram + penalty I)^-1 right."""
    matrix = gram + penalty * np.eye(len(gram))
    factor = cho_factor(matrix, lower=True, overwrite_a=True)
    return np.asarray(cho_solve(factor, right), dtype=np.float64)
