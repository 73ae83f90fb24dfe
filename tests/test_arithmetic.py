"""The device's arithmetic against float64 and against plain Python, one number at a time."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgebci import arithmetic
from edgebci.arithmetic import F32

ONE = np.float32(1.0)
MODERATE = st.floats(-1e6, 1e6, width=32)
ANY = st.floats(width=32, allow_nan=True, allow_infinity=True)


def array(*values: float) -> F32:
    return np.array(values, np.float32)


def ulps(found: F32, true: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance in units of the last place that float32 has at the true value."""
    return np.abs(found.astype(np.float64) - true) / np.spacing(np.abs(true).astype(np.float32)).astype(np.float64)


def half_even(value: float) -> int:
    """Nearest integer, ties to even, by exact fractions."""
    return round(Fraction(value))


@given(st.floats(-4194303.0, 4194303.0, width=32))
@example(0.5)
@example(1.5)
@example(-2.5)
def test_rounding_goes_to_the_nearest_integer_and_ties_to_even(value: float) -> None:
    assert arithmetic.round_to_int(array(value))[0] == half_even(value)


@given(st.integers(-127, 126))
def test_a_value_halfway_between_two_int8_goes_to_the_even_one(lower: int) -> None:
    assert arithmetic.quantize_int8(array(lower + 0.5), ONE)[0] == lower + lower % 2


@given(MODERATE, st.floats(2.0**-10, 2.0**10, width=32))
def test_quantizers_are_round_of_the_float32_product_stopped_at_the_ends(value: float, inverse: float) -> None:
    product = float(np.float32(value) * np.float32(inverse))
    for quantizer, bits in ((arithmetic.quantize_int8, 8), (arithmetic.quantize_int16, 16)):
        low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
        assert quantizer(array(value), np.float32(inverse))[0] == min(max(half_even(product), low), high)


@pytest.mark.parametrize(
    ("value", "int8", "int16"),
    [(np.inf, 127, 32767), (-np.inf, -128, -32768), (np.nan, -128, -32768), (3e38, 127, 32767), (-3e38, -128, -32768)],
)
def test_quantizers_survive_what_is_not_a_measurement(value: float, int8: int, int16: int) -> None:
    assert arithmetic.quantize_int8(array(value), ONE)[0] == int8
    assert arithmetic.quantize_int16(array(value), ONE)[0] == int16


@given(st.lists(MODERATE, min_size=4, max_size=64).map(lambda values: values[: len(values) // 4 * 4]))
def test_a_lane_sum_adds_in_the_documented_order(values: list[float]) -> None:
    lanes = [np.float32(value) for value in values[:4]]
    for k in range(4, len(values)):
        lanes[k % 4] = lanes[k % 4] + np.float32(values[k])
    expected = (lanes[0] + lanes[1]) + (lanes[2] + lanes[3])
    assert arithmetic.lane_sum(array(*values)).tobytes() == expected.tobytes()


def test_the_order_of_a_lane_sum_shows_in_its_value() -> None:
    # In plain order 1e8 + 1 is 1e8 and three ones are lost; by lanes, the ones of lanes 1 to 3 meet before or after.
    values = array(1e8, 1.0, 2.0, 3.0, -1e8, 1.0, 2.0, 3.0)
    assert arithmetic.lane_sum(values) == 12.0
    assert np.add.accumulate(values)[-1] != 12.0


@given(st.integers(1, 5), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_a_lane_sum_of_many_rows_is_that_of_each(rows: int, quads: int, seed: int) -> None:
    values = np.random.default_rng(seed).standard_normal((rows, 4 * quads)).astype(np.float32)
    together = arithmetic.lane_sum(values)
    assert together.tolist() == [float(arithmetic.lane_sum(row)) for row in values]


GRID = np.concatenate([np.linspace(-45.999, 87.999, 400_001), np.linspace(-1.0, 1.0, 100_001)]).astype(np.float32)
POSITIVE = np.concatenate([np.geomspace(1.2e-38, 3.4e38, 300_001), np.linspace(0.5, 2.0, 200_000)]).astype(np.float32)


def test_exp_is_within_3_ulp() -> None:
    assert ulps(arithmetic.exp(GRID), np.exp(GRID.astype(np.float64))).max() <= 3.0


def test_log_is_within_2_ulp() -> None:
    away_from_one = POSITIVE[POSITIVE != 1.0]  # log(1) = 0 exactly, tested by itself
    assert ulps(arithmetic.log(away_from_one), np.log(away_from_one.astype(np.float64))).max() <= 2.0
    assert arithmetic.log(array(1.0))[0] == 0.0


def test_softplus_is_within_4_ulp() -> None:
    assert ulps(arithmetic.softplus(GRID), np.logaddexp(0.0, GRID.astype(np.float64))).max() <= 4.0


def test_silu_is_within_4_ulp() -> None:
    x = GRID[GRID != 0.0]
    exact = x.astype(np.float64)
    assert ulps(arithmetic.silu(x), exact / (1.0 + np.exp(-exact))).max() <= 4.0
    assert arithmetic.silu(array(0.0))[0] == 0.0


def test_reciprocal_sqrt_is_within_1_5_ulp() -> None:
    # Half an ulp from the root, carried to its reciprocal, and half from the division.
    assert ulps(arithmetic.reciprocal_sqrt(POSITIVE), 1.0 / np.sqrt(POSITIVE.astype(np.float64))).max() <= 1.5


@given(ANY)
def test_every_input_gives_a_finite_number_in_range(value: float) -> None:
    x = array(value)
    assert 0.0 <= arithmetic.exp(x)[0] <= 1.7e38
    assert -88.0 <= arithmetic.log(x)[0] <= 89.0
    if np.isfinite(value):
        # In double precision: the factor takes softplus of the largest float32 past the largest float32.
        assert max(value, 0.0) <= float(arithmetic.softplus(x)[0]) * (1 + 1e-6) + 1e-20
        assert np.isfinite(arithmetic.silu(x)[0])


@pytest.mark.parametrize("function", [arithmetic.exp, arithmetic.softplus, arithmetic.silu])
def test_not_a_number_becomes_zero(function: object) -> None:
    assert callable(function)
    assert function(array(np.nan))[0] == 0.0


@given(st.floats(-200.0, -46.0, width=32))
def test_what_would_be_below_1e_20_is_zero(value: float) -> None:
    assert arithmetic.exp(array(value))[0] == 0.0
    assert arithmetic.silu(array(value))[0] == 0.0


@given(st.floats(-45.875, 87.0, width=32), st.floats(0.0, 1.0, width=32))
def test_exp_never_falls_by_more_than_its_error(x: float, step: float) -> None:
    lower, upper = arithmetic.exp(array(x, float(np.float32(x) + np.float32(step))))
    assert upper >= lower * (1.0 - 6 * 2.0**-23)  # 3 ulp at each end


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_flush_keeps_what_counts_and_clears_the_rest(value: float) -> None:
    kept = arithmetic.flush(array(value))[0]
    assert kept == (0.0 if abs(np.float32(value)) < arithmetic.TINY else np.float32(value))


@given(ANY, st.floats(-10.0, 0.0, width=32), st.floats(0.0, 10.0, width=32))
def test_clamp_ends_within_its_limits_and_takes_nan_for_the_lower(value: float, low: float, high: float) -> None:
    found = float(arithmetic.clamp(array(value), np.float32(low), np.float32(high))[0])
    assert found == (low if np.isnan(value) else min(max(float(np.float32(value)), low), high))
