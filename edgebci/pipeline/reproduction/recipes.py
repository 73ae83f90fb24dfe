"""The recipe of a reproduction: the published one, or a small one that shows in minutes that everything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgebci.pipeline.reproduction.frames import Preprocessing

if TYPE_CHECKING:
    from edgebci.training.realm.recipe import RealmRecipe
    from edgebci.training.realm.spec import EncoderSpec

QUICK_EPOCHS = 3


def published_recipe(preprocessing: Preprocessing) -> RealmRecipe:
    """Sizes and stages as published; needs a GPU."""
    from edgebci.training.realm.recipe import RealmRecipe

    return on_frames(RealmRecipe(), preprocessing)


def is_published(recipe: RealmRecipe, preprocessing: Preprocessing) -> bool:
    """Whether a recipe is the published one; seeds are the protocol's, and threads change the last bits only."""
    published = published_recipe(preprocessing)
    return recipe.model_copy(update={"seed": published.seed, "threads": published.threads}) == published


def quick_recipe(preprocessing: Preprocessing) -> RealmRecipe:
    """The edge sizes, for a few epochs."""
    from edgebci.training.realm import recipe as realm
    from edgebci.training.realm.spec import EDGE, EDGE_BI
    from edgebci.training.recipe import Optimiser

    def brief(learning_rate: float, batch_windows: int) -> Optimiser:
        return Optimiser(
            learning_rate=learning_rate,
            warm_up_epochs=1,
            average_decay=0.0,
            epochs=QUICK_EPOCHS,
            batch_windows=batch_windows,
            window_frames=500,
        )

    small = realm.RealmRecipe(
        time_constants_s=(0.02, 4.0),
        teacher=EDGE_BI,
        student=EDGE,
        pretraining=realm.PretrainingRecipe(predictor_hidden=128, optimiser=brief(2e-3, 8)),
        distillation=realm.DistillationRecipe(optimiser=brief(2e-3, 8)),
        fine_tuning=realm.FineTuningRecipe(optimiser=brief(1e-3, 8)),
    )
    return on_frames(small, preprocessing)


def on_frames(recipe: RealmRecipe, preprocessing: Preprocessing) -> RealmRecipe:
    """The recipe for frames of this kind; on the papers' frames attention averages as published too.

    The mark goes into every encoder's file: the exporter refuses what was trained on zero-phase frames.
    """

    def marked(spec: EncoderSpec) -> EncoderSpec:
        return spec.as_published() if preprocessing == "paper" else spec.model_copy(update={"preprocessing": "causal"})

    return recipe.model_copy(update={"teacher": marked(recipe.teacher), "student": marked(recipe.student)})
