"""REALM on sessions that neither teacher nor student has seen: what hindsight, fine-tuning and few labels are worth.

Teacher and student learn without labels from the first sessions of all subjects. On each held-out session the encoder
is left as it is, with a ridge readout (label-free), or fine-tuned; the rivals are ridge on the frames themselves,
the same encoder with random weights, and the same network trained from random weights for twice the epochs.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgebci.pipeline.studies.cohort import Cohort, obtain_cohort
from edgebci.pipeline.studies.size import StudySize
from edgebci.pipeline.studies.table import Expected, Row
from edgebci.pipeline.studies.trial import Grid, Way
from edgebci.pipeline.studies.ways import ridge_way
from edgebci.pipeline.systems.realm import (
    RANDOM,
    STUDENT,
    TEACHER,
    UNTAUGHT,
    Encoders,
    fine_tuned_way,
    label_free_way,
)
from edgebci.progress import Progress, part
from edgebci.session import Session
from edgebci.training.recipe import Optimiser

if TYPE_CHECKING:
    from edgebci.training.realm.recipe import RealmRecipe

NAME, MARGIN = "realm", 0.02
PRETRAINING_SESSIONS = 2
LABEL_MINUTES = (1.0, 2.0, 5.0)
TIME_CONSTANTS_S = (0.02, 4.0)


def run(size: StudySize, root: Path, progress: Progress) -> tuple[Row, ...]:
    """All questions; finished encoders and trials are kept in `root`."""
    spec = size.cohort().model_copy(update={"pretraining_sessions": PRETRAINING_SESSIONS})
    cohort = obtain_cohort(spec, root / "sessions", part(progress, 0.0, 0.1))
    recipe = recipe_for(size, cohort.held_out[0])
    encoders = Encoders(cohort.pretraining, recipe, root / "encoders", part(progress, 0.1, 0.5))
    # First of all, so that no trial's time holds the training of an encoder.
    encoders.train((TEACHER, STUDENT, UNTAUGHT, RANDOM), size.seeds)
    grid = Grid(root / "trials", size.seeds, part(progress, 0.5, 1.0))
    whole = [
        row(grid, cohort.held_out, question, candidate, reference, expected)
        for question, candidate, reference, expected in questions(encoders, size)
    ]
    return (*whole, *_few_labels(encoders, cohort, grid, size))


def questions(encoders: Encoders, size: StudySize) -> list[tuple[str, Way, Way, Expected]]:
    """Question, candidate, reference, and what the paper leads to expect."""
    free = functools.partial(label_free_way, encoders)
    ridge, tuned = ridge_way(size.recipe()), fine_tuned_way(encoders, STUDENT)
    return [
        ("does the teacher help, label-free?", free(STUDENT), free(UNTAUGHT), "superior"),
        ("is a trained encoder better than a random one?", free(STUDENT), free(RANDOM), "superior"),
        ("is label-free better than ridge?", free(STUDENT), ridge, "superior"),
        ("how far is the student from its teacher, which looks ahead?", free(STUDENT), free(TEACHER), "either"),
        ("is fine-tuning better than label-free?", tuned, free(STUDENT), "superior"),
        ("is fine-tuning better than training from scratch?", tuned, fine_tuned_way(encoders, RANDOM), "superior"),
        ("is fine-tuning better than ridge?", tuned, ridge, "superior"),
    ]


def _few_labels(encoders: Encoders, cohort: Cohort, grid: Grid, size: StudySize) -> list[Row]:
    rows = []
    tuned, scratch = fine_tuned_way(encoders, STUDENT), fine_tuned_way(encoders, RANDOM)
    free, ridge = label_free_way(encoders, STUDENT), ridge_way(size.recipe())
    for minutes in LABEL_MINUTES:
        sessions = [with_labels(session, minutes) for session in cohort.held_out]
        said = f"{minutes:g} min of labels"
        rows.append(row(grid, sessions, f"{said}: does fine-tuning pay?", tuned, scratch, "superior"))
        rows.append(row(grid, sessions, f"{said}: is label-free better than ridge?", free, ridge, "superior"))
    return rows


def row(
    grid: Grid, sessions: Sequence[Session], question: str, candidate: Way, reference: Way, expected: Expected
) -> Row:
    """Answer one question."""
    return Row(
        study=NAME,
        question=question,
        candidate=candidate.name,
        reference=reference.name,
        expected=expected,
        comparison=grid.compare(sessions, candidate, reference, MARGIN),
        candidate_seconds=grid.mean_seconds(sessions, candidate),
        reference_seconds=grid.mean_seconds(sessions, reference),
    )


def with_labels(session: Session, minutes: float) -> Session:
    """The same session, of whose training part only the first minutes are known; validation and test stay."""
    start, stop = session.data.train[0]
    end = min(stop, start + round(minutes * 60 * session.data.frame_rate_hz))
    data = replace(session.data, train=((start, end),))
    return replace(session, name=f"{session.name}_{minutes:g}min", data=data)


def recipe_for(size: StudySize, session: Session) -> RealmRecipe:
    """The edge sizes of REALM on frames of this width, trained for as long as the study's size says; no labels."""
    from edgebci.training.realm import recipe as realm
    from edgebci.training.realm.spec import EDGE, EDGE_BI

    frames = {"n_channels": session.data.frames.shape[1], "frame_rate_hz": session.data.frame_rate_hz}

    def trained(epochs: int, learning_rate: float) -> Optimiser:
        return Optimiser(learning_rate=learning_rate, warm_up_epochs=2, epochs=epochs)

    return realm.RealmRecipe(
        time_constants_s=TIME_CONSTANTS_S,
        teacher=EDGE_BI.model_copy(update=frames),
        student=EDGE.model_copy(update=frames),
        pretraining=realm.PretrainingRecipe(
            predictor_hidden=128, validation_sessions=0.0, optimiser=trained(size.teacher_epochs, 2e-3)
        ),
        distillation=realm.DistillationRecipe(validation_sessions=0.0, optimiser=trained(size.student_epochs, 2e-3)),
        fine_tuning=realm.FineTuningRecipe(optimiser=trained(size.student_epochs, 1e-3)),
    )
