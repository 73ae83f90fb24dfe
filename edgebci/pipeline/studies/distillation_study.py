"""Does a bidirectional teacher make a causal student better, at equal compute and labels? Is it better than ridge?

The student without a teacher is trained for longer, by as many epochs as the teacher took: equal compute. In the linear
world nothing is there that ridge could not see, and no student should win by more than noise. The guided student has
two teachers, the bidirectional one and ridge itself, as in examples/quickstart.toml: minutes of labels teach a network
less than the little that ridge has to estimate, so it begins where ridge ends.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edgebci.pipeline.studies.asking import Question, ask
from edgebci.pipeline.studies.cohort import obtain_cohort
from edgebci.pipeline.studies.size import StudySize
from edgebci.pipeline.studies.table import Expected, Row
from edgebci.pipeline.studies.trial import Grid, Way
from edgebci.pipeline.studies.ways import ridge_way, student_way
from edgebci.progress import Progress, part

NAME = "distillation"
MAIN = "kernel"
WORLDS: dict[str, dict[str, object]] = {
    MAIN: {},
    "oscillators": {"family": "oscillators"},
    "linear": {"linear": True},
}


def run(size: StudySize, root: Path, progress: Progress) -> tuple[Row, ...]:
    """All questions in all worlds; finished trials are kept in `root`."""
    rows: list[Row] = []
    for i, (world, constants) in enumerate(WORLDS.items()):
        share = part(progress, i / len(WORLDS), (i + 1) / len(WORLDS))
        here = size if world == MAIN else size.control()
        cohort = obtain_cohort(here.cohort(**constants), root / world / "sessions", part(share, 0.0, 0.2))
        grid = Grid(root / world, here.seeds, part(share, 0.2, 1.0))
        rows += [ask(NAME, grid, cohort.held_out, _in_world(world, question)) for question in questions(size)]
    return tuple(rows)


def ways(size: StudySize) -> tuple[Way, Way, Way, Way]:
    """Ridge, the student by itself with equal compute, the distilled student, and one that ridge teaches as well."""
    longer = size.model_copy(update={"student_epochs": size.student_epochs + size.teacher_epochs})
    return (
        ridge_way(size.recipe()),
        student_way("alone", longer.recipe(task_weight=1.0)),
        student_way("distilled", size.recipe(task_weight=1.0, alignment_weight=1.0)),
        student_way("guided", size.recipe(task_weight=0.5, alignment_weight=1.0, ridge_weight=0.5)),
    )


def questions(size: StudySize) -> tuple[Question, ...]:
    """Where there is something that ridge cannot see."""
    ridge, alone, distilled, guided = ways(size)
    return (
        Question("does the teacher help?", distilled, alone, "superior"),
        Question("is the distilled student better than ridge?", distilled, ridge, "superior"),
        Question("is the student by itself better than ridge?", alone, ridge, "superior"),
        Question("is the distilled student better than ridge, if ridge teaches it as well?", guided, ridge, "superior"),
        Question("does ridge help as a second teacher?", guided, distilled, "superior"),
    )


def _in_world(world: str, question: Question) -> Question:
    """The linear world is the control: nobody should win there."""
    if world != "linear":
        return question.about(world, headline=world == MAIN)
    against_ridge = question.reference.name == "ridge"
    expected: Expected = "no difference" if against_ridge else "either"
    return replace(question, expected=expected).about(world, headline=against_ridge)
