"""Is one decoder better than another over subjects? The unit of inference is the subject, then session, then block.

Each replicate draws subjects with replacement, then sessions of each drawn subject, then blocks of each drawn session
and a trained seed of either decoder; the statistic is the mean over subjects of the mean over their sessions of the
difference in mean R² over axes. With one subject the interval speaks of that subject only, with one session of that
session only; the result says how many there were.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from edgebci.comparison import (
    FEWEST_BLOCKS,
    REPLICATES,
    Interval,
    Verdict,
    block_frames,
    circular_block_sums,
    judge_interval,
)
from edgebci.documents import Document
from edgebci.errors import InputError
from edgebci.metrics import F64, frame_terms, r2_of_sums

FEWEST_SUBJECTS = 6
"""Below this, a verdict over subjects is `cannot tell`."""
THIS_RECORDING = 1
"""Subjects that a statement on one recording needs; it says nothing of other animals."""


@dataclass(frozen=True, eq=False)
class PairedSession:
    """One held-out session decoded by both: truth (T, D), and for each trained seed a prediction (T, D)."""

    subject: str
    session: str
    truth: F64
    candidates: tuple[F64, ...]
    references: tuple[F64, ...]
    rate_hz: float


class SubjectsComparison(Document):
    """Mean R² of a candidate minus that of a reference, over subjects."""

    difference: Interval
    candidate_r2: float
    reference_r2: float
    margin: float
    verdict: Verdict
    reason: str
    n_subjects: int
    n_sessions: int
    n_blocks: int
    n_seeds: int


def compare_over_subjects(
    sessions: Sequence[PairedSession], margin: float, seed: int = 0, fewest_subjects: int = FEWEST_SUBJECTS
) -> SubjectsComparison:
    """Compare two decoders on the same sessions of several subjects.

    Args:
        sessions: at least one.
        margin: loss in R² that would be accepted, fixed beforehand.
        seed: of the bootstrap.
        fewest_subjects: below this the verdict is `cannot tell`; THIS_RECORDING for a statement on one recording.
    """
    random = np.random.default_rng(seed)
    measured = [_measure(session, random) for session in sessions]
    by_subject = [list(group) for _, group in groupby(sorted(measured, key=_subject), key=_subject)]
    samples = np.array([_draw(by_subject, random) for _ in range(REPLICATES)])
    low, high = np.percentile(samples, [2.5, 97.5]).tolist()
    candidate, reference = (float(np.mean([m.r2[i] for m in measured])) for i in (0, 1))
    value = float(np.mean([np.mean([m.r2[0] - m.r2[1] for m in group]) for group in by_subject]))
    difference = Interval(value=value, low=low, high=high)
    n_blocks = sum(m.n_blocks for m in measured)
    verdict, reason = _judge(difference, margin, (len(by_subject), fewest_subjects), n_blocks)
    return SubjectsComparison(
        difference=difference,
        candidate_r2=candidate,
        reference_r2=reference,
        margin=margin,
        verdict=verdict,
        reason=reason,
        n_subjects=len(by_subject),
        n_sessions=len(sessions),
        n_blocks=n_blocks,
        n_seeds=min(min(len(s.candidates), len(s.references)) for s in sessions),
    )


@dataclass(frozen=True, eq=False)
class _Measured:
    """A session's R² of candidate and reference, and block-bootstrap replicates of their difference."""

    subject: str
    r2: tuple[float, float]
    replicates: F64
    n_blocks: int


def _subject(measured: _Measured) -> str:
    return measured.subject


def _measure(session: PairedSession, random: np.random.Generator) -> _Measured:
    truth = session.truth
    if not np.ptp(truth, axis=0).all():
        raise InputError(f"the target of {session.session} is constant in its test part; choose a longer test part")
    losses = [np.mean([(truth - p) ** 2 for p in group], axis=0) for group in (session.candidates, session.references)]
    length = block_frames((losses[0] - losses[1]).sum(axis=1), session.rate_hz)
    candidates, references = (
        np.stack([frame_terms(truth, p) for p in group]) for group in (session.candidates, session.references)
    )
    n = len(truth)
    r2 = tuple(float(r2_of_sums(terms.sum(axis=1), n).mean()) for terms in (candidates, references))
    replicates = max(
        (_replicates(candidates, references, k * length, random) for k in (1, 2, 4) if k * length <= n), key=np.std
    )
    return _Measured(session.subject, (r2[0], r2[1]), replicates, n // length)


def _replicates(candidates: F64, references: F64, length: int, random: np.random.Generator) -> F64:
    """Differences of up to REPLICATES resampled sessions, blocks and seeds of either side drawn anew."""
    n_blocks = max(round(candidates.shape[1] / length), 1)
    starts = random.integers(0, candidates.shape[1], (REPLICATES, n_blocks))
    drawn = [_drawn_r2(terms, length, starts, random) for terms in (candidates, references)]
    difference = drawn[0] - drawn[1]
    # Blocks drawn from rest alone have no R²; they are few, and nothing can be said of them.
    return difference[np.isfinite(difference)]


def _drawn_r2(terms: F64, length: int, starts: NDArray[np.int64], random: np.random.Generator) -> F64:
    """Mean R² over axes of each replicate, over as many seeds as there are, drawn with replacement."""
    block_sums = circular_block_sums(terms, length)
    seeds = random.integers(0, len(terms), (len(terms), len(starts)))
    drawn = [block_sums[seed[:, None], starts].sum(axis=1) for seed in seeds]
    n = starts.shape[1] * length
    mean: F64 = np.mean([r2_of_sums(sums, n).mean(axis=-1) for sums in drawn], axis=0)
    return mean


def _draw(by_subject: list[list[_Measured]], random: np.random.Generator) -> float:
    subjects = random.integers(0, len(by_subject), len(by_subject))
    return float(np.mean([_draw_sessions(by_subject[i], random) for i in subjects]))


def _draw_sessions(sessions: list[_Measured], random: np.random.Generator) -> float:
    drawn = random.integers(0, len(sessions), len(sessions))
    return float(np.mean([sessions[i].replicates[random.integers(len(sessions[i].replicates))] for i in drawn]))


def _judge(difference: Interval, margin: float, subjects: tuple[int, int], n_blocks: int) -> tuple[Verdict, str]:
    found, needed = subjects
    if found < needed:
        return Verdict.CANNOT_TELL, f"{found} subjects; a verdict over subjects needs {needed}"
    if n_blocks < FEWEST_BLOCKS:
        return Verdict.CANNOT_TELL, f"{n_blocks} independent blocks of test data; a verdict needs {FEWEST_BLOCKS}"
    verdict, reason = judge_interval(difference, margin)
    return verdict, f"{reason}, for this recording alone" if needed == THIS_RECORDING else reason
