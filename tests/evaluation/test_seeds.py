"""Several seeds on either side of a comparison."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from edgebci.comparison import compare, score
from edgebci.metrics import F64, r2

RATE_HZ = 10.0


def smooth(random: np.random.Generator) -> F64:
    a = np.exp(-1 / (0.4 * RATE_HZ))
    return np.asarray(lfilter([np.sqrt(1 - a * a)], [1, -a], random.normal(size=(4000, 2)), axis=0))


@pytest.fixture
def truth_and_error() -> tuple[F64, F64]:
    random = np.random.default_rng(0)
    return smooth(random), smooth(random)


def test_the_difference_is_that_of_the_means_over_seeds(truth_and_error: tuple[F64, F64]) -> None:
    truth, error = truth_and_error
    ours, theirs = [truth + k * error for k in (0.5, 0.6)], [truth + k * error for k in (0.7, 0.8, 0.9)]
    wanted = np.mean([r2(truth, p) for p in ours]) - np.mean([r2(truth, p) for p in theirs])
    found = compare(truth, ours, theirs, RATE_HZ, margin=0.02)
    assert found.difference.value == pytest.approx(wanted)
    assert found.n_seeds == 2


def test_one_reference_in_a_list_is_the_reference_itself(truth_and_error: tuple[F64, F64]) -> None:
    truth, error = truth_and_error
    ours, reference = [truth + 0.5 * error, truth + 0.6 * error], truth + 0.7 * error
    assert compare(truth, ours, [reference], RATE_HZ, 0.02) == compare(truth, ours, reference, RATE_HZ, 0.02)


def test_references_that_disagree_widen_the_interval(truth_and_error: tuple[F64, F64]) -> None:
    truth, error = truth_and_error
    ours, agreeing, split = [truth + 0.5 * error], [truth + 0.7 * error] * 2, [truth + k * error for k in (0.6, 0.8)]
    narrow, wide = (compare(truth, ours, theirs, RATE_HZ, 0.02).standard_error for theirs in (agreeing, split))
    assert wide > 2 * narrow


def test_a_score_of_seeds_is_their_mean_and_their_spread_counts(truth_and_error: tuple[F64, F64]) -> None:
    truth, error = truth_and_error
    seeds = [truth + k * error for k in (0.4, 0.9)]
    together, alone = score(truth, seeds, RATE_HZ), score(truth, seeds[1], RATE_HZ)
    assert together.r2_mean.value == pytest.approx(np.mean([r2(truth, p) for p in seeds]))
    assert together.r2_mean.high - together.r2_mean.low > 2 * (alone.r2_mean.high - alone.r2_mean.low)
    assert score(truth, [seeds[1]], RATE_HZ) == alone
