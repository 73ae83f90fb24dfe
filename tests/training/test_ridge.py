"""The baseline is ridge regression on past frames, and its penalty never sees what it is judged on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from edgebci.decoding_data import DecodingData
from edgebci.errors import InputError
from edgebci.metrics import r2
from edgebci.training.recipe import RidgeRecipe
from edgebci.training.ridge import cross_fit, fit_ridge

RECIPE = RidgeRecipe(lags=4, lag_s=0.1, gap_s=0.5)


def make_data(seed: int = 0, count: int = 1500, n_features: int = 3) -> DecodingData:
    """Two targets that are linear in this frame and the one 0.2 s ago, plus noise."""
    rng = np.random.default_rng(seed)
    frames = rng.standard_normal((count, n_features), dtype=np.float32)
    past = np.vstack([np.zeros((10, n_features), dtype=np.float32), frames[:-10]])
    noise = rng.standard_normal((count, 2), dtype=np.float32)
    targets = np.stack([frames[:, 0] - past[:, 1], past[:, 2]], axis=1) + 0.5 * noise + 3
    return DecodingData(
        frames=frames,
        targets=targets.astype(np.float32),
        valid=np.arange(count) >= 20,
        times_s=np.arange(count) / 50.0,
        train=((0, 600), (1100, 1500)),
        validation=((650, 800),),
        test=((850, 1050),),
        target_names=("vx", "vy"),
        target_unit="cm/s",
    )


def test_it_finds_the_lags_that_matter() -> None:
    data = make_data()
    decoder = fit_ridge(data, RECIPE)
    expected = np.zeros((4, 3, 2))
    expected[0, 0, 0], expected[2, 1, 0], expected[2, 2, 1] = 1, -1, 1
    np.testing.assert_allclose(decoder.weight, expected, atol=0.1)  # noise sd 0.5 / sqrt(970 frames), 6 sd
    np.testing.assert_allclose(decoder.bias, 3, atol=0.1)
    assert decoder.lag_window_s == pytest.approx(0.3)


def test_the_fit_is_that_of_scikit_learn() -> None:
    data = make_data()
    data.valid[[300, 301, 310]] = False  # so that the rows have holes, some of them less than a lag apart
    decoder = fit_ridge(data, RECIPE.model_copy(update={"lambdas": (0.3,)}))
    rows = np.r_[20:300, 302:310, 311:600, 1115:1500]
    x = np.concatenate([data.frames[rows - age] for age in (0, 5, 10, 15)], axis=1)
    reference = Ridge(alpha=0.3 * len(rows)).fit(x.astype(np.float64), data.targets[rows])
    np.testing.assert_allclose(decoder.weight.reshape(12, 2), reference.coef_.T, atol=1e-6)  # float32 weights
    np.testing.assert_allclose(decoder.bias, reference.intercept_, atol=1e-6)


@pytest.mark.parametrize("n_features", [3, 160])
def test_cross_fitting_is_that_of_scikit_learn_in_its_primal_and_dual_form(n_features: int) -> None:
    data = make_data(1, n_features=n_features)
    recipe = RidgeRecipe(lags=2, lambdas=(0.1, 1.0), folds=3, gap_s=0.5)
    fitted = cross_fit(data, recipe)
    rows = np.r_[20:600, 1105:1500]  # valid, with one lag of 5 frames inside the same interval
    start, stop = rows[len(rows) // 3], rows[2 * len(rows) // 3]
    others = rows[(rows < start - 25) | (rows - 5 >= stop + 25)][::5]

    def lagged(r: np.ndarray[tuple[int], np.dtype[np.int64]]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
        return np.hstack([data.frames[r], data.frames[r - 5]]).astype(np.float64)

    model = Ridge(alpha=fitted.penalty * len(others)).fit(lagged(others), data.targets[others])
    held_out = rows[(rows >= start) & (rows < stop)]
    np.testing.assert_allclose(fitted.decoded[held_out], model.predict(lagged(held_out)), atol=1e-4)  # float32
    assert not fitted.decoded[600:1100].any()


def test_cross_fitted_values_are_not_those_of_the_frame_s_own_fit() -> None:
    data, rng = make_data(), np.random.default_rng(5)
    noise = replace(data, targets=rng.standard_normal((1500, 2), dtype=np.float32))
    recipe = RECIPE.model_copy(update={"lambdas": (1e-6,), "lags": 10})
    rows, truth = data.rows("train")[100:], noise.targets[data.rows("train")[100:]].astype(np.float64)
    own = r2(truth, fit_ridge(noise, recipe).predict(noise)[rows].astype(np.float64))
    crossed = r2(truth, cross_fit(noise, recipe).decoded[rows].astype(np.float64))
    assert own.min() > 0.01, "30 weights fit some of the noise"
    assert crossed.max() < 0, "and what they fit is not there in other frames"


def test_it_is_causal_and_stream_equals_batch() -> None:
    data = make_data()
    decoder = fit_ridge(data, RECIPE)
    changed = data.frames.copy()
    changed[700:] += 10
    before, after = decoder.predict(data), decoder.predict(replace(data, frames=changed))
    np.testing.assert_array_equal(before[:700], after[:700])
    assert (before[700:] != after[700:]).any()


def test_a_reset_forgets_the_past() -> None:
    data = make_data()
    decoder = fit_ridge(data, RECIPE)
    reset = decoder.predict(replace(data, reset_before=np.arange(1500) == 900))
    np.testing.assert_array_equal(reset[900:], decoder.predict_stream(data.frames[900:]))
    assert (reset[900:915] != decoder.predict(data)[900:915]).any()


def test_noise_in_validation_and_test_changes_nothing() -> None:
    data = make_data()
    frames, targets = data.frames.copy(), data.targets.copy()
    frames[600:1100] = targets[600:1100, :1] = 1e3
    ours, other = fit_ridge(data, RECIPE), fit_ridge(replace(data, frames=frames, targets=targets), RECIPE)
    np.testing.assert_array_equal(ours.weight, other.weight)
    assert ours.penalty == other.penalty


def test_a_stronger_penalty_is_chosen_where_there_is_nothing_to_learn() -> None:
    data, rng = make_data(), np.random.default_rng(5)
    noise = rng.standard_normal((1500, 2), dtype=np.float32)
    recipe = RECIPE.model_copy(update={"lambdas": (1e-4, 1e4)})
    decoder = fit_ridge(replace(data, targets=noise), recipe)
    assert decoder.penalty == 1e4
    assert fit_ridge(data, recipe).penalty == 1e-4
    assert np.abs(r2(noise.astype(np.float64), decoder.predict(data).astype(np.float64))).max() < 0.02


def test_too_little_data_for_the_folds_is_refused() -> None:
    with pytest.raises(InputError, match="too few for 5 folds"):
        fit_ridge(replace(make_data(), train=((0, 60),)), RECIPE)
