"""How far back ridge looks: chosen like its penalty, within the training intervals.

Every lag adds features to fit. On minutes of labels a long window costs more by what it overfits than it gains by what
it sees: on synthetic sessions of ten minutes, twelve lags of 128 features lost 0.05 in R² to three of them. A baseline
with a window that somebody set would make every decoder beside it look better than it is.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgebci.decoding_data import DecodingData
from edgebci.training.recipe import RidgeRecipe, TrainingRecipe
from edgebci.training.ridge import RidgeDecoder, cross_fit, fit_ridge

_STEP = np.sqrt(2.0)
WIDEST = 128
"""Features that the choice looks at: of wider frames their principal directions, or it would take minutes."""


def fit_baseline(data: DecodingData, recipe: RidgeRecipe) -> RidgeDecoder:
    """Ridge with the lags and the penalty that decode training frames best which they were not fitted to.

    Raises:
        InputError: too few training frames for the folds, the longest window and the gap.
    """
    return fit_ridge(data, choose_lags(data, recipe))


def choose_lags(data: DecodingData, recipe: RidgeRecipe) -> RidgeRecipe:
    """The recipe with the number of lags that cross-fits best; `recipe.lags` is the most that is tried.

    Of detection the recipe as it is: squared errors of rare events do not rank alarms.

    Raises:
        InputError: as `fit_baseline`.
    """
    if data.task == "detection":
        return recipe
    tried = [recipe.model_copy(update={"lags": lags}) for lags in lags_to_try(recipe.lags)]
    seen = narrowed(data)
    return min(tried, key=lambda one: _error(seen, one))


def with_chosen_lags(data: DecodingData, recipe: TrainingRecipe) -> TrainingRecipe:
    """The same training; where ridge is a second teacher of the student, with the lags that `choose_lags` finds."""
    if not recipe.student.ridge_weight:
        return recipe
    return recipe.model_copy(update={"ridge": choose_lags(data, recipe.ridge)})


def lags_to_try(most: int) -> tuple[int, ...]:
    """From the most down to one, each about 0.7 of the one before."""
    steps = range(2 * most.bit_length() + 1)
    return tuple(sorted({max(1, round(most / _STEP**k)) for k in steps}, reverse=True))


def narrowed(data: DecodingData) -> DecodingData:
    """The same data with frames of at most `WIDEST` features, those in which training frames vary most."""
    if data.frames.shape[1] <= WIDEST:
        return data
    _, directions = np.linalg.eigh(np.cov(data.frames[data.rows("train")], rowvar=False))
    frames = data.frames @ directions[:, -WIDEST:].astype(np.float32)
    return replace(data, frames=frames, feature_channels=None)


def _error(data: DecodingData, recipe: RidgeRecipe) -> float:
    """Squared error on training frames that the fit had not seen, axes weighted by their variance."""
    rows = data.rows("train")
    targets = data.targets[rows]
    missed = (cross_fit(data, recipe).decoded[rows] - targets) / targets.std(axis=0)
    return float(np.square(missed).mean())
