"""How far back ridge looks is chosen within the training part, so that the baseline is not weak by a setting."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from edgebci.decoding_data import DecodingData
from edgebci.training.recipe import RidgeRecipe, StudentRecipe, TrainingRecipe
from edgebci.training.ridge_lags import WIDEST, choose_lags, fit_baseline, lags_to_try, narrowed, with_chosen_lags

RECIPE = RidgeRecipe(lags=8, lag_s=0.02, gap_s=0.5)


def lagged_data(oldest: int, n_features: int = 20, count: int = 900) -> DecodingData:
    """One target: the sum of the first feature at each age from 0 to `oldest` frames, and noise of half its size."""
    rng = np.random.default_rng(oldest)
    frames = rng.standard_normal((count, n_features), dtype=np.float32)
    target = sum(np.roll(frames[:, 0], age) for age in range(oldest + 1)) / np.sqrt(oldest + 1)
    target = target + 0.5 * rng.standard_normal(count)
    return DecodingData(
        frames=frames,
        targets=target[:, None].astype(np.float32),
        valid=np.arange(count) >= 20,
        times_s=np.arange(count) / 50.0,
        train=((0, 600),),
        validation=((640, 720),),
        test=((750, 900),),
        target_names=("v",),
        target_unit="cm/s",
    )


@pytest.mark.parametrize(("oldest", "lags"), [(0, 1), (2, 3), (7, 8)])
def test_as_many_lags_are_taken_as_say_something(oldest: int, lags: int) -> None:
    assert choose_lags(lagged_data(oldest), RECIPE).lags == lags
    assert len(fit_baseline(lagged_data(oldest), RECIPE).weight) == lags


def test_frames_outside_of_training_have_no_say() -> None:
    data = lagged_data(2)
    targets = data.targets.copy()
    targets[620:] = 1e3 * np.random.default_rng(0).standard_normal(targets[620:].shape)
    assert choose_lags(replace(data, targets=targets), RECIPE) == choose_lags(data, RECIPE)


@pytest.mark.parametrize("most", [1, 2, 3, 7, 12, 40])
def test_what_is_tried_goes_from_the_most_down_to_one(most: int) -> None:
    tried = lags_to_try(most)
    assert tried[0] == most
    assert tried[-1] == 1
    assert all(2 * below >= above > below for above, below in itertools.pairwise(tried))


def test_wide_frames_are_narrowed_to_where_training_frames_vary_most_for_the_choice_alone() -> None:
    data = lagged_data(2)
    loud = np.tile(data.frames, (1, 8)) * np.float32(3)
    faint = 1e-3 * np.random.default_rng(1).standard_normal((len(loud), 40), dtype=np.float32)
    wide = replace(data, frames=np.hstack([loud, faint]))
    assert narrowed(data) is data
    assert narrowed(wide).frames.shape[1] == WIDEST < wide.frames.shape[1]
    kept = np.linalg.matrix_rank(narrowed(wide).frames[:600], tol=1.0)
    assert kept == data.frames.shape[1], "all that varies is still there"
    assert choose_lags(wide, RECIPE).lags == 3
    assert fit_baseline(wide, RECIPE).weight.shape[1] == wide.frames.shape[1]


def test_a_student_learns_from_the_ridge_with_the_chosen_lags_or_from_none() -> None:
    data, training = lagged_data(2), TrainingRecipe(ridge=RECIPE)
    without = training.model_copy(update={"student": StudentRecipe(ridge_weight=0.0)})
    guided = training.model_copy(update={"student": StudentRecipe(ridge_weight=1.0)})
    assert with_chosen_lags(data, without) is without
    assert with_chosen_lags(data, guided).ridge.lags == 3
