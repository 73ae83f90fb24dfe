"""A simulated user who steers through a decoder."""

from __future__ import annotations

import numpy as np
import pytest

from edgebci.errors import InputError
from edgebci.pipeline.simulation.closed_loop import acquisition_s, channel_of, close_loop

RATE_HZ = 50.0


def behaviour(n: int = 6000, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    smooth = np.ones(25) / 25
    return np.stack([np.convolve(rng.standard_normal(n) * 20, smooth, "same") for _ in range(2)], axis=1)


def decoded(truth: np.ndarray, noise: float, seed: int = 2) -> np.ndarray:
    return np.asarray(0.8 * truth + noise * behaviour(len(truth), seed))


def test_the_channel_is_the_fit_of_what_was_decoded() -> None:
    truth = behaviour()
    late = np.roll(0.7 * truth, 3, axis=0)
    channel = channel_of(truth, late, 3 / RATE_HZ, RATE_HZ)
    # Rolled ends are three frames of 6,000.
    assert channel.gain == pytest.approx(0.7 * np.eye(2), abs=1e-2)
    assert channel.lag_frames == 3
    assert np.abs(channel.error[10:-10]).max() < 0.2
    with pytest.raises(InputError, match="is 0 throughout"):
        channel_of(np.zeros((100, 2)), np.zeros((100, 2)), 0.0, RATE_HZ)


def test_delay_and_error_both_make_targets_take_longer() -> None:
    truth = behaviour()
    medians = {}
    for noise in (0.5, 1.0):
        loop = close_loop(channel_of(truth, decoded(truth, noise), 0.0, RATE_HZ), "cm/s", seed=5, trials=120)
        assert [point.delay_s for point in loop.points] == [0.0, 0.1, 0.2, 0.3]
        medians[noise] = [point.median_s or 99.0 for point in loop.points]
    assert medians[0.5][3] > medians[0.5][0]
    assert medians[1.0][0] > medians[0.5][0]


def test_without_error_or_delay_the_way_is_that_of_a_first_order_follower() -> None:
    truth = behaviour()
    channel = channel_of(truth, truth, 0.0, RATE_HZ)
    times_s = acquisition_s(channel, 0.0, 2.0, channel.typical_speed, 20, seed=1)
    # Distance 1 at the speed of 2 until it halves, then exponential at 2 /s to 0.15: a little under
    # ln(1 / 0.15) / 2 = 0.95 s with the bound of twice the typical speed at the start.
    assert np.ptp(times_s) < 1e-9
    assert times_s[0] == pytest.approx(np.log(1 / 0.15) / 2, abs=0.06)
