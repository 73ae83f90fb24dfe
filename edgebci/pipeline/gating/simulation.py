"""Simulated pull requests through the gate's own tests, many at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgebci.gating_limits import GateConfig, Growth
from edgebci.gating_statistics import CELL_S, FEWEST_SEEDS, CellSums, Losses, holm
from edgebci.metrics import F64
from edgebci.pipeline.gating.accuracy import p_wrong_gain
from edgebci.pipeline.gating.gain import Gains, TraceSums
from edgebci.pipeline.gating.populations import DRIFT_S, DRIFT_SHARE, Pool, Population, correlated
from edgebci.pipeline.gating.step_times import FormTimes, harmless

STRETCH_S = 60.0
SEED_SPREAD = 0.0075
"""Of R² from seed to seed of one recipe: the middle of what was seen, 0.005 to 0.01."""
_AT_ONCE = 100
I64 = NDArray[np.int64]
Bool = NDArray[np.bool_]


@dataclass(frozen=True)
class Counted:
    """What the gate said to so many pull requests."""

    failed: int
    undecided: int
    passed: int


@dataclass(frozen=True, eq=False)
class Draw:
    """Test parts of R pull requests as rows (R, N) of a pool's cells; each artefact has tiles of its own."""

    rows: I64
    tiles: NDArray[np.float64]
    """(R, N) in [0, 1): which tile."""

    def of(self, cells: F64) -> F64:
        """(K, N of the pool, D) to (R, N, D)."""
        tile = (self.tiles * len(cells)).astype(int)
        return np.asarray(cells[tile, self.rows])


@dataclass(frozen=True, eq=False)
class Found:
    """Of one artefact in R pull requests: its losses, their margin, and its gains if the weights are the same."""

    losses: Losses
    margin: float
    gains: Gains | None = None


Trial = Callable[[Draw, np.random.Generator], Sequence[Found]]
"""Every artefact in R pull requests."""


def count(
    trial: Trial,
    pool: Pool,
    minutes: float,
    requests: int,
    config: GateConfig,
    times: Sequence[FormTimes],
    random: np.random.Generator,
) -> Counted:
    """Put pull requests with test parts of some minutes through the gate, counters and times included.

    Counters are exact, so a change in bytes alone leaves them as they are; times are those of one bundle against
    itself, rounds drawn from what was measured.
    """
    failed = undecided = 0
    for first in range(0, requests, _AT_ONCE):
        n = min(_AT_ONCE, requests - first)
        worse, unknown = _decided(trial(draw(pool, n, minutes, random), random), n, config, times, random)
        failed += int(worse.sum())
        undecided += int((~worse & unknown).sum())
    return Counted(failed, undecided, requests - failed - undecided)


def draw(pool: Pool, n: int, minutes: float, random: np.random.Generator) -> Draw:
    """Stretches of a minute from anywhere in the pool, which goes round."""
    size, long = round(minutes * 60 / CELL_S), round(STRETCH_S / CELL_S)
    n_pool = len(pool.truth) // round(CELL_S * pool.rate_hz)
    n_stretches = -(-size // long)
    starts = random.integers(0, n_pool, (n, n_stretches, 1))
    rows = ((starts + np.arange(long)).reshape(n, -1)[:, :size]) % n_pool
    tiles = np.repeat(random.random((n, n_stretches)), long, axis=1)[:, :size]
    return Draw(rows, tiles)


def same_weights(pool: Pool, populations: Sequence[Population], margin: float) -> Trial:
    """Each artefact against its own."""
    truth, squared = pool.cells(pool.truth)[None], pool.cells(pool.truth**2)[None]
    per_cell = round(CELL_S * pool.rate_hz)

    def trial(drawn: Draw, random: np.random.Generator) -> Sequence[Found]:
        frames, own, own_squared = np.full(drawn.rows.shape[1], float(per_cell)), drawn.of(truth), drawn.of(squared)
        shape = (*drawn.rows.shape, truth.shape[-1])
        drifts = any(one.drift.any() for one in populations)
        offset = correlated(random, shape, DRIFT_S / CELL_S) if drifts else np.zeros(shape)
        found = []
        for one in populations:
            lost, traces = drawn.of(one.lost), _traces(drawn, one, frames, wander := offset * np.sqrt(one.drift))
            if one.drift.any():
                lost = lost + 2 * wander * drawn.of(one.error) + per_cell * wander**2
            losses = CellSums(frames, own, own_squared, lost).losses(pool.rate_hz)
            found.append(Found(losses, margin, traces.gains()))
        return found

    return trial


def _traces(drawn: Draw, one: Population, frames: F64, wander: F64) -> TraceSums:
    """Both decoded traces, the candidate's with an offset (R, N, D) that stays the same within a cell."""
    before, before_squared, after, after_squared = (drawn.of(cells) for cells in (*one.before, *one.after))
    cells = frames[None, :, None]
    return TraceSums(
        frames=frames,
        before=before,
        before_squared=before_squared,
        after=after + wander * cells,
        after_squared=after_squared + 2 * wander * after + wander**2 * cells,
    )


def retrained(pool: Pool, torch: Sequence[Population], forms: Trial, loss: float, drift: bool, margin: float) -> Trial:
    """Five seeds a side of one recipe, and the forms of the exported one against its torch form.

    Args:
        torch: of each seed, the baseline's first and then the candidate's: other errors of the same size.
        forms: of the exported seed, as `same_weights`.
        loss: of every candidate's mean R², in truth.
        drift: half of it comes from an offset that wanders in 60 s.
        margin: of retrained decoders.
    """
    first = next(iter(pool.errors.values()))
    base, truth = pool.cells(first**2)[None], (pool.cells(pool.truth)[None], pool.cells(pool.truth**2)[None])
    per_cell, room = round(CELL_S * pool.rate_hz), (first**2).mean(axis=0) / pool.variance
    share = DRIFT_SHARE if drift else 0.0

    def seed(drawn: Draw, one: Population, lost: float, random: np.random.Generator) -> F64:
        """Squared error of one seed, whose R² is off by chance and lower by `lost`: (R, N, D)."""
        own = Draw(drawn.rows, np.repeat(random.random((len(drawn.rows), 1)), drawn.rows.shape[1], axis=1))
        off = random.normal(lost, SEED_SPREAD, (len(drawn.rows), 1, 1))
        return np.asarray((own.of(one.lost) + drawn.of(base)) * (1 + off / room))

    def trial(drawn: Draw, random: np.random.Generator) -> Sequence[Found]:
        before = [seed(drawn, one, 0.0, random) for one in torch[:FEWEST_SEEDS]]
        after = [seed(drawn, one, loss * (1 - share), random) for one in torch[FEWEST_SEEDS:]]
        if share:
            wander = correlated(random, before[0].shape, DRIFT_S / CELL_S) * np.sqrt(pool.variance * loss * share)
            added = 2 * wander * drawn.of(torch[-1].error) + per_cell * wander**2
            after = [one + added for one in after]
        n_frames = per_cell * drawn.rows.shape[1]
        seeds = tuple(np.stack([one.sum(axis=1) / n_frames for one in side]) for side in (before, after))
        sums = CellSums(
            frames=np.full(drawn.rows.shape[1], float(per_cell)),
            truth=drawn.of(truth[0]),
            truth_squared=drawn.of(truth[1]),
            lost=np.mean(after, axis=0) - np.mean(before, axis=0),
            seed_errors=(seeds[0], seeds[1]),
        )
        against_torch = (dataclasses.replace(one, gains=None) for one in forms(drawn, random))
        return [Found(sums.losses(pool.rate_hz), margin), *against_torch]

    return trial


def _decided(
    found: Sequence[Found],
    n: int,
    config: GateConfig,
    times: Sequence[FormTimes],
    random: np.random.Generator,
) -> tuple[Bool, Bool]:
    """(R,) whether something is shown to be worse, and whether something is not shown to be as good."""
    good = [one.losses.not_inferior(one.margin) for one in found]
    p = [one.losses.p_worse() for one in found]
    for timed in times:
        growth, before_us = _growth(timed, n, config.times.rounds, random)
        p.append(growth.p_longer()[:, None])
        good.append(harmless(growth, before_us, config.times)[:, None])
    n_accuracy = sum(one.losses.value.shape[1] for one in found)
    for one in found:
        if one.gains is not None:
            lost = one.losses.value[:, : one.gains.change.shape[1]]
            p.append(p_wrong_gain(one.gains, lost, config.gain))
            good.append(np.zeros(p[-1].shape, bool))
    fine = np.concatenate(good, axis=1)
    worse = holm(np.concatenate(p, axis=1), config.level) & ~fine
    return np.asarray(worse.any(axis=1)), np.asarray(~fine[:, :n_accuracy].all(axis=1))


def _growth(times: FormTimes, n: int, rounds: int, random: np.random.Generator) -> tuple[Growth, F64]:
    """Rounds in the order in which they were measured, from anywhere; which bundle is the old one is tossed."""
    rows = (random.integers(0, len(times.before_us), (n, 1)) + np.arange(rounds)) % len(times.before_us)
    swapped = random.random((n, 1)) < 0.5
    one, other = times.before_us[rows], times.after_us[rows]
    before, after = np.where(swapped, other, one), np.where(swapped, one, other)
    return Growth.of(before, after), np.asarray(np.median(before, axis=1))
