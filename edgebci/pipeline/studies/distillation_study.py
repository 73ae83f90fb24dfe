"""Does a bidirectional teacher make a causal student better, at equal compute and labels? Is it better than ridge?

The student without a teacher is trained for longer, by as many epochs as the teacher took: equal compute. In the linear
world nothing is there that ridge could not see, and no student should win by more than noise.
"""

from __future__ import annotations

from pathlib import Path

from edgebci.pipeline.studies.cohort import Cohort, obtain_cohort
from edgebci.pipeline.studies.size import StudySize
from edgebci.pipeline.studies.table import Expected, Row
from edgebci.pipeline.studies.trial import Grid, Way
from edgebci.pipeline.studies.ways import ridge_way, student_way
from edgebci.progress import Progress, part

NAME, MARGIN = "distillation", 0.02
WORLDS: dict[str, dict[str, object]] = {
    "kernel": {},
    "oscillators": {"family": "oscillators"},
    "linear": {"linear": True},
}


def run(size: StudySize, root: Path, progress: Progress) -> tuple[Row, ...]:
    """All questions in all worlds; finished trials are kept in `root`."""
    rows: list[Row] = []
    for i, (world, constants) in enumerate(WORLDS.items()):
        share = part(progress, i / len(WORLDS), (i + 1) / len(WORLDS))
        cohort = obtain_cohort(size.cohort(**constants), root / world / "sessions", part(share, 0.0, 0.2))
        rows += _questions(world, cohort, size, Grid(root / world, size.seeds, part(share, 0.2, 1.0)))
    return tuple(rows)


def ways(size: StudySize) -> tuple[Way, Way, Way]:
    """Ridge, the student by itself with equal compute, and the distilled student."""
    longer = size.model_copy(update={"student_epochs": size.student_epochs + size.teacher_epochs})
    return (
        ridge_way(size.recipe()),
        student_way("alone", longer.recipe(task_weight=1.0)),
        student_way("distilled", size.recipe(task_weight=1.0, alignment_weight=1.0)),
    )


def _questions(world: str, cohort: Cohort, size: StudySize, grid: Grid) -> list[Row]:
    ridge, alone, distilled = ways(size)
    against_ridge: Expected = "no difference" if world == "linear" else "superior"
    questions: list[tuple[str, Way, Way, Expected]] = [
        ("does the teacher help?", distilled, alone, "either" if world == "linear" else "superior"),
        ("is the distilled student better than ridge?", distilled, ridge, against_ridge),
        ("is the student by itself better than ridge?", alone, ridge, against_ridge),
    ]
    return [
        Row(
            study=NAME,
            question=f"{question} ({world})",
            candidate=candidate.name,
            reference=reference.name,
            expected=expected,
            comparison=grid.compare(cohort.held_out, candidate, reference, MARGIN),
            candidate_seconds=grid.mean_seconds(cohort.held_out, candidate),
            reference_seconds=grid.mean_seconds(cohort.held_out, reference),
        )
        for question, candidate, reference, expected in questions
    ]
