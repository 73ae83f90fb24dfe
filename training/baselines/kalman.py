"""The Kalman filter of motor decoding (Wu, Gao, Bienenstock, Donoghue & Black 2006, Neural Comput 18:80).

    state         x_k = A x_{k-1} + w,  w ~ N(0, W)        the standardised target at the last `order` frames (order D,)
    observation   y_k = C x_k + q,      q ~ N(0, Q)        the features without their mean (F,)

A, C, W and Q come from least squares on the training frames. The gain is that of the steady state, reached in practice
within a second (Malik, Truccolo, Brown & Hochberg 2011, IEEE Trans Neural Syst Rehabil Eng 19:25):

    x_k = M x_{k-1} + K y_k,   K = P C'Q^-1,   M = (1 - P S) A,   S = C'Q^-1 C
    P = (1 + R S)^-1 R,  R = A P A' + W                      by iteration until it rests; all of it order D x order D

A state of two frames knows the target's derivative: behaviour is smooth, and noise that a first-order model allows it
would not be.

The filter takes the features' noise to be independent from frame to frame. Where it is not, the filter trusts them too
much and its output is too large: each axis is scaled to fit the training part by least squares.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve

from edgebci.decoding_data import DecodingData, Floats, Part
from edgebci.errors import InputError
from edgebci.metrics import r2
from edgebci.training.baselines.baseline import FLOAT32_BYTES, Costs
from edgebci.training.baselines.recipe import KalmanRecipe
from edgebci.training.windows import pieces

F64 = npt.NDArray[np.float64]
MOST_ITERATIONS = 10_000
CONSTANT_VARIANCE = 1e-9
"""A feature that varies less, a dead channel's, is not looked at."""


@dataclass(frozen=True, eq=False)
class KalmanFilter:
    """The filter in its steady state."""

    transition: F64
    """M (N, N), N = order * D; the target itself comes first in the state."""
    gain: F64
    """K (N, F)."""
    feature_mean: F64
    """(F,)."""
    target_mean: F64
    """(D,)."""
    target_sd: F64
    """(D,)."""
    order: int
    shrinkage: float
    noise_factor: float

    @property
    def costs(self) -> Costs:
        """Parameters are the numbers that a device needs: M, K, what K makes of the mean, scale and mean of x."""
        (n_state, n_features), n_axes = self.gain.shape, len(self.target_sd)
        return Costs(
            parameters=n_state * (n_state + n_features + 1) + 2 * n_axes,
            macs_per_output=n_state * (n_state + n_features) + n_axes,
            state_bytes=FLOAT32_BYTES * n_state,
        )

    def step(self, frame: Floats, state: F64) -> tuple[F64, F64]:
        """One frame (F,) and the state before it (N,), to the output (D,) and the state after it; zero at first."""
        after = self.transition @ state + self.gain @ (frame - self.feature_mean)
        return self.target_mean + self.target_sd * after[: len(self.target_sd)], after

    def predict(self, data: DecodingData) -> Floats:
        """Decode a whole recording (K, D)."""
        decoded = np.empty((len(data.frames), len(self.target_sd)), dtype=np.float32)
        for start, stop in data.segments(0, len(data.frames)):
            decoded[start:stop] = self.predict_stream(data.frames[start:stop])
        return decoded

    def predict_stream(self, frames: Floats) -> Floats:
        """Decode one stream (K, F) from its beginning."""
        driven = (frames - self.feature_mean) @ self.gain.T
        states, state = np.empty_like(driven), np.zeros(driven.shape[1])
        for k in range(len(driven)):
            state = self.transition @ state + driven[k]
            states[k] = state
        targets = states[:, : len(self.target_sd)]
        return np.asarray(self.target_mean + self.target_sd * targets, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class _Model:
    """What least squares says of the training frames."""

    order: int
    a: F64
    w: F64
    c: F64
    q: F64
    feature_mean: F64
    target_mean: F64
    target_sd: F64
    seen: npt.NDArray[np.bool_]
    """(F,) features that vary."""


def fit_kalman(data: DecodingData, recipe: KalmanRecipe) -> KalmanFilter:
    """Fit to the training part; order, shrinkage and noise factor are those with the best R2 on validation.

    Raises:
        InputError: the task is not regression, or there are no validation frames to choose by.
    """
    if data.task != "regression":
        raise InputError("a Kalman filter follows a quantity and detects nothing; use logistic regression instead")
    if len(data.rows("validation")) < 2:
        raise InputError("the Kalman filter is chosen on validation, which holds no frames; give it some")
    choices = itertools.product(recipe.shrinkages, recipe.noise_factors)
    models = [_fit_model(data, order) for order in recipe.orders]
    tried = [_scaled(_steady(model, *choice), data) for choice in choices for model in models]
    return max(tried, key=lambda one: _validation_r2(one, data))


def _fit_model(data: DecodingData, order: int) -> _Model:
    rows = _rows_with_past(data, order)
    targets, frames = data.targets.astype(np.float64), data.frames[rows].astype(np.float64)
    seen = data.rows("train")
    mean, sd = targets[seen].mean(axis=0), targets[seen].std(axis=0)
    if not sd.all():
        raise InputError("a target is constant in the training intervals; choose one that varies")
    x, feature_mean = (targets - mean) / sd, frames.mean(axis=0)
    past, n_axes = np.hstack([x[rows - age] for age in range(1, order + 1)]), len(mean)
    state, y = np.hstack([x[rows], past[:, :-n_axes]]), frames - feature_mean
    a = np.eye(order * n_axes, k=-n_axes)
    a[:n_axes], c = _least_squares(past, x[rows]), _least_squares(state, y)
    w, q = np.zeros_like(a), _covariance(y - state @ c.T)
    w[:n_axes, :n_axes] = _covariance(x[rows] - past @ a[:n_axes].T)
    return _Model(order, a, w, c, q, feature_mean, mean, sd, np.diag(q) > CONSTANT_VARIANCE)


def _rows_with_past(data: DecodingData, order: int) -> npt.NDArray[np.int64]:
    """Training frames that are valid, as are the `order` frames before them in the same piece."""
    ranges = [np.arange(start + order, stop) for start, stop in pieces(data, "train")]
    rows = np.concatenate([np.empty(0, dtype=np.int64), *ranges]).astype(np.int64)
    known = np.all([data.valid[rows - age] for age in range(order + 1)], axis=0)
    return rows[known]


def _covariance(noise: F64) -> F64:
    return np.asarray(noise.T @ noise / max(len(noise) - 1, 1), dtype=np.float64)


def _least_squares(x: F64, y: F64) -> F64:
    """The matrix that makes y of x, (n of y, n of x)."""
    return np.asarray(np.linalg.lstsq(x, y, rcond=None)[0].T, dtype=np.float64)


def _steady(model: _Model, shrinkage: float, factor: float) -> KalmanFilter:
    seen = model.seen
    q, c = model.q[np.ix_(seen, seen)], model.c[seen]
    noise = factor * ((1 - shrinkage) * q + shrinkage * np.diag(np.diag(q)))
    weighted = cho_solve(cho_factor(noise, lower=True), c).T
    information, one = np.asarray(weighted @ c, dtype=np.float64), np.eye(len(model.a))
    p = one
    for _ in range(MOST_ITERATIONS):
        prior = model.a @ p @ model.a.T + model.w
        after: F64 = np.linalg.solve(one + prior @ information, prior).astype(np.float64)
        rests = np.abs(after - p).max() < 1e-12 * np.abs(p).max()
        p = after
        if rests:
            break
    gain = np.zeros((len(p), len(seen)))
    gain[:, seen] = p @ weighted
    return KalmanFilter(
        transition=(one - p @ information) @ model.a,
        gain=gain,
        feature_mean=model.feature_mean,
        target_mean=model.target_mean,
        target_sd=model.target_sd,
        order=model.order,
        shrinkage=shrinkage,
        noise_factor=factor,
    )


def _scaled(fitted: KalmanFilter, data: DecodingData) -> KalmanFilter:
    """The filter with the scale and the mean of each axis that suit the training part best."""
    truth, decoded = _decoded(fitted, data, "train")
    moved = decoded - decoded.mean(axis=0)
    slope = (moved * truth).sum(axis=0) / (moved**2).sum(axis=0)
    mean = truth.mean(axis=0) + slope * (fitted.target_mean - decoded.mean(axis=0))
    return replace(fitted, target_mean=mean, target_sd=slope * fitted.target_sd)


def _validation_r2(candidate: KalmanFilter, data: DecodingData) -> float:
    return float(r2(*_decoded(candidate, data, "validation")).mean())


def _decoded(candidate: KalmanFilter, data: DecodingData, part: Part) -> tuple[F64, F64]:
    """Truth and what is decoded at the valid frames of a part, (n, D) each."""
    decoded, rows = np.zeros_like(data.targets), data.rows(part)
    for start, stop in pieces(data, part):
        decoded[start:stop] = candidate.predict_stream(data.frames[start:stop])
    return data.targets[rows].astype(np.float64), decoded[rows].astype(np.float64)
