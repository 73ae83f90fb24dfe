"""Is a student that spikes have taught better than one that saw LFP alone, on sessions of LFP that neither has met?

For each subject a spike teacher and students learn from the first sessions, without labels; on held-out sessions every
student is frozen and read out by ridge. All students have the same network, data, updates and labels. Controls: spikes
turned round in time, spikes of another session (both with the control seeds alone), and `rho`, what latents of spikes
and of LFP share beyond behaviour. Ridge beside them sees the decoded session alone; supervised students have had labels
of the first sessions too.

Where rho is 0, spikes and LFP still share behaviour. So a teacher can stand in for labels that a student lacks, and the
gain without labels need not vanish; with labels there is nothing left to teach, and it must.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgebci.hierarchical import THIS_RECORDING
from edgebci.pipeline.studies.asking import Question, ask
from edgebci.pipeline.studies.cohort import Cohort, obtain_cohort
from edgebci.pipeline.studies.rats import R1838, obtain_rat
from edgebci.pipeline.studies.size import StudySize
from edgebci.pipeline.studies.table import Expected, Row
from edgebci.pipeline.studies.trial import Grid
from edgebci.pipeline.studies.ways import ridge_way
from edgebci.pipeline.systems.alignment import write_alignment
from edgebci.pipeline.systems.crossmodal import (
    ALONE,
    ALONE_WITH_LABELS,
    EXCHANGED,
    SHIFTED,
    SHIFTED_WITH_LABELS,
    TAUGHT,
    TAUGHT_WITH_LABELS,
    Family,
    Models,
    fitted_way,
    spikes_way,
    unlabelled_way,
)
from edgebci.progress import Progress, part
from edgebci.training.recipe import Augmentation, Optimiser

if TYPE_CHECKING:
    from edgebci.training.crossmodal.recipe import CrossModalRecipe

NAME, RAT_TARGET = "crossmodal", "position"
PRETRAINING_SESSIONS = 2
MAIN = "rho 0.5"
WORLDS: dict[str, dict[str, object]] = {
    MAIN: {"latents": {"rho": 0.5}},
    "rho 0": {"latents": {"rho": 0.0}},
    "rho 0.9": {"latents": {"rho": 0.9}},
    "linear": {"linear": True},
}
WINDOW_FRAMES, BURN_IN_FRAMES, UNITS_PER_PATCH = 128, 25, 128
LOCALITY_FRAMES = (2.0, 4.0, 8.0, 16.0)
"""40 to 320 ms: where, on tuning seeds, smoothed counts say most about movement."""


def run(size: StudySize, root: Path, progress: Progress) -> tuple[Row, ...]:
    """All questions in all worlds, and of the rat with sorted units where its recording is here.

    A size with too few subjects for a verdict tries the first world alone. `root/alignment.svg` shows how alike the
    views of spikes and LFP are.
    """
    worlds = size.asked_of(tuple(WORLDS.items()))
    rows: list[Row] = []
    for i, (world, constants) in enumerate(worlds):
        share = part(progress, 0.9 * i / len(worlds), 0.9 * (i + 1) / len(worlds))
        here = size if world == MAIN else size.control()
        spec = here.cohort(duration_s=size.taught_s, **constants)
        spec = spec.model_copy(update={"pretraining_sessions": PRETRAINING_SESSIONS})
        cohort = obtain_cohort(spec, root / world / "sessions", part(share, 0.0, 0.2))
        rows += _in_world(world, cohort, here, root, part(share, 0.2, 1.0))
    return (*rows, *_rat(size, root, part(progress, 0.9, 1.0)))


def recipe_for(size: StudySize) -> CrossModalRecipe:
    """Sizes for two cores, trained for as long as the study's size says."""
    from edgebci.training.crossmodal import recipe, spec

    transformer = spec.TransformerSpec(d_model=128, n_layers=2, n_heads=4, mlp_ratio=2, locality_frames=LOCALITY_FRAMES)

    def trained(epochs: int) -> Optimiser:
        return Optimiser(
            learning_rate=2e-3, warm_up_epochs=2, epochs=epochs, batch_windows=4, window_frames=WINDOW_FRAMES
        )

    return recipe.CrossModalRecipe(
        schema="edgebci.crossmodal/1",
        threads=1,
        teacher=recipe.TeacherRecipe(
            encoder=spec.EncoderSpec(
                tokens=spec.TokenSpec(kind="spikes", patch=UNITS_PER_PATCH), transformer=transformer
            ),
            predictor=transformer.model_copy(update={"n_layers": 1}),
            rate_width=64,
            optimiser=trained(size.teacher_epochs),
            fine_tuning=trained(size.teacher_epochs),
        ),
        student=recipe.StudentRecipe(
            body=recipe.CausalBody(),
            standardise_teacher=True,
            augmentation=Augmentation(channel_dropout=0.15, gain_spread=0.15, noise_sd=0.5),
            burn_in_frames=BURN_IN_FRAMES,
            optimiser=trained(size.student_epochs),
        ),
    )


def families(cohort: Cohort, size: StudySize, root: Path, progress: Progress) -> Family:
    """Models of each subject, from its own first sessions."""
    recipe, subjects = recipe_for(size), sorted({session.subject for session in cohort.pretraining})
    return Family(
        tuple(
            Models(tuple(s for s in cohort.pretraining if s.subject == subject), recipe, root / subject, progress)
            for subject in subjects
        )
    )


def claims(family: Family, size: StudySize, with_labels: Expected, against_ridge: Expected) -> list[Question]:
    """What the paper claims, and ridge beside it."""
    taught, alone, ridge = fitted_way(family, TAUGHT), fitted_way(family, ALONE), ridge_way(size.recipe())
    supervised = [fitted_way(family, kind) for kind in (TAUGHT_WITH_LABELS, ALONE_WITH_LABELS)]
    return [
        Question("is a student that spikes taught better than LFP only?", taught, alone, "superior"),
        Question("is it better if both learn from labels?", supervised[0], supervised[1], with_labels),
        Question("is it better than ridge?", taught, ridge, against_ridge),
        Question("is it better than ridge, if it learns from labels?", supervised[0], ridge, against_ridge),
        Question("how far is it from its teacher, which sees spikes?", taught, spikes_way(family), "either"),
    ]


def without_labels(family: Family) -> Question:
    """The gain with no label of the decoded session, not even for a readout."""
    return Question(
        "is it better than LFP only, with no label of the session?",
        unlabelled_way(family, TAUGHT),
        unlabelled_way(family, ALONE),
        "superior",
    )


def controls(family: Family) -> list[Question]:
    """The gain must come from pairs of spikes and LFP."""
    taught, alone = fitted_way(family, TAUGHT), fitted_way(family, ALONE)
    return [
        Question("do spikes turned round in time teach less?", taught, fitted_way(family, SHIFTED), "superior"),
        Question(
            "do spikes turned round in time teach less, if both learn from labels?",
            fitted_way(family, TAUGHT_WITH_LABELS),
            fitted_way(family, SHIFTED_WITH_LABELS),
            "superior",
        ),
        Question("do spikes of another session teach less?", taught, fitted_way(family, EXCHANGED), "superior"),
        Question("do spikes turned round in time teach nothing?", fitted_way(family, SHIFTED), alone, "no gain"),
    ]


def _in_world(world: str, cohort: Cohort, size: StudySize, root: Path, progress: Progress) -> list[Row]:
    family = families(cohort, size, root / world / "models", part(progress, 0.0, 0.7))
    # First of all, so that no trial's time holds the training of a model.
    family.train((TAUGHT, ALONE, TAUGHT_WITH_LABELS, ALONE_WITH_LABELS), size.seeds)
    nothing_left: Expected = "no difference" if world == "rho 0" else "superior"
    asked = claims(family, size, nothing_left, "no difference" if world == "linear" else "superior")
    grid = Grid(root / world / "trials", size.seeds, part(progress, 0.7, 1.0))
    if world != MAIN:
        return _asked(world, grid, cohort, asked)
    write_alignment(family, (TAUGHT, ALONE), cohort.held_out, size.seeds[0], root)
    rows = _asked(world, grid, cohort, [*asked, without_labels(family)])
    family.train((SHIFTED, SHIFTED_WITH_LABELS, EXCHANGED), size.control_seeds)
    return [*rows, *_asked(world, replace(grid, seeds=size.control_seeds), cohort, controls(family))]


def _asked(world: str, grid: Grid, cohort: Cohort, questions: Sequence[Question]) -> list[Row]:
    return [ask(NAME, grid, cohort.held_out, question.about(world, world == MAIN)) for question in questions]


def _rat(size: StudySize, root: Path, progress: Progress) -> Sequence[Row]:
    """The rat with sorted units: one recording, whose training part teaches and whose test part is decoded."""
    if not R1838.path.is_file():
        return ()
    session = obtain_rat(R1838, RAT_TARGET, root / R1838.name / "sessions", part(progress, 0.0, 0.1))
    family = Family((Models((session,), recipe_for(size), root / R1838.name / "models", part(progress, 0.1, 0.8)),))
    grid = Grid(root / R1838.name / "trials", size.seeds, part(progress, 0.8, 1.0))
    taught, shifted = fitted_way(family, TAUGHT), fitted_way(family, SHIFTED)
    asked = [
        *claims(family, size, "superior", "superior"),
        Question("do spikes turned round in time teach less?", taught, shifted, "superior"),
    ]
    return [ask(NAME, grid, [session], question.about(R1838.name), THIS_RECORDING) for question in size.asked_of(asked)]
