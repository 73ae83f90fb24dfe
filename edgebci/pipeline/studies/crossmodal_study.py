"""Is a student that spikes have taught better than one that saw LFP alone, on sessions of LFP that neither has met?

For each subject a spike teacher and students learn from the first sessions, without labels; on held-out sessions every
student is frozen and read out by ridge. All students have the same network, data and labels, and as many updates until
validation stops them. Controls: spikes turned round in time and spikes of another session, both with the control seeds
alone; other worlds and the rat are studies of their own. Ridge beside them sees the decoded session alone; supervised
students have had labels of the first sessions too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgebci.pipeline.studies.asking import Question, ask
from edgebci.pipeline.studies.cohort import Cohort, obtain_cohort
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
    TAUGHT_BY_COSINE,
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

NAME = "crossmodal"
TAUGHT_SESSIONS = 2
MAIN = "rho 0.5"
"""World of the claim; `rho` is what latents of spikes and of LFP share beyond behaviour."""
BURN_IN_FRAMES, UNITS_PER_PATCH, PATIENCE_EPOCHS = 25, 128, 8
LOCALITY_FRAMES = (2.0, 4.0, 8.0, 16.0)
"""40 to 320 ms: where, on tuning seeds, smoothed counts say most about movement."""


def run(size: StudySize, root: Path, progress: Progress) -> tuple[Row, ...]:
    """What the paper claims, and the controls; `root/alignment.svg` shows how alike the views of spikes and LFP are."""
    cohort, family = world(MAIN, {"latents": {"rho": 0.5}}, size, root, part(progress, 0.0, 0.7))
    asked = [*claims(family, size, "superior", "superior"), *without_labels(family, size)]
    grid = Grid(root / MAIN / "trials", size.seeds, part(progress, 0.7, 1.0))
    write_alignment(family, (TAUGHT, ALONE), cohort.held_out, size.seeds[0], root)
    rows = [ask(NAME, grid, cohort.held_out, question.about(MAIN, True)) for question in asked]
    family.train((TAUGHT_BY_COSINE, SHIFTED, SHIFTED_WITH_LABELS, EXCHANGED), size.control_seeds)
    few = replace(grid, seeds=size.control_seeds)
    return (*rows, *(ask(NAME, few, cohort.held_out, question.about(MAIN, True)) for question in controls(family)))


def world(
    name: str, generator: Mapping[str, object], size: StudySize, root: Path, progress: Progress
) -> tuple[Cohort, Family]:
    """Subjects of a world, and what has learned from each one's first sessions."""
    spec = size.cohort(**generator).model_copy(update={"pretraining_sessions": TAUGHT_SESSIONS})
    cohort = obtain_cohort(spec, root / name / "sessions", part(progress, 0.0, 0.3))
    family = families(cohort, size, root / name / "models", part(progress, 0.3, 1.0))
    # First of all, so that no trial's time holds the training of a model.
    family.train((TAUGHT, ALONE, TAUGHT_WITH_LABELS, ALONE_WITH_LABELS), size.seeds)
    return cohort, family


def recipe_for(size: StudySize) -> CrossModalRecipe:
    """Sizes for two cores, trained for as long as the study's size says."""
    from edgebci.training.crossmodal import recipe, spec

    transformer = spec.TransformerSpec(d_model=128, n_layers=2, n_heads=4, mlp_ratio=2, locality_frames=LOCALITY_FRAMES)

    def trained(epochs: int, **batch: int) -> Optimiser:
        return Optimiser.model_validate({"learning_rate": 2e-3, "warm_up_epochs": 2, "epochs": epochs, **batch})

    # Attention over long windows is dear, and small batches taught more in as long; the student is a scan.
    at_spikes = trained(size.teacher_epochs, batch_windows=4, window_frames=128)

    return recipe.CrossModalRecipe(
        schema="edgebci.crossmodal/1",
        threads=1,
        teacher=recipe.TeacherRecipe(
            encoder=spec.EncoderSpec(
                tokens=spec.TokenSpec(kind="spikes", patch=UNITS_PER_PATCH), transformer=transformer
            ),
            predictor=transformer.model_copy(update={"n_layers": 1}),
            rate_width=64,
            optimiser=at_spikes,
            fine_tuning=at_spikes,
        ),
        student=recipe.StudentRecipe(
            body=recipe.CausalBody(),
            standardise_teacher=True,
            alignment="squared",
            augmentation=Augmentation(channel_dropout=0.15, gain_spread=0.15, noise_sd=0.5),
            burn_in_frames=BURN_IN_FRAMES,
            patience_epochs=PATIENCE_EPOCHS,
            optimiser=trained(size.student_epochs, batch_windows=8, window_frames=256),
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


def without_labels(family: Family, size: StudySize) -> list[Question]:
    """What is decoded with no label of the session, not even for a readout; ridge has them."""
    taught, alone, supervised = (unlabelled_way(family, kind) for kind in (TAUGHT, ALONE, TAUGHT_WITH_LABELS))
    return [
        Question("is it better than LFP only, with no label of the session?", taught, alone, "superior"),
        Question(
            "is it better than ridge, with labels of earlier sessions and none of this one?",
            supervised,
            ridge_way(size.recipe()),
            "superior",
        ),
    ]


def controls(family: Family) -> list[Question]:
    """The gain must come from pairs of spikes and LFP; and what it owes to the measure of alignment."""
    taught, alone = fitted_way(family, TAUGHT), fitted_way(family, ALONE)
    by_cosine = fitted_way(family, TAUGHT_BY_COSINE)
    return [
        Question("is squared error a better lesson than the cosine, which is published?", taught, by_cosine, "either"),
        Question("is a student that the cosine taught better than LFP only?", by_cosine, alone, "superior"),
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
