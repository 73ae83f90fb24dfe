"""How late an output is, found from outputs whose delay is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from edgebci.metrics import effective_lag_s

RATE_HZ = 50.0


def truth(n: int = 4000) -> np.ndarray:
    noise = np.random.default_rng(0).standard_normal((n, 2))
    return np.asarray(gaussian_filter1d(noise, 8, axis=0))


@pytest.mark.parametrize("late", [-7, 0, 4, 20])
def test_a_shifted_output_has_its_shift_as_lag(late: int) -> None:
    true = truth()
    decoded = 3 * np.roll(true, late, axis=0) + 1
    assert effective_lag_s(true, decoded, np.ones(len(true), bool), RATE_HZ) == pytest.approx(late / RATE_HZ, abs=1e-3)


def test_half_a_frame_is_seen_between_frames() -> None:
    true = truth()
    decoded = 0.5 * (np.roll(true, 3, axis=0) + np.roll(true, 4, axis=0))
    lag = effective_lag_s(true, decoded, np.ones(len(true), bool), RATE_HZ)
    assert lag == pytest.approx(3.5 / RATE_HZ, abs=1e-3)


def test_a_causal_average_is_late_by_its_mean_age() -> None:
    true = truth()
    window = np.ones(11) / 11
    decoded = np.stack([np.convolve(axis, window)[: len(true)] for axis in true.T], axis=1)
    lag = effective_lag_s(true, decoded, np.ones(len(true), bool), RATE_HZ)
    assert lag == pytest.approx(5 / RATE_HZ, abs=2e-3)


def test_frames_that_do_not_count_do_not_matter() -> None:
    true = truth()
    decoded, counted = np.roll(true, 5, axis=0), np.ones(len(true), bool)
    decoded[1000:1100], counted[1000:1100] = 1e6, False
    assert effective_lag_s(true, decoded, counted, RATE_HZ) == pytest.approx(5 / RATE_HZ, abs=1e-3)


def test_a_constant_output_has_no_lag() -> None:
    true = truth(200)
    assert np.isnan(effective_lag_s(true, np.ones_like(true), np.ones(200, bool), RATE_HZ))
