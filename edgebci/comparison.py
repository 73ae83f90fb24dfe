"""Is one decoder better than another? Intervals and verdicts for autocorrelated traces.

Circular block bootstrap: blocks of consecutive frames are drawn with replacement, all axes and both sums of squares
of a block together. The block length comes from the paired loss differential (Politis & White 2004), is never under
5 s, and the interval uses the length among 1x, 2x and 4x that gives the largest standard error. Where several seeds
of a decoder were trained, each replicate also draws a seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

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
    """How well one decoder follows the truth."""

    r2: tuple[Interval, ...]
    pearson_r: tuple[Interval, ...]
    r2_mean: Interval
    block_s: float
    n_blocks: int


class Comparison(Document):
    """Mean R² over axes of a candidate minus that of a reference, on the same frames."""

    difference: Interval
    per_axis: tuple[Interval, ...]
    margin: float
    verdict: Verdict
    standard_error: float
    power_at_margin: float
    block_s: float
    n_blocks: int
    n_seeds: int
    reason: str


def score(truth: F64, prediction: F64, rate_hz: float, seed: int = 0) -> Score:
    """R² and r of each axis with intervals.

    Args:
        truth, prediction: shape (T, D).
        rate_hz: frames per second.
        seed: of the bootstrap.
    """
    terms = frame_terms(truth, prediction)[None]
    length = block_frames(((truth - prediction) ** 2).sum(axis=1), rate_hz)
    r2, pearson, mean = (_widest_interval(terms, length, of, seed)[0] for of in (_r2, _pearson, _mean_r2))
    return Score(
        r2=tuple(r2),
        pearson_r=tuple(pearson),
        r2_mean=mean[0],
        block_s=length / rate_hz,
        n_blocks=len(truth) // length,
    )


def compare(
    truth: F64, candidates: list[F64], reference: F64, rate_hz: float, margin: float, seed: int = 0
) -> Comparison:
    """Compare a decoder, trained once or with several seeds, with a reference on the same frames.

    Args:
        truth, reference: shape (T, D).
        candidates: predictions (T, D), one for each seed.
        rate_hz: frames per second.
        margin: loss in R² that would be accepted, fixed beforehand.
        seed: of the bootstrap.
    """
    terms = np.stack([frame_terms(truth, p) for p in [reference, *candidates]])
    candidate_loss = np.mean([(truth - p) ** 2 for p in candidates], axis=0)
    length = block_frames((candidate_loss - (truth - reference) ** 2).sum(axis=1), rate_hz)
    n_blocks = len(truth) // length
    per_axis, _ = _widest_interval(terms, length, _difference, seed)
    mean, standard_error = _widest_interval(terms, length, _mean_difference, seed)
    verdict, reason = _judge(mean[0], margin, n_blocks)
    return Comparison(
        difference=mean[0],
        per_axis=tuple(per_axis),
        margin=margin,
        verdict=verdict,
        standard_error=standard_error,
        power_at_margin=power(margin, standard_error),
        block_s=length / rate_hz,
        n_blocks=n_blocks,
        n_seeds=len(candidates),
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
    return float(norm.cdf(margin / standard_error - norm.ppf(0.975)))


Statistic = Callable[[F64, int], F64]


def _r2(sums: F64, n: int) -> F64:
    return r2_of_sums(sums[0], n)


def _pearson(sums: F64, n: int) -> F64:
    return pearson_of_sums(sums[0], n)


def _mean_r2(sums: F64, n: int) -> F64:
    mean: F64 = r2_of_sums(sums[0], n).mean(axis=-1, keepdims=True)
    return mean


def _difference(sums: F64, n: int) -> F64:
    candidates: F64 = r2_of_sums(sums[1:], n).mean(axis=0)
    return candidates - r2_of_sums(sums[0], n)


def _mean_difference(sums: F64, n: int) -> F64:
    mean: F64 = _difference(sums, n).mean(axis=-1, keepdims=True)
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


def _widest_interval(terms: F64, length: int, of: Statistic, seed: int) -> tuple[list[Interval], float]:
    """Intervals of a statistic of sums at the block length, of 1x, 2x and 4x, whose standard error is largest.

    `terms` has shape (decoders, T, 6, D); the statistic takes sums (decoders, ..., 6, D) and the number of frames.
    """
    n = terms.shape[1]
    value = of(terms.sum(axis=1), n)
    samples = [_replicates(terms, length * k, of, seed) for k in (1, 2, 4) if length * k <= n]
    widest = max(samples, key=lambda sample: float(np.nanmean(np.nanstd(sample, axis=0))))
    low, high = np.nanpercentile(widest, [2.5, 97.5], axis=0)
    rows = zip(value.tolist(), low.tolist(), high.tolist(), strict=True)
    return [Interval(value=v, low=a, high=b) for v, a, b in rows], float(np.nanmean(np.nanstd(widest, axis=0)))


def _replicates(terms: F64, length: int, of: Statistic, seed: int) -> F64:
    """The statistic of REPLICATES resampled recordings, shape (REPLICATES, D)."""
    random = np.random.default_rng(seed)
    n_decoders, n = terms.shape[:2]
    n_blocks = round(n / length)
    block_sums = circular_block_sums(terms, length)
    starts = random.integers(0, n, (REPLICATES, n_blocks))
    # A few replicates at a time: all at once would take a gigabyte for an hour of frames.
    sums = np.concatenate([block_sums[:, rows].sum(axis=2) for rows in np.array_split(starts, 40)], axis=1)
    drawn = _drawn_seeds(n_decoders, random)
    return of(sums[drawn, np.arange(REPLICATES)], n_blocks * length)


def _drawn_seeds(n_decoders: int, random: np.random.Generator) -> NDArray[np.int64]:
    """For each replicate the reference (0) and as many candidates as there are, drawn again; (decoders, REPLICATES)."""
    if n_decoders == 1:
        return np.zeros((1, REPLICATES), np.int64)
    candidates = random.integers(1, n_decoders, (n_decoders - 1, REPLICATES))
    return np.concatenate([np.zeros((1, REPLICATES), np.int64), candidates])


def circular_block_sums(terms: F64, length: int) -> F64:
    """Sum over each block of `length` frames that starts at every frame and wraps around, shape as `terms`."""
    wrapped = np.concatenate([np.zeros_like(terms[:, :1]), terms, terms[:, : length - 1]], axis=1)
    running: F64 = np.cumsum(wrapped, axis=1)
    return running[:, length:] - running[:, :-length]
