"""The running mean is a weighted mean from its first frame, the same in pieces, and bounded for ever."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from edgebci.training.running_mean import MeanState, RunningMean

FRAMES = 200


def stream() -> Tensor:
    return 3 + torch.randn(2, FRAMES, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def assert_equal(ours: Tensor, expected: Tensor) -> None:
    """Up to float64 rounding of sums of some hundred terms of order one."""
    torch.testing.assert_close(ours, expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("frames", [1.0, 50.0, 1e6])
def test_is_the_mean_weighted_by_age_from_the_first_frame_on(frames: float) -> None:
    x, mean = stream(), RunningMean(frames)
    ours, _ = mean.scan(x, mean.initial_state(2, 4, x))
    for t in (0, 1, 7, FRAMES - 1):
        weights = torch.exp(-(t - torch.arange(t + 1, dtype=torch.float64)) / frames)
        assert_equal(ours[:, t], (weights.unsqueeze(-1) * x[:, : t + 1]).sum(1) / weights.sum())


def test_paper_mode_is_the_mean_since_the_start_and_says_that_it_cannot_run_for_months() -> None:
    x, mean = stream(), RunningMean(None)
    ours, _ = mean.scan(x, mean.initial_state(2, 4, x))
    assert_equal(ours, x.cumsum(1) / torch.arange(1, FRAMES + 1).unsqueeze(-1))
    assert not mean.runs_for_months
    assert RunningMean(1000.0).runs_for_months


@settings(max_examples=30)
@given(cut=st.integers(0, FRAMES), frames=st.sampled_from([None, 20.0, 1000.0]))
def test_pieces_and_steps_give_the_whole(cut: int, frames: float | None) -> None:
    x, mean = stream(), RunningMean(frames)
    whole, last = mean.scan(x, mean.initial_state(2, 4, x))
    first, state = mean.scan(x[:, :cut], mean.initial_state(2, 4, x))
    assert_equal(first, whole[:, :cut])
    for t in range(cut, FRAMES):
        value, state = mean.step(x[:, t], state)
        assert_equal(value, whole[:, t])
    assert_equal(state.weight, last.weight)


def test_a_float32_stream_of_a_day_stays_at_its_mean() -> None:
    """At 100 Hz, a day on: the weight has reached its bound, and the mean follows a change within its time constant."""
    mean = RunningMean(1000.0)
    bound = 1 / (1 - math.exp(-1 / 1000))
    state = MeanState(torch.full((1, 1), 3.0), torch.full((1, 1), bound))
    for _ in range(1000):
        value, state = mean.step(torch.full((1, 1), 5.0), state)
    # float32 steps of the mean round by 1e-7 of 4, a thousand times.
    assert float(value) == pytest.approx(5 - 2 * math.exp(-1), abs=1e-3)
    assert float(state.weight) == pytest.approx(bound, rel=1e-4)
