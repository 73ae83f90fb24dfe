"""The baseline: ridge regression on lagged frames, its penalty chosen within the training intervals."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
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


@dataclass(frozen=True, eq=False)
class CrossFit:
    """What ridge makes of frames that it was not fitted to."""

    penalty: float
    """The lambda with the least squared error on them, axes weighted by their variance."""
    decoded: Floats
    """(K, D): each training frame decoded by the fit to the other folds; zero outside the training intervals."""


def fit_ridge(data: DecodingData, recipe: RidgeRecipe) -> RidgeDecoder:
    """Choose lambda by cross-fitting within the training intervals, then fit all of their frames.

    Raises:
        InputError: too few training frames for the folds and the gap.
    """
    lag_frames, ages = _ages(data, recipe)
    penalty = cross_fit(data, recipe).penalty
    weight, bias = _solve(data, ages, _usable_rows(data, int(ages[-1])), penalty)
    return RidgeDecoder(weight, bias, lag_frames, penalty, lag_window_s=float(ages[-1] / data.frame_rate_hz))


def cross_fit(data: DecodingData, recipe: RidgeRecipe) -> CrossFit:
    """Decode contiguous folds of the training frames, each by a fit to the others beyond a gap, for every lambda.

    Neighbouring frames hardly differ, so these fits look at one frame per lag.

    Raises:
        InputError: too few training frames for the folds and the gap.
    """
    lag_frames, ages = _ages(data, recipe)
    rows = _usable_rows(data, int(ages[-1]))
    targets = data.targets[rows]
    shape = (len(data.frames), len(recipe.lambdas), targets.shape[1])
    decoded = np.zeros(shape, dtype=np.float32)
    for start, stop, others in _folds(data, rows, int(ages[-1]), recipe):
        path = RidgeDecoder(*_path(data, ages, others[::lag_frames], recipe.lambdas), lag_frames, np.nan, np.nan)
        for first, last in pieces(data, "train"):
            held_out = slice(max(first, start), max(first, min(last, stop)))
            stream = path.predict_stream(data.frames[first : held_out.stop])
            decoded[held_out] = stream[held_out.start - first :].reshape(-1, *shape[1:])
    errors = np.square((decoded[rows] - targets[:, None]) / targets.std(axis=0)).sum(axis=(0, 2))
    best = int(np.argmin(errors))
    return CrossFit(recipe.lambdas[best], decoded[:, best])


def _ages(data: DecodingData, recipe: RidgeRecipe) -> tuple[int, Rows]:
    """Frames from one lag to the next, and the age of each lag in frames."""
    lag_frames = max(1, round(recipe.lag_s * data.frame_rate_hz))
    return lag_frames, np.arange(recipe.lags) * lag_frames


def _usable_rows(data: DecodingData, oldest: int) -> Rows:
    """Valid training frames whose lagged frames all lie in the same piece of a training interval."""
    ranges = [np.arange(start + oldest, stop) for start, stop in pieces(data, "train")]
    rows = np.concatenate([*ranges, np.empty(0, dtype=np.int64)]).astype(np.int64)
    return rows[data.valid[rows]]


def _folds(data: DecodingData, rows: Rows, oldest: int, recipe: RidgeRecipe) -> Iterator[tuple[int, int, Rows]]:
    """Frames [start, stop) to hold out, and the rows to fit: those whose lags end, and begin, a gap away from them."""
    gap = round(recipe.gap_s * data.frame_rate_hz)
    edges = [0, *(int(fold[0]) for fold in np.array_split(rows, recipe.folds)[1:] if len(fold)), len(data.frames)]
    for start, stop in itertools.pairwise(edges):
        others = rows[(rows < start - gap) | (rows - oldest >= stop + gap)]
        if len(edges) <= recipe.folds or not len(others):
            raise InputError(
                f"{len(rows)} usable training frames are too few for {recipe.folds} folds of the ridge baseline that "
                f"lie {gap + oldest} frames apart; record longer, or set fewer folds, fewer lags or a shorter gap_s"
            )
        yield start, stop, others


def _path(data: DecodingData, ages: Rows, rows: Rows, lambdas: tuple[float, ...]) -> tuple[Floats, Floats]:
    """The fits to `rows` for all lambdas: weights (lags, F, lambdas * D) and biases (lambdas * D)."""
    x, y = _lagged(data, ages, rows), data.targets[rows].astype(np.float64)
    x_mean, y_mean = x.mean(axis=0), y.mean(axis=0)
    x, y = x - x_mean, y - y_mean
    # With fewer frames than lagged features, the dual problem is the smaller one.
    dual = len(x) < x.shape[1]
    gram, right = (x @ x.T, y) if dual else (x.T @ x, x.T @ y)
    solutions = np.hstack([_penalised(gram, right, value * len(x)) for value in lambdas])
    weight = x.T @ solutions if dual else solutions
    bias = np.tile(y_mean, len(lambdas)) - x_mean @ weight
    return weight.reshape(len(ages), -1, weight.shape[1]).astype(np.float32), bias.astype(np.float32)


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
