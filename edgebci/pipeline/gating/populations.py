"""Pull requests to try a gate on: what a decoder really decoded, changed in ways whose true loss is known exactly.

A population is all that the truth and the errors of a stored test part can become under one kind of change, as sums
over cells of time: noise is drawn many times over the whole part (tiles), and the change is scaled until the loss over
the population is exactly what is asked for. A simulated pull request is a test part of so many minutes, drawn from the
population in stretches of a minute; so what it should find is known, and what it finds is up to chance.

K tiles, T frames, N cells, D axes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.signal import lfilter

from edgebci.gating_baseline import Predictions
from edgebci.gating_statistics import CELL_S, cell_sums
from edgebci.metrics import F64

Noise = Literal["noise", "gain", "lag", "saturation", "dead channel"]
TILES = 24
CLIPPED = 0.05
"""Of the frames, those furthest out, half on either side."""
DRIFT_S = 60.0
DRIFT_SHARE = 0.5
"""Of the loss, where there is a drift."""


@dataclass(frozen=True, eq=False)
class Pool:
    """The stored test part, cut to whole cells: truth (T, D), and of each artefact the errors (T, D)."""

    truth: F64
    errors: dict[str, F64]
    rate_hz: float
    dead: F64 | None
    """What a channel less changes in the decoded trace (T, D), if a decoder was at hand to be asked."""

    @classmethod
    def of(cls, predictions: Predictions, artefacts: tuple[str, ...], dead: F64 | None = None) -> Pool:
        """Take the first seed of each artefact."""
        size = round(CELL_S * predictions.rate_hz)
        n = len(predictions.truth) // size * size
        truth = (predictions.truth - predictions.truth.mean(axis=0))[:n]
        errors = {name: predictions.decoded[name][0][:n] - predictions.truth[:n] for name in artefacts}
        return cls(truth, errors, predictions.rate_hz, None if dead is None else dead[:n])

    @property
    def variance(self) -> F64:
        """(D,) of the truth."""
        return np.asarray(self.truth.var(axis=0))

    def cells(self, frames: F64) -> F64:
        """(..., T, D) to (..., N, D)."""
        return np.moveaxis(cell_sums(np.moveaxis(frames, -2, 0), self.rate_hz), 0, -2)

    def decoded(self, artefact: str) -> F64:
        """(T, D)."""
        return self.truth + self.errors[artefact]

    def r2(self, artefact: str) -> float:
        """Mean over axes."""
        return float(1 - ((self.errors[artefact] ** 2).mean(axis=0) / self.variance).mean())


@dataclass(frozen=True, eq=False)
class Population:
    """One artefact under one change: sums over cells (K, N, D).

    Fields:
        lost: of the candidate's squared error minus the baseline's.
        error: of the candidate's error, which a drift multiplies.
        drift: variance (D,) of a wandering offset of 60 s; 0 is none.
        before, after: of both decoded traces; of either the sum, then the sum of its square (1 or K, N, D).
    """

    lost: F64
    error: F64
    drift: F64
    before: tuple[F64, F64]
    after: tuple[F64, F64]

    @classmethod
    def of(cls, pool: Pool, artefact: str, changed: F64, drift: F64 | None = None) -> Population:
        """Where an artefact's errors (T, D) became others (K, T, D)."""
        error = pool.errors[artefact]
        before, after = error + pool.truth, changed + pool.truth
        return cls(
            lost=pool.cells(changed**2 - error**2),
            error=pool.cells(changed),
            drift=np.zeros(error.shape[-1]) if drift is None else drift,
            before=(pool.cells(before)[None], pool.cells(before**2)[None]),
            after=(pool.cells(after), pool.cells(after**2)),
        )


def unchanged(pool: Pool, artefact: str) -> Population:
    """The same bytes."""
    return Population.of(pool, artefact, pool.errors[artefact][None])


def as_good(pool: Pool, artefact: str, size: float, random: np.random.Generator) -> Population:
    """Other errors of exactly the same size: a share of them is swapped for those of another moment.

    Args:
        size: of the difference, relative to the errors.
    """
    error = pool.errors[artefact]
    return Population.of(pool, artefact, np.stack([_swapped(error, size, random) for _ in range(TILES)]))


def rescaled(pool: Pool, artefact: str, share: float) -> Population:
    """The decoded trace larger by a share, and errors of exactly the same size all the same."""
    return Population.of(pool, artefact, _as_large(pool.errors[artefact], share * pool.decoded(artefact))[None])


def worse(
    pool: Pool, artefact: str, kind: Noise, loss: float, tau_s: float, drift: bool, random: np.random.Generator
) -> Population:
    """A change of one kind, scaled to a loss in R² of exactly `loss` on each axis.

    Args:
        tau_s: correlation time of added noise; 0 is white.
        drift: half of the loss comes from an offset that wanders in 60 s.
    """
    error, own = pool.errors[artefact], loss * (1 - DRIFT_SHARE if drift else 1.0)
    change = _change(pool, artefact, kind, tau_s, random)
    added = error + _scale(error, change, pool.variance, own, either=kind == "gain") * change
    return Population.of(pool, artefact, added, drift=pool.variance * (loss - own))


def _change(pool: Pool, artefact: str, kind: Noise, tau_s: float, random: np.random.Generator) -> F64:
    """(K, T, D) of what is added to the decoded trace, in any size."""
    decoded = pool.decoded(artefact)
    if kind == "noise":
        return correlated(random, (TILES, *decoded.shape), tau_s * pool.rate_hz) * np.sqrt(pool.variance)
    if kind == "gain":
        return decoded[None]
    if kind == "lag":
        return (np.roll(decoded, 1, axis=0) - decoded)[None]
    if kind == "saturation":
        low, high = np.quantile(decoded, [CLIPPED / 2, 1 - CLIPPED / 2], axis=0)
        return (np.clip(decoded, low, high) - decoded)[None]
    if pool.dead is None:
        raise ValueError("a dead channel needs a decoder that was asked")
    return pool.dead[None]


def correlated(random: np.random.Generator, shape: tuple[int, ...], tau: float) -> F64:
    """Noise of variance 1 whose correlation falls to 1/e in `tau` samples, along the axis before the last."""
    factor = math.exp(-1 / tau) if tau > 0 else 0.0
    white = random.standard_normal(shape)
    white[..., 1:, :] *= math.sqrt(1 - factor**2)
    return np.asarray(lfilter([1.0], [1.0, -factor], white, axis=-2))


def _scale(error: F64, change: F64, variance: F64, loss: float, either: bool) -> F64:
    """The factors (D,) with which the mean square of error + s * change has grown by just the loss, on each axis.

    Positive, or, of a change that may go either way, the smaller one.
    """
    square, cross = (change**2).mean(axis=(0, 1)) / variance, (error * change).mean(axis=(0, 1)) / variance
    root = np.sqrt(cross**2 + square * loss)
    larger = (-cross + root) / square
    return np.asarray(
        np.where(either & (np.abs(cross + root) < np.abs(larger * square)), (-cross - root) / square, larger)
    )


def _swapped(error: F64, size: float, random: np.random.Generator) -> F64:
    """A share of the error is that of another moment."""
    return _as_large(
        error, size * np.roll(error, random.integers(len(error) // 8, len(error) - len(error) // 8), axis=0)
    )


def _as_large(error: F64, added: F64) -> F64:
    """a * error + added, of the same mean square on each axis as the error."""
    square, cross = (error**2).mean(axis=0), (error * added).mean(axis=0)
    kept = (-cross + np.sqrt(cross**2 + square * (square - (added**2).mean(axis=0)))) / square
    return np.asarray(kept * error + added)
