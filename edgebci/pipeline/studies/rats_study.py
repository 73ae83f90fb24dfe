"""The claims on two rats: each recording by itself, so what is found says nothing of other animals.

Encoders learn, without labels, from the training part of the very recording that is then decoded.
"""

from __future__ import annotations

from pathlib import Path

from edgebci.hierarchical import THIS_RECORDING
from edgebci.pipeline.studies import distillation_study, realm_study
from edgebci.pipeline.studies.asking import ask
from edgebci.pipeline.studies.rats import RATS, Rat, obtain_rat
from edgebci.pipeline.studies.size import StudySize
from edgebci.pipeline.studies.table import Row
from edgebci.pipeline.studies.trial import Grid
from edgebci.pipeline.systems.realm import RANDOM, STUDENT, TEACHER, UNTAUGHT, Encoders
from edgebci.progress import Progress, part
from edgebci.session import Session

NAME, TARGET = "rats", "speed"


def run(size: StudySize, root: Path, progress: Progress) -> tuple[Row, ...]:
    """All questions of the rats whose recordings are there; a size that supports no verdict tries the first of one."""
    found = size.asked_of([rat for rat in RATS if rat.path.is_file()])
    rows: list[Row] = []
    for i, rat in enumerate(found):
        rows += _of(rat, size, root / rat.name, part(progress, i / len(found), (i + 1) / len(found)))
    return tuple(rows)


def _of(rat: Rat, size: StudySize, root: Path, progress: Progress) -> list[Row]:
    session = obtain_rat(rat, TARGET, root / "sessions", part(progress, 0.0, 0.05))
    grid = Grid(root / "trials", size.seeds, part(progress, 0.4, 1.0))
    encoders = _encoders(session, size, root / "encoders", part(progress, 0.05, 0.4))
    asked = [
        *size.asked_of(distillation_study.questions(size)),
        *size.asked_of(realm_study.questions(encoders, size)),
    ]
    whole = [ask(NAME, grid, [session], question.about(rat.name), THIS_RECORDING) for question in asked]
    few = realm_study.few_labels(NAME, encoders, [session], grid, size, THIS_RECORDING)
    named = [row.model_copy(update={"question": f"{row.question} ({rat.name})", "headline": False}) for row in few]
    return [*whole, *named]


def _encoders(session: Session, size: StudySize, root: Path, progress: Progress) -> Encoders:
    encoders = Encoders((session,), realm_study.recipe_for(size, session), root, progress)
    encoders.train((TEACHER, STUDENT, UNTAUGHT, RANDOM), size.seeds)
    return encoders
