"""The mathematics of the gate: closed forms against replicates, against arch, and against what is known in truth."""

from __future__ import annotations

import numpy as np
import pytest
from arch.bootstrap import optimal_block_length
from scipy.signal import lfilter

from edgebci.gating_limits import Growth, TimeLimits
from edgebci.gating_statistics import CELL_S, auroc_losses, block_cells, cell_sums, holm, r2_losses
from edgebci.metrics import F64, r2

RATE_HZ = 50.0


def trace(n: int, tau_s: float, seed: int, axes: int = 2) -> F64:
    factor = np.exp(-1 / (tau_s * RATE_HZ))
    white = np.random.default_rng(seed).standard_normal((n + 500, axes)) * np.sqrt(1 - factor**2)
    return np.asarray(lfilter([1.0], [1.0, -factor], white, axis=0)[500:])


@pytest.fixture(scope="module")
def decoded() -> tuple[F64, F64, F64]:
    """Truth, a decoder, and one that is 0.02 R² worse; 10 minutes."""
    truth, error = trace(30_000, 0.5, 0), trace(30_000, 0.2, 1)
    return truth, truth + 0.7 * error, truth + 0.7 * error + np.sqrt(0.02) * trace(30_000, 0.2, 2)


def test_the_loss_is_the_difference_in_r2_of_each_axis_and_of_their_mean(decoded: tuple[F64, F64, F64]) -> None:
    truth, one, other = decoded
    found = r2_losses(truth, [one], [other], RATE_HZ).value[0]
    expected = r2(truth, one) - r2(truth, other)
    assert found == pytest.approx([*expected, expected.mean()], abs=1e-12)


def test_equal_bits_lose_nothing_for_certain_however_short_the_test(decoded: tuple[F64, F64, F64]) -> None:
    truth, one, _ = decoded
    found = r2_losses(truth[:500], [one[:500]], [one[:500].copy()], RATE_HZ)
    assert found.standard_error.max() == 0
    assert found.not_inferior(1e-9).all()
    assert (found.p_worse() == 1).all()


def test_the_standard_error_is_that_of_replicates_of_the_block_bootstrap(decoded: tuple[F64, F64, F64]) -> None:
    truth, one, other = decoded
    found = r2_losses(truth, [one], [other], RATE_HZ)
    sums = [cell_sums((truth - p) ** 2, RATE_HZ) for p in (one, other)]
    y, yy = cell_sums(truth, RATE_HZ), cell_sums(truth**2, RATE_HZ)
    rng, n, spread = np.random.default_rng(0), len(y), []
    for times in (1, 2, 4):
        length = times * round(found.block_s[0] / CELL_S)
        starts = rng.integers(0, n, (400, n // length))
        rows = ((starts[..., None] + np.arange(length)) % n).reshape(400, -1)
        drawn = [sum_[rows].sum(axis=1) for sum_ in (*sums, y, yy)]
        frames = rows.shape[1] * (len(truth) // n)
        spread.append(((drawn[1] - drawn[0]) / (drawn[3] - drawn[2] ** 2 / frames)).mean(axis=1).std())
    # 400 replicates know a standard deviation to 3.5 %; the closed form is of first order, and unbiased by N/(N-l).
    assert found.standard_error[0, -1] == pytest.approx(max(spread), rel=0.15)


@pytest.mark.parametrize("factor", [0.0, 0.5, 0.9])
def test_block_lengths_are_those_of_arch(factor: float) -> None:
    rows = lfilter([1.0], [1.0, -factor], np.random.default_rng(3).standard_normal((20, 1200)), axis=1)
    expected = [float(optimal_block_length(row)["circular"].iloc[0]) for row in rows]
    # Where correlation ends is sought over N here and over N - k there: at a border they choose neighbouring lags.
    assert np.median(np.abs(block_cells(rows) / expected - 1)) < 0.15


def test_no_loss_is_refused_as_often_as_the_level_says_or_less() -> None:
    level, refused = 0.05, 0
    for seed in range(100):
        truth, error = trace(9_000, 0.5, 3 * seed + 7), trace(9_000, 0.2, 3 * seed + 8)
        other = np.sqrt(0.9) * error + np.sqrt(0.1) * trace(9_000, 0.2, 3 * seed + 9)
        found = r2_losses(truth, [truth + 0.7 * error], [truth + 0.7 * other], RATE_HZ)
        refused += int(found.p_worse()[0, -1] < level)
    # Binomial(100, 0.05) exceeds 11 with a chance of 0.4 %.
    assert refused <= 11


def test_seeds_that_differ_widen_the_standard_error(decoded: tuple[F64, F64, F64]) -> None:
    truth, one, _ = decoded
    error = one - truth
    alike = [truth + error for _ in range(5)]
    apart = [truth + error * scale for scale in (0.96, 0.98, 1.0, 1.02, 1.04)]
    narrow, wide = (r2_losses(truth, side, side[::-1], RATE_HZ) for side in (alike, apart))
    spread = np.std([r2(truth, p).mean() for p in apart], ddof=1)
    assert narrow.standard_error[0, -1] == 0
    assert wide.standard_error[0, -1] == pytest.approx(spread * np.sqrt(2 / 5), rel=0.02)
    # Two sides of five seeds: 4 + 4 degrees of freedom.
    assert wide.freedom[0, -1] == pytest.approx(8, rel=0.05)


def test_few_blocks_decide_nothing_and_ask_for_thirty(decoded: tuple[F64, F64, F64]) -> None:
    truth, one, other = (trace_[:5_000] for trace_ in decoded)
    found = r2_losses(truth, [one], [other * 0 + 5], RATE_HZ)
    assert found.n_blocks[0] < 30
    assert (found.p_worse() == 1).all()
    assert not found.not_inferior(10.0).any()
    assert (found.minutes_needed(0.01, 0.01) >= (30 / found.n_blocks[0] - 1) * found.minutes - 1e-9).all()


def test_four_times_the_data_need_a_quarter_of_what_is_found(decoded: tuple[F64, F64, F64]) -> None:
    truth, one, other = decoded
    short = r2_losses(truth[:7_500], [one[:7_500]], [other[:7_500]], RATE_HZ)
    long = r2_losses(truth, [one], [other], RATE_HZ)
    # Standard errors of 30 blocks are known to about 13 %.
    assert long.findable(0.001)[0, -1] == pytest.approx(short.findable(0.001)[0, -1] / 2, rel=0.35)


def test_a_loss_in_auroc_is_found_with_its_standard_error() -> None:
    rng, n = np.random.default_rng(4), 30_000
    inside = (np.arange(n) // 200) % 5 == 0
    good, bad = (inside + rng.standard_normal(n) * scale for scale in (1.0, 2.0))
    found = auroc_losses(inside, [good], [bad], RATE_HZ)
    assert found.value[0, 0] == pytest.approx(0.7602 - 0.6382, abs=0.01)  # of normals one apart: Phi(1/sqrt(2)), ...
    assert found.p_worse()[0, 0] < 1e-6
    same = auroc_losses(inside, [good], [good], RATE_HZ)
    assert same.not_inferior(1e-9).all()


def test_holm_rejects_step_by_step_and_stops_at_the_first_that_is_not_small() -> None:
    p = np.array([[0.001, 0.02, 0.9, 0.012], [0.02, 0.001, 0.001, 0.001]])
    assert holm(p, 0.05).tolist() == [[True, True, False, True], [True, True, True, True]]
    assert holm(p, 0.03).tolist() == [[True, False, False, False], [True, True, True, True]]


def test_a_step_that_takes_as_long_is_let_through_and_one_that_takes_a_third_more_is_not() -> None:
    rng = np.random.default_rng(5)
    before, after = (20 * np.exp(0.03 * rng.standard_normal((1, 40))) for _ in range(2))
    same, longer = Growth.of(before, after), Growth.of(before, after * 1.33)
    limits = TimeLimits()
    assert same.relative[0] < same.tolerance(limits)[0]
    assert longer.relative[0] > longer.tolerance(limits)[0]
    assert longer.p_longer()[0] < 1e-6
    noisy = Growth.of(before, 20 * np.exp(0.5 * rng.standard_normal((1, 40))))
    assert noisy.tolerance(limits)[0] > 0.2
