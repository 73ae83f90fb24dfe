"""Each observer gives a range that the samples justify, whatever their size, order or sign."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebci.arithmetic import F32
from edgebci.export.calibration import QuantizationRecipe, activation_scale
from edgebci.export.observers import INT8_MAX, OBSERVERS, ObserverName, percentile_range

seeds = st.integers(0, 2**32 - 1)
names = st.sampled_from(sorted(OBSERVERS))
several = settings(max_examples=25)


def samples(seed: int, heavy: bool, n: int = 3000) -> F32:
    """Normal, or with tails as heavy as Student's t with three degrees of freedom."""
    rng = np.random.default_rng(seed)
    drawn = rng.standard_t(3, n) if heavy else rng.standard_normal(n)
    scaled: F32 = (drawn * 10.0 ** rng.uniform(-3, 3)).astype(np.float32)
    return scaled


def range_of(values: F32, observer: ObserverName) -> float:
    return float(activation_scale(values, QuantizationRecipe(observer=observer))) * INT8_MAX


def error(values: F32, largest: float) -> float:
    step = largest / INT8_MAX
    rounded = np.clip(np.rint(values.astype(float) / step), -INT8_MAX, INT8_MAX) * step
    return float(np.mean((rounded - values) ** 2))


@given(seeds, names, st.booleans())
@several
def test_a_range_is_positive_and_no_wider_than_what_was_seen(seed: int, observer: ObserverName, heavy: bool) -> None:
    values = samples(seed, heavy)
    # One part in 10^6: the scale is rounded to float32.
    assert 0.0 < range_of(values, observer) <= np.abs(values).max() * (1 + 1e-6)


@given(seeds, names, st.booleans(), st.integers(-20, 20))
@several
def test_samples_twice_as_large_get_twice_the_range(seed: int, observer: ObserverName, heavy: bool, k: int) -> None:
    values = samples(seed, heavy)
    scaled = range_of(values * np.float32(2.0**k), observer)
    # Scaling by a power of two is exact in float32, so nothing may differ but the last bit of a percentile's sum.
    assert scaled == pytest.approx(2.0**k * range_of(values, observer), rel=1e-6)


@given(seeds, names)
@several
def test_order_and_sign_of_the_samples_do_not_matter(seed: int, observer: ObserverName) -> None:
    values = samples(seed, heavy=True)
    rng = np.random.default_rng(seed)
    turned = rng.permutation(values) * rng.choice(np.array([-1, 1], np.float32), len(values))
    # A mean of squares in another order differs by rounding, and may then choose the neighbour of an equal range.
    assert error(values, range_of(turned, observer)) == pytest.approx(
        error(values, range_of(values, observer)), rel=1e-6
    )


@given(seeds, st.booleans())
@several
def test_no_observer_has_less_squared_error_than_mse_among_the_tried(seed: int, heavy: bool) -> None:
    values, recipe = samples(seed, heavy), QuantizationRecipe()
    best = error(values, range_of(values, "mse"))
    for share in np.linspace(recipe.smallest_clip, 1.0, recipe.activation_candidates):
        # Equal up to the float32 rounding of the scale.
        assert best <= error(values, share * float(np.abs(values).max())) * (1 + 1e-4)


@given(seeds, st.booleans())
@several
def test_min_max_clips_nothing(seed: int, heavy: bool) -> None:
    values = samples(seed, heavy)
    scale = activation_scale(values, QuantizationRecipe(observer="min-max"))
    assert np.abs(np.rint(values / scale)).max() == INT8_MAX


@given(seeds, st.floats(60.0, 100.0))
@several
def test_percentile_leaves_out_no_more_than_it_may(seed: int, percent: float) -> None:
    magnitudes = np.abs(samples(seed, heavy=True).astype(np.float64))
    largest = percentile_range(magnitudes, QuantizationRecipe(percentile=percent))
    assert np.mean(magnitudes > largest) <= 1 - percent / 100 + 1e-12
    assert np.mean(magnitudes < largest) <= percent / 100 + 1 / len(magnitudes)


@given(seeds)
@several
def test_entropy_clips_a_lone_outlier_and_keeps_a_uniform_range(seed: int) -> None:
    rng = np.random.default_rng(seed)
    uniform = rng.uniform(-1, 1, 20_000).astype(np.float32)
    assert range_of(uniform, "entropy") > 0.9
    assert range_of(np.append(rng.standard_normal(20_000), 40.0).astype(np.float32), "entropy") < 20.0


@given(names)
def test_what_is_always_zero_gets_the_range_one(observer: ObserverName) -> None:
    assert range_of(np.zeros(50, np.float32), observer) == pytest.approx(1.0, rel=1e-6)
