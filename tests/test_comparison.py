from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from edgebci import comparison
from edgebci.comparison import Verdict, block_frames, compare, power, score

RATE_HZ = 10.0


def smooth(random: np.random.Generator, seconds: float, constant_s: float, axes: int = 2) -> np.ndarray:
    a = np.exp(-1 / (constant_s * RATE_HZ))
    noise = random.normal(size=(int(seconds * RATE_HZ), axes))
    return np.asarray(lfilter([np.sqrt(1 - a * a)], [1, -a], noise, axis=0))


@pytest.fixture(autouse=True)
def few_replicates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "REPLICATES", 400)


def decoders(seed: int, extra: float, seconds: float = 400) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth, a reference, and a candidate with `extra` more (or less) error amplitude."""
    random = np.random.default_rng(seed)
    truth = smooth(random, seconds, 0.5)
    error = smooth(random, seconds, 0.3)
    return truth, truth + 0.7 * error, truth + (0.7 + extra) * error


def test_equal_decoders_are_non_inferior_with_a_difference_of_exactly_zero() -> None:
    truth, reference, _ = decoders(1, 0.0)
    result = compare(truth, [reference], reference, RATE_HZ, margin=0.01)
    assert result.difference.value == result.difference.low == result.difference.high == 0.0
    assert result.verdict is Verdict.NON_INFERIOR


def test_a_smaller_error_is_superior_and_a_larger_one_inferior() -> None:
    truth, reference, better = decoders(2, -0.1)
    assert compare(truth, [better], reference, RATE_HZ, 0.01).verdict is Verdict.SUPERIOR
    assert compare(truth, [reference], better, RATE_HZ, 0.01).verdict is Verdict.INFERIOR


def test_a_short_recording_cannot_tell() -> None:
    truth, reference, better = decoders(3, -0.1, seconds=100)
    result = compare(truth, [better], reference, RATE_HZ, 0.01)
    assert result.verdict is Verdict.CANNOT_TELL
    assert "needs 30" in result.reason


def test_disagreeing_seeds_widen_the_interval() -> None:
    truth, reference, better = decoders(4, -0.1)
    worse = truth + 0.8 * (reference - truth) / 0.7
    alone = compare(truth, [better, better], reference, RATE_HZ, 0.02)
    mixed = compare(truth, [better, worse], reference, RATE_HZ, 0.02)
    assert mixed.standard_error > 2 * alone.standard_error
    assert mixed.n_seeds == 2


def test_slow_drift_lengthens_the_blocks() -> None:
    random = np.random.default_rng(5)
    fast = smooth(random, 1000, 0.1, 1)[:, 0]
    slow = smooth(random, 1000, 30.0, 1)[:, 0]
    assert block_frames(fast, RATE_HZ) == 5 * RATE_HZ
    assert block_frames(slow, RATE_HZ) > 10 * RATE_HZ


def test_interval_covers_the_true_r2_about_as_often_as_it_says() -> None:
    # The truth: error variance 0.49 of signal variance 1. 40 draws at 95 % miss 2 on average; 8 or more
    # misses have probability below 0.1 % if coverage is 95 %, below 5 % if it is 90 %.
    misses = 0
    for seed in range(40):
        truth, reference, _ = decoders(100 + seed, 0.0, seconds=300)
        interval = score(truth, reference, RATE_HZ, seed=seed).r2_mean
        misses += not interval.low <= 0.51 <= interval.high
    assert misses < 8


def test_score_reports_each_axis_within_its_interval() -> None:
    truth, reference, _ = decoders(6, 0.0)
    result = score(truth, reference, RATE_HZ)
    assert len(result.r2) == len(result.pearson_r) == 2
    assert all(i.low <= i.value <= i.high for i in (*result.r2, *result.pearson_r, result.r2_mean))
    assert result.n_blocks == 80


def test_power_grows_with_the_margin_and_is_certain_without_error() -> None:
    assert power(0.02, 0.005) > 0.97  # margin of four standard errors: Phi(4 - 1.96)
    assert power(0.0, 0.005) == pytest.approx(0.025)
    assert power(0.01, 0.0) == 1.0
