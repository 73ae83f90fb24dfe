"""The figures of a detector with their intervals, and whether one detector is better than another.

Circular block bootstrap as in `edgebci.comparison`, with blocks that begin at quarters of a block: time is cut into
cells of a quarter block, and every figure is a function of how often each cell was drawn. An event belongs to the cell
of its first frame, an alarm to that of its own. The length of the blocks comes from what each frame adds to AUROC
(DeLong, DeLong & Clarke-Pearson 1988, Biometrics 44:837).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy

from edgebci import comparison
from edgebci.comparison import Comparison, Interval, Paired, block_frames, drawn_seeds, judged, widest_interval
from edgebci.detection import F64, AlarmRule, Bool, Detector, Events, Rows, auroc, delays_s, false_alarms
from edgebci.documents import Document

DELAY_QUANTILES = (0.1, 0.9)
_CELLS_PER_BLOCK, _MOST_CELLS = 4, 1000

Figure = Callable[[F64], F64]
"""How often each cell counts in each replicate (R, C), to a figure of each replicate (R,)."""


class DetectionScore(Document):
    """How well a detector finds events; with several seeds, the mean over them."""

    auroc: Interval
    balanced_accuracy: Interval
    thresholds: tuple[float, ...]
    """One for each seed, chosen on validation."""
    detected_fraction: Interval | None
    """Of the events; None where none begins within a stretch."""
    delay_median_s: Interval | None
    """Of the detected events; None where there are none."""
    delay_quantiles_s: tuple[float, float] | None
    """10 % and 90 % of them, all seeds together."""
    false_alarms_per_hour: Interval
    rule: AlarmRule
    n_events: int
    block_s: float
    n_blocks: int


def score_detection(events: Events, detectors: Sequence[Detector], rule: AlarmRule, seed: int = 0) -> DetectionScore:
    """All figures with their intervals.

    Args:
        events: the truth.
        detectors: one for each seed.
        rule: of alarms.
        seed: of the bootstrap.
    """
    cells = _Cells.of(events, [detector.given for detector in detectors])
    measured = [_Measured.of(events, detector, rule, cells) for detector in detectors]
    finding = [m for m in measured if len(m.delay_s)]

    def interval(figures: Sequence[Figure]) -> Interval:
        return _interval(figures, 0, cells, seed)[0]

    return DetectionScore(
        auroc=interval([_pairs(events, detector.given, cells) for detector in detectors]),
        balanced_accuracy=interval([m.balanced_accuracy for m in measured]),
        thresholds=tuple(detector.threshold for detector in detectors),
        detected_fraction=interval([m.detected_fraction for m in measured]) if len(events.runs()) else None,
        delay_median_s=interval([m.delay_median for m in finding]) if finding else None,
        delay_quantiles_s=_quantiles([m.delay_s for m in finding]) if finding else None,
        false_alarms_per_hour=interval([m.false_alarms_per_hour for m in measured]),
        rule=rule,
        n_events=len(events.runs()),
        block_s=cells.block_frames / events.rate_hz,
        n_blocks=len(events.inside) // cells.block_frames,
    )


def compare_detection(
    events: Events, candidates: Sequence[F64], references: Sequence[F64], margin: float, seed: int = 0
) -> Comparison:
    """AUROC of a detector minus that of a reference, on the same frames.

    Args:
        events: the truth.
        candidates, references: what each seed gave the frames (T,).
        margin: loss in AUROC that would be accepted, fixed beforehand.
        seed: of the bootstrap.
    """
    cells = _Cells.of(events, candidates, references)
    figures = [_pairs(events, given, cells) for given in (*references, *candidates)]
    difference, standard_error = _interval(figures, len(references), cells, seed)
    found = Paired(
        per_axis=(difference,),
        difference=difference,
        standard_error=standard_error,
        block_s=cells.block_frames / events.rate_hz,
        n_blocks=len(events.inside) // cells.block_frames,
        n_seeds=len(candidates),
    )
    return judged(found, margin)


@dataclass(frozen=True, eq=False)
class _Cells:
    """Time in quarters of a block."""

    of_frame: Rows
    """(T,) the cell of each frame, from 0."""
    per_block: int
    block_frames: int

    @classmethod
    def of(cls, events: Events, given: Sequence[F64], references: Sequence[F64] = ()) -> _Cells:
        added = influence(events.inside, given)
        length = block_frames(added - influence(events.inside, references), events.rate_hz)
        n_frames = len(events.inside)
        size = max(math.ceil(length / _CELLS_PER_BLOCK), math.ceil(n_frames / _MOST_CELLS))
        per_block = math.ceil(length / size)
        return cls(np.arange(n_frames) // size, per_block, min(per_block * size, n_frames))

    @property
    def count(self) -> int:
        return int(self.of_frame[-1]) + 1

    def sums(self, values: F64 | Bool) -> F64:
        """(C,) of frames (T,)."""
        return np.asarray(np.bincount(self.of_frame, values, self.count), dtype=np.float64)

    def drawn(self, blocks: int, random: np.random.Generator) -> F64:
        """How often each cell counts in each replicate, (R, C): circular runs of `blocks` blocks."""
        length = blocks * self.per_block
        shape = (comparison.REPLICATES, max(round(self.count / length), 1))
        starts = random.integers(0, self.count, shape) + self.count * np.arange(shape[0])[:, None]
        begun = np.bincount(starts.ravel(), minlength=shape[0] * self.count).reshape(shape[0], self.count)
        running = np.cumsum(np.concatenate([begun[:, self.count - length :], begun], axis=1), axis=1)
        return np.asarray(running[:, length:] - running[:, :-length], dtype=np.float64)


@dataclass(frozen=True, eq=False)
class _Measured:
    """One detector's doings in each cell (C,), and event by event."""

    hits: F64
    inside: F64
    rejections: F64
    outside: F64
    false_alarms: F64
    hours: F64
    """In which an alarm would be false."""
    events: F64
    detected: F64
    delay_s: F64
    """Of the detected events, from the shortest on."""
    delay_cell: Rows
    """The cells that those events belong to."""

    @classmethod
    def of(cls, events: Events, detector: Detector, rule: AlarmRule, cells: _Cells) -> _Measured:
        inside, on, onset = events.inside, detector.on, cells.of_frame[events.runs()[:, 0]]
        delay_s = delays_s(events, on, rule)
        found = np.argsort(delay_s, kind="stable")[: int(np.isfinite(delay_s).sum())]
        false = cells.of_frame[false_alarms(events, on, rule)]
        return cls(
            hits=cells.sums(inside & on),
            inside=cells.sums(inside),
            rejections=cells.sums(~inside & ~on),
            outside=cells.sums(~inside),
            false_alarms=np.bincount(false, minlength=cells.count).astype(np.float64),
            hours=cells.sums(~events.excused(rule.tolerance_s)) / (3600 * events.rate_hz),
            events=np.bincount(onset, minlength=cells.count).astype(np.float64),
            detected=np.bincount(onset[found], minlength=cells.count).astype(np.float64),
            delay_s=delay_s[found],
            delay_cell=onset[found],
        )

    def balanced_accuracy(self, weights: F64) -> F64:
        shares = (
            _ratio(weights @ self.hits, weights @ self.inside),
            _ratio(weights @ self.rejections, weights @ self.outside),
        )
        return 0.5 * (shares[0] + shares[1])

    def detected_fraction(self, weights: F64) -> F64:
        return _ratio(weights @ self.detected, weights @ self.events)

    def false_alarms_per_hour(self, weights: F64) -> F64:
        return _ratio(weights @ self.false_alarms, weights @ self.hours)

    def delay_median(self, weights: F64) -> F64:
        counted = np.cumsum(weights[:, self.delay_cell], axis=1)
        middle = np.argmax(counted >= 0.5 * counted[:, -1:], axis=1)
        return np.where(counted[:, -1] > 0, self.delay_s[middle], np.nan)


def _pairs(events: Events, given: F64, cells: _Cells) -> Figure:
    """AUROC from the pairs that every two cells make."""
    inside, cell = events.inside, cells.of_frame
    won = np.zeros((cells.count, cells.count))
    for k in range(cells.count):
        outside = np.sort(given[(cell == k) & ~inside])
        below = np.searchsorted(outside, given[inside], "left") + np.searchsorted(outside, given[inside], "right")
        won[:, k] = np.bincount(cell[inside], 0.5 * below, cells.count)
    n_inside, n_outside = cells.sums(inside), cells.sums(~inside)

    def figure(weights: F64) -> F64:
        return _ratio(((weights @ won) * weights).sum(axis=1), (weights @ n_inside) * (weights @ n_outside))

    return figure


def influence(inside: Bool, given: Sequence[F64]) -> F64:
    """(T,) what each frame (T,) of each seed adds to AUROC, mean over seeds; 0 where there are none."""
    if not given:
        return np.zeros(len(inside))
    mean: F64 = np.mean([_influence_of(inside, one) for one in given], axis=0)
    return mean


def _influence_of(inside: Bool, given: F64) -> F64:
    value, share = auroc(inside, given), np.where(inside, inside.mean(), 1 - inside.mean())
    ranks, among_own = scipy.stats.rankdata(given), np.empty(len(given))
    for kind in (inside, ~inside):
        among_own[kind] = scipy.stats.rankdata(given[kind])
    below = (ranks - among_own) / np.where(inside, (~inside).sum(), inside.sum())
    won = np.where(inside, below, 1 - below)
    return np.asarray((won - value) / share)


def _interval(figures: Sequence[Figure], n_references: int, cells: _Cells, seed: int) -> tuple[Interval, float]:
    """Mean over candidates minus mean over references (the first; none: 0), with its interval and standard error."""
    is_candidate = np.arange(len(figures)) >= n_references
    whole = np.ones((1, cells.count))
    value = _difference(np.stack([figure(whole) for figure in figures]), is_candidate)
    samples = []
    for blocks in (k for k in (1, 2, 4) if k * cells.per_block <= cells.count):
        random = np.random.default_rng(seed)
        weights = cells.drawn(blocks, random)
        found = np.stack([figure(weights) for figure in figures])
        drawn = drawn_seeds(n_references, len(figures), random)
        samples.append(_difference(np.take_along_axis(found, drawn, axis=0), is_candidate)[:, None])
    intervals, standard_error = widest_interval(value, samples)
    return intervals[0], standard_error


def _difference(figures: F64, is_candidate: Bool) -> F64:
    """(decoders, R) to (R,)."""
    mean: F64 = figures[is_candidate].mean(axis=0)
    return mean if is_candidate.all() else mean - figures[~is_candidate].mean(axis=0)


def _ratio(part: F64, whole: F64) -> F64:
    return np.asarray(part / np.where(whole > 0, whole, np.nan))


def _quantiles(delays: Sequence[F64]) -> tuple[float, float]:
    low, high = np.quantile(np.concatenate(delays), DELAY_QUANTILES)
    return float(low), float(high)
