"""How much accuracy was lost, and how sure that is: the paired circular block bootstrap in closed form.

A loss is R² of the baseline minus R² of the candidate (in detection: AUROC) on the same frames. To first order it is
the mean of what each frame adds to it, and of a mean the circular block bootstrap (Politis & Romano 1992) gives with
infinitely many replicates a variance that needs no replicates: the mean square of all block sums. So the same inputs
give the same verdict; no draw decides. Numerator and total sum of squares of R² lie in the same blocks, all axes
together.

Time is cut into cells of a quarter second. The block length comes from the loss differential (Politis & White 2004,
corrected by Patton, Politis & White 2009) and is never under 5 s. It is sought with and without what the differential
takes from the truth's own variance, and the shorter one counts: bursts of movement make either of them look slow. The
standard error is also taken at 2x and 4x that length and the largest counts: a slow drift shows in long blocks only.

Retrained decoders differ from seed to seed as well: the seeds' own spread is added to the variance (seeds and blocks
drawn together), and Student's t has the degrees of freedom of Welch and Satterthwaite.

R is the number of comparisons that are made at once, T frames, N cells, D axes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from edgebci.comparison import FEWEST_BLOCKS, SHORTEST_BLOCK_S
from edgebci.detection import auroc
from edgebci.detection_score import influence
from edgebci.metrics import F64

CELL_S = 0.25
FEWEST_SEEDS = 5
"""A side; fewer say too little about how much training by chance alone moves R²."""
PASS_LEVEL = 0.025
"""One-sided, of the upper bound: the report's intervals hold 95 %, so their end is this bound."""
POWER = 0.95
_LONGER = (1, 2, 4)
_OVERLAP = 1.5
"""Blocks that overlap tell as much of a variance as 1.5 times as many that do not (Künsch 1989, Ann. Stat. 17:1217)."""
I64 = NDArray[np.int64]
Bool = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Losses:
    """Losses of R comparisons on F figures each (every axis, then their mean), and how well they are known.

    Fields:
        value: (R, F) what was lost; positive is worse.
        standard_error: (R, F); 0 where both are the same bit for bit.
        freedom: (R, F) degrees of freedom of the standard error.
        n_blocks: (R,) blocks of the chosen length in the data.
        block_s: (R,) that length.
        minutes: of test data.
    """

    value: F64
    standard_error: F64
    freedom: F64
    n_blocks: I64
    block_s: F64
    minutes: float

    def p_worse(self) -> F64:
        """(R, F) chance of such a loss, or a larger one, if nothing were lost; 1 where there are too few blocks."""
        statistic = self.value / np.where(self.standard_error > 0, self.standard_error, 1.0)
        chance = np.where(self.standard_error > 0, scipy.stats.t.sf(statistic, self.freedom), 1.0)
        return np.asarray(np.where(self.enough | (self.standard_error == 0), chance, 1.0))

    def upper(self, level: float = PASS_LEVEL) -> F64:
        """(R, F) one-sided upper bound of the loss."""
        return np.asarray(self.value + scipy.stats.t.isf(level, self.freedom) * self.standard_error)

    def not_inferior(self, margin: float) -> Bool:
        """(R, F) whether the upper bound is below the margin, with blocks enough to say so; equal bits need none."""
        return np.asarray((self.upper() < margin) & (self.enough | (self.standard_error == 0)))

    def findable(self, level: float) -> F64:
        """(R, F) the smallest loss that is shown at that level with 95 % power (normal approximation of the power)."""
        return np.asarray((scipy.stats.t.isf(level, self.freedom) + scipy.stats.norm.ppf(POWER)) * self.standard_error)

    @property
    def enough(self) -> Bool:
        """(R, 1) whether there are blocks enough for a verdict."""
        return (self.n_blocks >= FEWEST_BLOCKS)[:, None]

    def minutes_needed(self, margin: float, level: float) -> F64:
        """(R, F) about how much more test data would decide, if the loss is what it seems; inf: none would.

        A standard error falls with the root of time; either the upper bound comes below the margin, or the lower one
        above 0, whichever is sooner.
        """
        with np.errstate(divide="ignore"):
            to_pass = np.where(
                self.value < margin, scipy.stats.t.isf(PASS_LEVEL, self.freedom) / (margin - self.value), np.inf
            )
            to_fail = np.where(self.value > 0, scipy.stats.t.isf(level, self.freedom) / self.value, np.inf)
        times = (np.minimum(to_pass, to_fail) * self.standard_error) ** 2
        for_blocks = (FEWEST_BLOCKS / np.maximum(self.n_blocks, 1))[:, None]
        return np.asarray(np.maximum((np.maximum(times, for_blocks) - 1) * self.minutes, 0.0))


@dataclass(frozen=True, eq=False)
class CellSums:
    """All that a loss in R² needs of R comparisons, summed over cells of time.

    Fields:
        frames: (N,) or (R, N) frames in a cell.
        truth, truth_squared: (R, N, D) sums of y and y².
        lost: (R, N, D) sums of the candidate's squared error minus the baseline's, each the mean over its seeds.
        seed_errors: mean squared error (S, R, D) of each seed of baseline and candidate; None: the same weights.
    """

    frames: F64
    truth: F64
    truth_squared: F64
    lost: F64
    seed_errors: tuple[F64, F64] | None = None

    @classmethod
    def of(cls, truth: F64, references: Sequence[F64], candidates: Sequence[F64], rate_hz: float) -> CellSums:
        """Sum frames (T, D) of one comparison; references and candidates: one for each seed."""
        centred = truth - truth.mean(axis=0)
        errors = [np.stack([(truth - one) ** 2 for one in side]) for side in (references, candidates)]
        seeds = None if len(references) == len(candidates) == 1 else (errors[0].mean(1), errors[1].mean(1))
        lost = errors[1].mean(axis=0) - errors[0].mean(axis=0)
        return cls(
            frames=cell_sums(np.ones(len(truth)), rate_hz),
            truth=cell_sums(centred, rate_hz)[None],
            truth_squared=cell_sums(centred**2, rate_hz)[None],
            lost=cell_sums(lost, rate_hz)[None],
            seed_errors=None if seeds is None else (seeds[0][:, None], seeds[1][:, None]),
        )

    def losses(self, rate_hz: float) -> Losses:
        """What was lost in R² of each axis and, if there are several, of their mean."""
        frames = np.broadcast_to(self.frames, self.truth.shape[:2])[..., None]
        n_frames = frames.sum(axis=1, keepdims=True)
        mean = self.truth.sum(axis=1, keepdims=True) / n_frames
        squares = self.truth_squared - 2 * mean * self.truth + mean**2 * frames
        total = squares.sum(axis=1, keepdims=True)
        loss = self.lost.sum(axis=1, keepdims=True) / total
        each = (self.lost - loss * squares) / total
        variance = (total / n_frames)[:, 0]
        spread = None if self.seed_errors is None else tuple(side / variance for side in self.seed_errors)
        length = np.minimum(block_length((self.lost / total).mean(axis=-1)), block_length(each.mean(axis=-1)))
        return _losses(_with_mean(loss)[:, 0], _with_mean(each), length, spread, float(n_frames[0, 0, 0]) / rate_hz)


def r2_losses(truth: F64, references: Sequence[F64], candidates: Sequence[F64], rate_hz: float) -> Losses:
    """What one comparison lost in R², R = 1.

    Args:
        truth: (T, D), no axis constant.
        references, candidates: the same shape, one for each seed; one a side where the weights are the same.
        rate_hz: frames per second.
    """
    return CellSums.of(truth, references, candidates, rate_hz).losses(rate_hz)


def auroc_losses(inside: Bool, references: Sequence[F64], candidates: Sequence[F64], rate_hz: float) -> Losses:
    """What one comparison lost in AUROC, R = F = 1.

    Args:
        inside: (T,) whether an event is under way; both occur.
        references, candidates: what each seed gave the frames (T,).
        rate_hz: frames per second.
    """
    values = [np.array([auroc(inside, one) for one in side])[:, None, None] for side in (references, candidates)]
    each = influence(inside, references) - influence(inside, candidates)
    cells = cell_sums(each / len(each), rate_hz)[None, :, None]
    spread = None if len(references) == len(candidates) == 1 else tuple(values)
    loss = values[0].mean(axis=0) - values[1].mean(axis=0)
    return _losses(loss, cells, block_length(cells[..., 0]), spread, len(inside) / rate_hz)


def holm(p: F64, level: float) -> Bool:
    """(R, M) which of M tests are rejected in each of R families, at a chance of `level` for one false rejection.

    Holm (1979): the smallest p is held against level / M, the next against level / (M - 1), until one is not below.
    """
    n = p.shape[1]
    order = np.argsort(p, axis=1, kind="stable")
    below = np.take_along_axis(p, order, axis=1) <= level / (n - np.arange(n))
    rejected = np.zeros(p.shape, bool)
    np.put_along_axis(rejected, order, np.logical_and.accumulate(below, axis=1), axis=1)
    return rejected


def block_cells(cells: F64) -> F64:
    """Politis & White's length of a circular block, in cells, for each row of (R, N).

    The lag beyond which nothing is correlated is sought as they say: the first that is followed by insignificant ones.
    """
    n = cells.shape[1]
    following = max(5, math.ceil(math.log10(n)))
    longest = min(math.ceil(math.sqrt(n)) + following, n - following - 1)
    covariance = _autocovariance(cells, longest + following)
    flat = np.where(covariance[:, :1] > 0, covariance / np.where(covariance[:, :1] > 0, covariance[:, :1], 1.0), 0.0)
    lags = np.arange(1, longest + 1)
    weight = _flat_top(lags / _bandwidth(np.abs(flat[:, 1:]), n, following, longest)[:, None])
    spectrum = covariance[:, 0] + 2 * (weight * covariance[:, lags]).sum(axis=1)
    slope = 2 * (weight * lags * covariance[:, lags]).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        length = (1.5 * (slope / spectrum) ** 2 * n) ** (1 / 3)
    most = math.ceil(min(3 * math.sqrt(n), n / 3))
    return np.asarray(np.where(np.isfinite(length), np.minimum(length, most), 1.0))


def _bandwidth(correlation: F64, n: int, following: int, longest: int) -> F64:
    """(R,) twice the last lag that counts, from |correlation| (R, longest + following) at lags from 1."""
    small = correlation < 2 * math.sqrt(math.log10(n) / n)
    runs = np.asarray(np.lib.stride_tricks.sliding_window_view(small, following, axis=1).all(axis=2))
    last = np.where(runs.any(axis=1), runs.argmax(axis=1), longest)
    return np.minimum(2.0 * np.maximum(last, 1), longest)


def _flat_top(x: F64) -> F64:
    return np.asarray(np.clip(2 * (1 - np.abs(x)), 0, 1))


def _autocovariance(cells: F64, lags: int) -> F64:
    """(R, lags + 1), divided by N."""
    n = cells.shape[1]
    size = 1 << math.ceil(math.log2(n + lags + 1))
    spectrum = np.fft.rfft(cells - cells.mean(axis=1, keepdims=True), size, axis=1)
    return np.asarray(np.fft.irfft(np.abs(spectrum) ** 2, size, axis=1)[:, : lags + 1] / n)


def _with_mean(axes: F64) -> F64:
    """(..., D) to (..., D + 1), the mean over axes last; one axis alone is its own mean."""
    return axes if axes.shape[-1] == 1 else np.concatenate([axes, axes.mean(axis=-1, keepdims=True)], axis=-1)


def cell_sums(frames: F64, rate_hz: float) -> F64:
    """(T, ...) to (N, ...); the frames of a last, broken cell go to the one before."""
    size = max(round(CELL_S * rate_hz), 1)
    return np.asarray(np.add.reduceat(frames, np.arange(0, max(len(frames) - size + 1, 1), size), axis=0))


def block_length(differential: F64) -> I64:
    """(R,) cells in a block, for the loss differential of each cell (R, N)."""
    n = differential.shape[1]
    shortest = math.ceil(SHORTEST_BLOCK_S / CELL_S)
    if n < 4 * shortest:
        return np.full(len(differential), min(shortest, n), np.int64)
    return np.maximum(shortest, np.ceil(block_cells(differential))).astype(np.int64)


def _losses(loss: F64, cells: F64, length: I64, spread: tuple[F64, ...] | None, seconds: float) -> Losses:
    """From losses (R, F), what each cell adds to them (R, N, F), a block (R,), and what each seed has (S, R, D)."""
    n = cells.shape[1]
    variance, freedom = widest_variance(cells, length)
    if spread is not None:
        variance, freedom = _with_seeds(variance, freedom, [_with_mean(side) for side in spread])
    return Losses(
        value=loss,
        standard_error=np.sqrt(variance),
        freedom=freedom,
        n_blocks=(n // length).astype(np.int64),
        block_s=np.multiply(length, CELL_S, dtype=np.float64),
        minutes=seconds / 60,
    )


def widest_variance(cells: F64, length: I64) -> tuple[F64, F64]:
    """Variance (R, F) of the sum over cells (R, N, F), and its degrees of freedom: the largest of three lengths."""
    variance, freedom = np.zeros((len(cells), cells.shape[2])), np.ones((len(cells), cells.shape[2]))
    for one in np.unique(length):
        rows = length == one
        variance[rows], freedom[rows] = _widest_of(cells[rows], int(one))
    return variance, freedom


def _widest_of(cells: F64, length: int) -> tuple[F64, F64]:
    """The same where all rows have one block length."""
    n = cells.shape[1]
    lengths = [min(times * length, max(n // 2, 1)) for times in _LONGER]
    running = np.cumsum(np.concatenate([cells, cells[:, : max(lengths)]], axis=1), axis=1)
    running = np.concatenate([np.zeros_like(running[:, :1]), running], axis=1)
    variance, freedom = np.zeros(cells.shape[::2]), np.ones(cells.shape[::2])
    for long in lengths:
        sums = running[:, long : long + n] - running[:, :n]
        # N / (N - l) undoes that block sums are taken about the sample's own mean.
        found = np.einsum("rnf,rnf->rf", sums, sums) / long * (n / (n - min(long, n - 1)))
        wider = found > variance
        variance = np.where(wider, found, variance)
        freedom = np.where(wider, max(_OVERLAP * n / long - 1, 1), freedom)
    return variance, freedom


def _with_seeds(variance: F64, freedom: F64, sides: Sequence[F64]) -> tuple[F64, F64]:
    """Add the seeds' own spread, (S, R, F) a side, and combine degrees of freedom (Satterthwaite 1946)."""
    terms, degrees = [variance], [freedom]
    for side in sides:
        if len(side) > 1:
            terms.append(side.var(axis=0, ddof=1) / len(side))
            degrees.append(np.full_like(variance, len(side) - 1.0))
    total = np.sum(terms, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        combined = total**2 / np.sum([term**2 / own for term, own in zip(terms, degrees, strict=True)], axis=0)
    return total, np.where(np.isfinite(combined), combined, 1.0)
