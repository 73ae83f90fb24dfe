"""How large a study is: `quick` shows in minutes that everything runs, `full` is what a verdict rests on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from pydantic import Field

from edgebci.documents import Document
from edgebci.hierarchical import FEWEST_SUBJECTS
from edgebci.pipeline.studies.cohort import CohortSpec
from edgebci.synthetic.specification import SyntheticSpec
from edgebci.training.recipe import Optimiser, StudentRecipe, TeacherRecipe, TrainingRecipe

Asked = TypeVar("Asked")

THREADS = 1
"""Of every training: a second process on the same folder does more than a second thread."""
LATER_SESSION = 11
"""Number of the long session of a subject; no study uses so many others."""


class StudySize(Document):
    """Subjects, sessions and seeds, and how long a session and a training are."""

    name: str
    subjects: int = Field(gt=0)
    held_out_sessions: int = Field(gt=0)
    seeds: tuple[int, ...]
    control_seeds: tuple[int, ...]
    """Of the worlds beside the one that a claim is about, and of few labels."""
    control_sessions: int = Field(gt=0)
    """Held out in those worlds."""
    duration_s: float
    n_channels: int
    teacher_epochs: int
    student_epochs: int
    label_minutes: tuple[float, ...]
    """Of training labels, where they are few."""
    labelled_s: float
    """Length of the sessions of which so many labels are taken: the training part must hold the most."""
    longest_rest_s: float = 0.0
    """Short sessions need short rests, or nothing moves in a part; 0 leaves the generator's."""

    def cohort(self, **generator: object) -> CohortSpec:
        """Subjects of this size; `generator` changes the generator's constants."""
        sizes: dict[str, object] = {"duration_s": self.duration_s, "n_channels": self.n_channels}
        if self.longest_rest_s:
            sizes["behavior"] = {"work_s": (20.0, 40.0), "rest_s": (5.0, self.longest_rest_s)}
        return CohortSpec(
            subjects=self.subjects,
            pretraining_sessions=0,
            held_out_sessions=self.held_out_sessions,
            generator=SyntheticSpec.model_validate({**sizes, **generator}),
        )

    def control(self) -> StudySize:
        """The same for a world beside that of a claim: fewer sessions and seeds."""
        return self.model_copy(update={"held_out_sessions": self.control_sessions, "seeds": self.control_seeds})

    def asked_of(self, all_of_them: Sequence[Asked]) -> Sequence[Asked]:
        """All of them, or the first alone where too few subjects support no verdict, to show that the rest runs."""
        return all_of_them if self.subjects >= FEWEST_SUBJECTS else all_of_them[:1]

    def labelled_cohort(self) -> CohortSpec:
        """One long session of every subject, later than all others."""
        spec = self.cohort(duration_s=self.labelled_s)
        return spec.model_copy(update={"held_out_sessions": 1, "first_session": LATER_SESSION})

    def recipe(self, **student: float) -> TrainingRecipe:
        """Training of this length; `student` sets the weights of the student's losses, the others being 0."""
        weights = dict.fromkeys(("alignment_weight", "task_weight", "ridge_weight", "reconstruction_weight"), 0.0)
        return TrainingRecipe(
            threads=THREADS,
            teacher=TeacherRecipe(optimiser=Optimiser(learning_rate=2e-3, epochs=self.teacher_epochs)),
            student=StudentRecipe(
                optimiser=Optimiser(learning_rate=2e-3, epochs=self.student_epochs),
                patience_epochs=max(self.student_epochs // 3, 1),
                **(weights | student),
            ),
        )


QUICK = StudySize(
    name="quick",
    subjects=2,
    held_out_sessions=1,
    seeds=(1,),
    control_seeds=(1,),
    control_sessions=1,
    duration_s=150.0,
    n_channels=8,
    teacher_epochs=2,
    student_epochs=4,
    label_minutes=(1.0,),
    labelled_s=150.0,
    longest_rest_s=10.0,
)
FULL = StudySize(
    name="full",
    subjects=6,
    held_out_sessions=3,
    seeds=(1, 2, 3, 4, 5),
    control_seeds=(1, 2),
    control_sessions=1,
    duration_s=600.0,
    n_channels=32,
    teacher_epochs=15,
    student_epochs=30,
    label_minutes=(1.0, 2.0, 5.0, 10.0),
    labelled_s=1200.0,
)
