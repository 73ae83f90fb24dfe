"""Logistic regression on lagged frames: ridge's counterpart in detection."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit

from edgebci.decoding_data import DecodingData, Floats, Interval, Part
from edgebci.errors import InputError
from edgebci.training.recipe import RidgeRecipe
from edgebci.training.ridge import RidgeDecoder
from edgebci.training.windows import pieces

F64 = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
MOST_ITERATIONS = 100


def fit_logistic(data: DecodingData, recipe: RidgeRecipe, known: Floats | None = None) -> RidgeDecoder:
    """Fit to the training part with ridge's lags and penalties; its output is the log odds of an event.

    The error is the mean cross-entropy plus lambda / 2 times the squared weights. Penalties are tried from the
    strongest on, each from the fit before it, until the cross-entropy on validation rises.

    Args:
        data: of detection.
        recipe: lags and penalties.
        known: log odds (K, D) that are there already; the fit is what to add to them.

    Raises:
        InputError: the task is not detection, or a part holds no frames whose lags it holds too.
    """
    if data.task != "detection":
        raise InputError("logistic regression detects and follows no quantity; use ridge instead")
    lag_frames = max(1, round(recipe.lag_s * data.frame_rate_hz))
    ages = np.arange(recipe.lags) * lag_frames
    train, validation = (_Problem.of(data, part, ages, known) for part in ("train", "validation"))
    best, lowest = None, np.inf
    weights = train.start()
    for penalty in sorted(recipe.lambdas, reverse=True):
        weights = train.solve(weights, penalty)
        error = validation.error(weights)
        if error >= lowest:
            break
        best, lowest = (weights, penalty), error
    if best is None:
        raise InputError("logistic regression found no finite fit; look for features of extreme size")
    shape = (len(ages), data.frames.shape[1], data.targets.shape[1])
    weight, bias = best[0][: -shape[2]].reshape(shape), best[0][-shape[2] :]
    oldest_s = float(ages[-1] / data.frame_rate_hz)
    return RidgeDecoder(weight.astype(np.float32), bias.astype(np.float32), lag_frames, best[1], oldest_s)


@dataclass(frozen=True, eq=False)
class _Problem:
    """A part's frames whose lagged frames all lie in their own piece."""

    frames: Floats
    spans: tuple[Interval, ...]
    """Those frames [start, stop), by piece."""
    ages: Rows
    counted: F64
    """(n, 1) 1 where a frame is valid, 0 where not, over the number of valid ones."""
    inside: F64
    """(n, D) whether an event was under way."""
    known: F64 | None
    """(n, D) log odds that are there already."""

    @classmethod
    def of(cls, data: DecodingData, part: Part, ages: Rows, known: Floats | None) -> _Problem:
        oldest = int(ages[-1])
        spans = tuple((start + oldest, stop) for start, stop in pieces(data, part) if stop > start + oldest)
        rows = np.concatenate([np.empty(0, dtype=np.int64), *(np.arange(*span) for span in spans)]).astype(np.int64)
        n_valid = int(data.valid[rows].sum())
        if not n_valid:
            raise InputError(f"the {part} intervals are shorter than the lags; record longer or set fewer lags")
        inside, before = (
            data.targets[rows].astype(np.float64),
            None if known is None else known[rows].astype(np.float64),
        )
        return cls(data.frames, spans, ages, data.valid[rows, None] / n_valid, inside, before)

    def start(self) -> F64:
        """No weights, and the odds of the whole part; nothing where odds are known."""
        share = np.clip((self.counted * self.inside).sum(axis=0), 1e-6, 1 - 1e-6)
        n_weights = len(self.ages) * self.frames.shape[1] * len(share)
        odds = np.log(share / (1 - share)) if self.known is None else np.zeros(len(share))
        return np.concatenate([np.zeros(n_weights), odds])

    def solve(self, start: F64, penalty: float) -> F64:
        """The weights with the least penalised error."""
        found = minimize(
            self._objective, start, (penalty,), method="L-BFGS-B", jac=True, options={"maxiter": MOST_ITERATIONS}
        )
        return np.asarray(found.x, dtype=np.float64)

    def error(self, weights: F64) -> float:
        """Mean cross-entropy, summed over axes."""
        return self._error(self._log_odds(weights))

    def _objective(self, weights: F64, penalty: float) -> tuple[float, F64]:
        log_odds, n_axes = self._log_odds(weights), self.inside.shape[1]
        residual = self.counted * (expit(log_odds) - self.inside)
        by_age = [self._correlated(residual.astype(np.float32), int(age)).ravel() for age in self.ages]
        shrunk = np.concatenate([weights[:-n_axes], np.zeros(n_axes)])
        slope = np.concatenate([*by_age, residual.sum(axis=0)]) + penalty * shrunk
        return self._error(log_odds) + 0.5 * penalty * float(shrunk @ shrunk), slope

    def _error(self, log_odds: F64) -> float:
        return float((self.counted * (np.logaddexp(0.0, log_odds) - self.inside * log_odds)).sum())

    def _correlated(self, residual: Floats, age: int) -> Floats:
        """Sum over frames of the frame at an age times the residual, (F, D)."""
        total = np.zeros((self.frames.shape[1], residual.shape[1]), dtype=np.float32)
        for (start, stop), place in zip(self.spans, self._places(), strict=True):
            total += self.frames[start - age : stop - age].T @ residual[place]
        return total

    def _log_odds(self, weights: F64) -> F64:
        n_axes = self.inside.shape[1]
        by_age = weights[:-n_axes].reshape(len(self.ages), -1, n_axes).astype(np.float32)
        total = np.tile(weights[-n_axes:], (len(self.inside), 1)) + (0.0 if self.known is None else self.known)
        for (start, stop), place in zip(self.spans, self._places(), strict=True):
            for age, weight in zip(self.ages.tolist(), by_age, strict=True):
                total[place] += self.frames[start - age : stop - age] @ weight
        return total

    def _places(self) -> list[slice]:
        """Where each span's frames stand among all."""
        edges = np.cumsum([0, *(stop - start for start, stop in self.spans)]).tolist()
        return [slice(a, b) for a, b in itertools.pairwise(edges)]
