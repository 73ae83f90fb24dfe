from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import pearsonr
from sklearn.metrics import r2_score

from edgebci.comparison import circular_block_sums
from edgebci.metrics import frame_terms, pearson_r, r2, r2_of_sums


def traces(seed: int, offset: float) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    truth = random.normal(size=(200, 2)) + offset
    return truth, truth + random.normal(size=(200, 2))


def test_perfect_is_one_mean_is_zero_and_reversed_is_negative() -> None:
    truth, _ = traces(0, 0.0)
    assert np.allclose(r2(truth, truth), 1.0)
    assert np.allclose(r2(truth, np.broadcast_to(truth.mean(axis=0), truth.shape)), 0.0)
    assert np.all(r2(truth, -truth) < -1.0)


def test_a_constant_truth_has_no_r2() -> None:
    _, prediction = traces(0, 0.0)
    assert np.isnan(r2(np.ones((200, 2)), prediction)).all()


@given(st.integers(0, 1000), st.sampled_from([0.0, 1e3, -1e6]))
def test_agrees_with_scikit_learn_and_scipy_whatever_the_offset(seed: int, offset: float) -> None:
    truth, prediction = traces(seed, offset)
    # An offset of 1e6 leaves about ten digits of the unit signal in float64.
    assert np.allclose(r2(truth, prediction), r2_score(truth, prediction, multioutput="raw_values"), atol=1e-8)
    expected = [pearsonr(truth[:, i], prediction[:, i]).statistic for i in range(2)]
    assert np.allclose(pearson_r(truth, prediction), expected, atol=1e-8)


def test_blocks_drawn_from_rest_alone_have_no_r2_though_their_sums_lost_digits() -> None:
    random = np.random.default_rng(0)
    truth = 10 * random.normal(size=(4000, 2))
    truth[2000:] = 0.0
    block_sums = circular_block_sums(frame_terms(truth, truth + random.normal(size=truth.shape))[None], 250)[0]
    assert np.isnan(r2_of_sums(block_sums[2000:3750], 250)).all()
    assert np.isfinite(r2_of_sums(block_sums[:2000], 250)).all()
