"""REALM on sessions that neither teacher nor student has seen: what hindsight, fine-tuning and few labels are worth.

Teacher and student learn without labels from the first sessions of all subjects. On each held-out session the encoder
is left as it is, with a ridge readout (label-free), or fine-tuned; the rivals are ridge on the frames themselves,
the same encoder with random weights, and the same network trained from random weights for twice the epochs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from edgebci.hierarchical import FEWEST_SUBJECTS
from edgebci.pipeline.studies.asking import Question, ask
from edgebci.pipeline.studies.cohort import Cohort, obtain_cohort
from edgebci.pipeline.studies.size import THREADS, StudySize
from edgebci.pipeline.studies.table import Row
from edgebci.pipeline.studies.trial import Grid
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

NAME = "realm"
PRETRAINING_SESSIONS = 2
TIME_CONSTANTS_S = (0.02, 4.0)
MINUTES_OF_AN_EPOCH = 4
"""Fewer minutes of labels are passed as much more often."""
FULL_EPOCH_SESSIONS = 4
"""With more sessions to learn from, an encoder meets each of them less often: its updates stay about the same."""


def run(size: StudySize, root: Path, progress: Progress) -> tuple[Row, ...]:
    """All questions; finished encoders and trials are kept in `root`."""
    cohort, encoders = prepare(size, root, part(progress, 0.0, 0.5))
    grid = Grid(root / "trials", size.seeds, part(progress, 0.5, 1.0))
    whole = [ask(NAME, grid, cohort.held_out, question) for question in questions(encoders, size)]
    labelled = obtain_cohort(size.labelled_cohort(), root / "sessions", part(progress, 0.5, 0.55))
    return (*whole, *few_labels(NAME, encoders, labelled.held_out, grid, size))


def prepare(size: StudySize, root: Path, progress: Progress) -> tuple[Cohort, Encoders]:
    """Sessions, and the encoders of every seed: before any trial, so that no trial's time holds their training."""
    spec = size.cohort().model_copy(update={"pretraining_sessions": PRETRAINING_SESSIONS})
    cohort = obtain_cohort(spec, root / "sessions", part(progress, 0.0, 0.2))
    recipe = recipe_for(size, cohort.held_out[0], len(cohort.pretraining))
    encoders = Encoders(cohort.pretraining, recipe, root / "encoders", part(progress, 0.2, 1.0))
    encoders.train((TEACHER, STUDENT, UNTAUGHT, RANDOM), size.seeds)
    return cohort, encoders


def questions(encoders: Encoders, size: StudySize) -> list[Question]:
    """What the paper leads to expect of a whole session's labels."""
    free = partial(label_free_way, encoders)
    ridge, tuned = ridge_way(size.recipe()), fine_tuned_way(encoders, STUDENT)
    return [
        Question("does the teacher help, label-free?", free(STUDENT), free(UNTAUGHT), "superior"),
        Question("is a trained encoder better than a random one?", free(STUDENT), free(RANDOM), "superior"),
        Question("is label-free better than ridge?", free(STUDENT), ridge, "superior"),
        Question("how far is the student from its teacher, which looks ahead?", free(STUDENT), free(TEACHER), "either"),
        Question("is fine-tuning better than label-free?", tuned, free(STUDENT), "superior"),
        Question(
            "is fine-tuning better than training from scratch?", tuned, fine_tuned_way(encoders, RANDOM), "superior"
        ),
        Question("is fine-tuning better than ridge?", tuned, ridge, "superior"),
    ]


def few_labels(
    study: str,
    encoders: Encoders,
    held_out: Sequence[Session],
    grid: Grid,
    size: StudySize,
    fewest_subjects: int = FEWEST_SUBJECTS,
) -> list[Row]:
    """Where distillation pays: the first minutes of the labels alone."""
    free, ridge = label_free_way(encoders, STUDENT), ridge_way(size.recipe())
    few, rows = replace(grid, seeds=size.control_seeds), []
    for minutes in held_by(held_out[0], size.label_minutes):
        sessions, said = [with_labels(session, minutes) for session in held_out], f"{minutes:g} min of labels"
        times = max(round(MINUTES_OF_AN_EPOCH / minutes), 1)
        tuned, scratch = (fine_tuned_way(encoders, kind, times) for kind in (STUDENT, RANDOM))
        asked = (
            Question(f"{said}: does fine-tuning pay?", tuned, scratch, "superior"),
            Question(f"{said}: is label-free better than ridge?", free, ridge, "superior", headline=False),
        )
        rows += [ask(study, few, sessions, question, fewest_subjects) for question in asked]
    return rows


def held_by(session: Session, label_minutes: Sequence[float]) -> list[float]:
    """Those minutes of labels that the session's training part has, and more."""
    start, stop = session.data.train[0]
    return [minutes for minutes in label_minutes if minutes * 60 * session.data.frame_rate_hz <= stop - start]


def with_labels(session: Session, minutes: float) -> Session:
    """The same session, of whose training part only the first minutes are known; validation and test stay."""
    start, stop = session.data.train[0]
    end = min(stop, start + round(minutes * 60 * session.data.frame_rate_hz))
    data = replace(session.data, train=((start, end),))
    return replace(session, name=f"{session.name}_{minutes:g}min", data=data)


def recipe_for(size: StudySize, session: Session, n_sessions: int = 1) -> RealmRecipe:
    """The edge sizes of REALM on frames of this width, trained for as long as the study's size says; no labels.

    Args:
        size: of the study.
        session: one like all others.
        n_sessions: that encoders learn from.
    """
    from edgebci.training.realm import recipe as realm
    from edgebci.training.realm.spec import EDGE, EDGE_BI

    frames = {"n_channels": session.data.frames.shape[1], "frame_rate_hz": session.data.frame_rate_hz}

    def trained(epochs: float, learning_rate: float) -> Optimiser:
        return Optimiser(learning_rate=learning_rate, warm_up_epochs=2, epochs=max(round(epochs), 1))

    share = min(FULL_EPOCH_SESSIONS / n_sessions, 1.0)

    return realm.RealmRecipe(
        threads=THREADS,
        time_constants_s=TIME_CONSTANTS_S,
        teacher=EDGE_BI.model_copy(update=frames),
        student=EDGE.model_copy(update=frames),
        pretraining=realm.PretrainingRecipe(
            predictor_hidden=128, validation_sessions=0.0, optimiser=trained(share * size.teacher_epochs, 2e-3)
        ),
        distillation=realm.DistillationRecipe(
            validation_sessions=0.0, optimiser=trained(share * size.student_epochs, 2e-3)
        ),
        # The paper freezes the tokenizer. On tuning seeds that cost 0.03 in R², and most of the gain with few labels.
        fine_tuning=realm.FineTuningRecipe(freeze_tokenizer=False, optimiser=trained(size.student_epochs, 1e-3)),
    )
