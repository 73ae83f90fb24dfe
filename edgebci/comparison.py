"""Is one decoder better than another? Intervals and verdicts for autocorrelated traces.

Circular block bootstrap: blocks of consecutive frames are drawn with replacement, all axes and both sums of squares
of a block together. The block length comes from the paired loss differential (Politis & White 2004), is never under
5 s, and the interval uses the length among 1x, 2x and 4x that gives the largest standard error. Where several seeds
of a decoder were trained, each replicate also draws as many seeds as there are, on either side.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import scipy
from numpy.typing import NDArray

from edgebci.documents import Document
from edgebci.metrics import F64, frame_terms, pearson_of_sums, r2_of_sums

SHORTEST_BLOCK_S = 5.0
FEWEST_BLOCKS = 30
REPLICATES = 2000


class Verdict(StrEnum):
    """What a paired comparison can say."""

    SUPERIOR = "superior"
    NON_INFERIOR = "non-inferior"
    INFERIOR = "inferior"
    CANNOT_TELL = "cannot tell"


class Interval(Document):
    """A figure and its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


class Score(Document):
    """How well a decoder follows the truth; with several seeds, the mean over them."""

    r2: tuple[Interval, ...]
    pearson_r: tuple[Interval, ...]
    r2_mean: Interval
    block_s: float
    n_blocks: int


class Comparison(Document):
    """Mean R² over axes (in detection: AUROC) of a candidate minus that of a reference, on the same frames."""

    difference: Interval
    per_axis: tuple[Interval, ...]
    margin: float
    verdict: Verdict
    standard_error: float
    power_at_margin: float
    block_s: float
    n_blocks: int
    n_seeds: int
    """Of the candidate."""
    reason: str


def score(truth: F64, prediction: F64 | Sequence[F64], rate_hz: float, seed: int = 0) -> Score:
    """R² and r of each axis with intervals.

    Args:
        truth: shape (T, D).
        prediction: shape (T, D), or one such for each seed.
        rate_hz: frames per second.
        seed: of the bootstrap.
    """
    predictions = _one_for_each_seed(prediction)
    terms = np.stack([frame_terms(truth, p) for p in predictions])
    length = block_frames(_mean_loss(truth, predictions).sum(axis=1), rate_hz)
    r2, pearson, mean = (_widest_interval(terms, length, of, seed)[0] for of in (_r2, _pearson, _mean_r2))
    return Score(
        r2=tuple(r2),
        pearson_r=tuple(pearson),
        r2_mean=mean[0],
        block_s=length / rate_hz,
        n_blocks=len(truth) // length,
    )


def compare(
    truth: F64,
    candidates: Sequence[F64],
    reference: F64 | Sequence[F64],
    rate_hz: float,
    margin: float,
    seed: int = 0,
) -> Comparison:
    """Compare a decoder, trained once or with several seeds, with a reference on the same frames.

    Args:
        truth: shape (T, D).
        candidates: predictions (T, D), one for each seed.
        reference: a prediction (T, D), or one for each seed.
        rate_hz: frames per second.
        margin: loss in R² that would be accepted, fixed beforehand.
        seed: of the bootstrap.
    """
    references = _one_for_each_seed(reference)
    terms = np.stack([frame_terms(truth, p) for p in [*references, *candidates]])
    length = block_frames((_mean_loss(truth, candidates) - _mean_loss(truth, references)).sum(axis=1), rate_hz)
    n = len(references)
    per_axis, _ = _widest_interval(terms, length, _difference_to(n), seed, n)
    mean, standard_error = _widest_interval(terms, length, _mean_difference_to(n), seed, n)
    found = Paired(tuple(per_axis), mean[0], standard_error, length / rate_hz, len(truth) // length, len(candidates))
    return judged(found, margin)


@dataclass(frozen=True)
class Paired:
    """A paired difference, not yet judged: of each axis and of their mean."""

    per_axis: tuple[Interval, ...]
    difference: Interval
    standard_error: float
    block_s: float
    n_blocks: int
    n_seeds: int


def judged(found: Paired, margin: float) -> Comparison:
    """Say what a paired difference means, with a margin that was fixed beforehand."""
    verdict, reason = _judge(found.difference, margin, found.n_blocks)
    return Comparison(
        difference=found.difference,
        per_axis=found.per_axis,
        margin=margin,
        verdict=verdict,
        standard_error=found.standard_error,
        power_at_margin=power(margin, found.standard_error),
        block_s=found.block_s,
        n_blocks=found.n_blocks,
        n_seeds=found.n_seeds,
        reason=reason,
    )


def block_frames(loss: F64, rate_hz: float) -> int:
    """Length of a block in frames, at least 5 s, for the loss (or its paired difference) of each frame, shape (T,)."""
    shortest = math.ceil(SHORTEST_BLOCK_S * rate_hz)
    if len(loss) < 4 * shortest or np.ptp(loss) == 0:
        return min(shortest, len(loss))
    from arch.bootstrap import optimal_block_length  # here: importing it takes more than a second

    optimal = float(optimal_block_length(loss)["circular"].iloc[0])
    return int(min(max(shortest, math.ceil(optimal)), len(loss)))


def power(margin: float, standard_error: float) -> float:
    """Chance of the verdict `non-inferior` when the truth is no difference (normal approximation)."""
    if standard_error == 0:
        return 1.0
    return float(scipy.stats.norm.cdf(margin / standard_error - scipy.stats.norm.ppf(0.975)))


Statistic = Callable[[F64, int], F64]


def _r2(sums: F64, n: int) -> F64:
    over_seeds: F64 = r2_of_sums(sums, n).mean(axis=0)
    return over_seeds


def _pearson(sums: F64, n: int) -> F64:
    over_seeds: F64 = pearson_of_sums(sums, n).mean(axis=0)
    return over_seeds


def _mean_r2(sums: F64, n: int) -> F64:
    mean: F64 = _r2(sums, n).mean(axis=-1, keepdims=True)
    return mean


def _difference_to(n_references: int) -> Statistic:
    def difference(sums: F64, n: int) -> F64:
        return _r2(sums[n_references:], n) - _r2(sums[:n_references], n)

    return difference


def _mean_difference_to(n_references: int) -> Statistic:
    def mean(sums: F64, n: int) -> F64:
        over_axes: F64 = _difference_to(n_references)(sums, n).mean(axis=-1, keepdims=True)
        return over_axes

    return mean


def _one_for_each_seed(prediction: F64 | Sequence[F64]) -> list[F64]:
    return [prediction] if isinstance(prediction, np.ndarray) else list(prediction)


def _mean_loss(truth: F64, predictions: Sequence[F64]) -> F64:
    """Squared error (T, D), mean over seeds."""
    mean: F64 = np.mean([(truth - p) ** 2 for p in predictions], axis=0)
    return mean


def _judge(difference: Interval, margin: float, n_blocks: int) -> tuple[Verdict, str]:
    if n_blocks < FEWEST_BLOCKS:
        return Verdict.CANNOT_TELL, f"{n_blocks} independent blocks of test data; a verdict needs {FEWEST_BLOCKS}"
    return judge_interval(difference, margin)


def judge_interval(difference: Interval, margin: float) -> tuple[Verdict, str]:
    """What a 95 % interval of a difference says, and why."""
    if difference.low > 0:
        return Verdict.SUPERIOR, "the interval lies above 0"
    if difference.low > -margin:
        return Verdict.NON_INFERIOR, f"the interval lies above -{margin:g}"
    if difference.high < 0:
        return Verdict.INFERIOR, "the interval lies below 0"
    return Verdict.CANNOT_TELL, f"the interval reaches below -{margin:g} and above 0"


def _widest_interval(
    terms: F64, length: int, of: Statistic, seed: int, n_references: int = 0
) -> tuple[list[Interval], float]:
    """Intervals of a statistic of sums at the block length, of 1x, 2x and 4x, whose standard error is largest.

    `terms` has shape (decoders, T, 6, D); the statistic takes sums (decoders, ..., 6, D) and the number of frames.
    """
    n = terms.shape[1]
    value = of(terms.sum(axis=1), n)
    return widest_interval(
        value, [_replicates(terms, length * k, of, seed, n_references) for k in (1, 2, 4) if length * k <= n]
    )


def widest_interval(value: F64, samples: Sequence[F64]) -> tuple[list[Interval], float]:
    """Intervals of figures (D,) from the sample, of several (replicates, D), that spreads most; and that spread.

    A replicate for which a figure does not exist (nan) is left out.
    """
    widest = max(samples, key=lambda sample: float(np.nanmean(np.nanstd(sample, axis=0))))
    low, high = np.nanpercentile(widest, [2.5, 97.5], axis=0)
    rows = zip(value.tolist(), low.tolist(), high.tolist(), strict=True)
    return [Interval(value=v, low=a, high=b) for v, a, b in rows], float(np.nanmean(np.nanstd(widest, axis=0)))


def _replicates(terms: F64, length: int, of: Statistic, seed: int, n_references: int) -> F64:
    """The statistic of REPLICATES resampled recordings, shape (REPLICATES, D)."""
    random = np.random.default_rng(seed)
    n_decoders, n = terms.shape[:2]
    n_blocks = round(n / length)
    block_sums = circular_block_sums(terms, length)
    starts = random.integers(0, n, (REPLICATES, n_blocks))
    # A few replicates at a time: all at once would take a gigabyte for an hour of frames.
    sums = np.concatenate([block_sums[:, rows].sum(axis=2) for rows in np.array_split(starts, 40)], axis=1)
    drawn = drawn_seeds(n_references, n_decoders, random)
    return of(sums[drawn, np.arange(REPLICATES)], n_blocks * length)


def drawn_seeds(n_references: int, n_decoders: int, random: np.random.Generator) -> NDArray[np.int64]:
    """For each replicate, as many of the references (first) and of the others as there are; (decoders, REPLICATES)."""
    n_candidates = n_decoders - n_references
    return np.concatenate([_drawn(n_references, random), n_references + _drawn(n_candidates, random)])


def _drawn(n: int, random: np.random.Generator) -> NDArray[np.int64]:
    # One seed needs no chance.
    return random.integers(0, n, (n, REPLICATES)) if n > 1 else np.zeros((n, REPLICATES), np.int64)


def circular_block_sums(terms: F64, length: int) -> F64:
    """Sum over each block of `length` frames that starts at every frame and wraps around, shape as `terms`."""
    wrapped = np.concatenate([np.zeros_like(terms[:, :1]), terms, terms[:, : length - 1]], axis=1)
    running: F64 = np.cumsum(wrapped, axis=1)
    return running[:, length:] - running[:, :-length]
