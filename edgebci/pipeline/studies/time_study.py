"""How long does it take to be as good as a large model that was trained from scratch on a session's labels?

The paper speaks of a tenth of the time. The clock of the distilled student starts at fine-tuning: teacher and student
are trained once for all sessions, and what that took is stated beside it. A student that never gets there has no time.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgebci.comparison import Interval
from edgebci.pipeline.studies import realm_study
from edgebci.pipeline.studies.size import StudySize
from edgebci.pipeline.studies.table import TimeRow
from edgebci.pipeline.studies.trial import Grid, Way
from edgebci.pipeline.systems.realm import DECODER_NAME, LARGE, STUDENT, TEACHER, fine_tuned_way
from edgebci.progress import Progress, part
from edgebci.session import Session

NAME = "time"
CLAIMED_RATIO = 10.0
REPLICATES = 2000


def run(size: StudySize, realm_root: Path, progress: Progress) -> TimeRow:
    """Take encoders and trials from the folder of the REALM study, or make them there."""
    cohort, encoders = realm_study.prepare(size, realm_root, part(progress, 0.0, 0.5))
    seeds = size.seeds[:1]  # the large model takes minutes for each session and seed: one of each subject, once
    encoders.train((LARGE,), seeds)
    grid = Grid(realm_root / "trials", seeds, part(progress, 0.5, 1.0))
    large, distilled = (fine_tuned_way(encoders, kind) for kind in (LARGE, STUDENT))
    raced = cohort.first_held_out()
    grid.share((large, distilled), raced)
    races = [_race(grid, session, seed, large, distilled) for session in raced for seed in seeds]
    return time_row(races, [encoders.seconds(kind, seed) for kind in (TEACHER, STUDENT) for seed in seeds])


@dataclass(frozen=True)
class Race:
    """One session and seed."""

    subject: str
    large_s: float
    """Until the large model's best epoch."""
    distilled_s: float | None
    """Until the student's first epoch that is as good; None: it never was."""


def time_row(races: list[Race], pretraining_s: list[float]) -> TimeRow:
    """Median ratio over races, and its interval over subjects; a race that was lost counts as an endless one."""
    ratios = np.array([race.large_s / race.distilled_s if race.distilled_s else 0.0 for race in races])
    subjects = sorted({race.subject for race in races})
    rows = [np.flatnonzero([race.subject == subject for race in races]) for subject in subjects]
    random = np.random.default_rng(0)
    drawn = [random.integers(0, len(rows), len(rows)) for _ in range(REPLICATES)]
    medians = [float(np.median(ratios[np.concatenate([rows[i] for i in draw])])) for draw in drawn]
    low, high = np.percentile(medians, [2.5, 97.5]).tolist()
    return TimeRow(
        study=NAME,
        question="how many times faster than a large model from scratch is a distilled student as good?",
        claimed_ratio=CLAIMED_RATIO,
        ratio=Interval(value=float(np.median(ratios)), low=low, high=high),
        reached=int(np.count_nonzero(ratios)),
        races=len(races),
        n_subjects=len(subjects),
        large_s=float(np.median([race.large_s for race in races])),
        pretraining_s=float(np.sum(pretraining_s)),
    )


def _race(grid: Grid, session: Session, seed: int, large: Way, distilled: Way) -> Race:
    goal, by_large = _curve(grid, session, seed, large)
    scores, by_distilled = _curve(grid, session, seed, distilled)
    best = max(goal)
    reached = [time_s for score, time_s in zip(scores, by_distilled, strict=True) if score >= best]
    return Race(session.subject, by_large[goal.index(best)], reached[0] if reached else None)


def _curve(grid: Grid, session: Session, seed: int, way: Way) -> tuple[list[float], list[float]]:
    """R² on validation after each epoch, and the seconds until then."""
    from edgebci.training.realm.files import load_decoder

    seconds = grid.trial(way, session, seed).seconds
    scores = load_decoder(grid.folder(way, session, seed) / DECODER_NAME).training.validation_scores
    return list(scores), [seconds * (i + 1) / len(scores) for i in range(len(scores))]
