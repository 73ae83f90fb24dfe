"""The papers' preprocessing: as they describe it, and of the kind that knows the future."""

from __future__ import annotations

import numpy as np
import pytest

from edgebci.errors import InputError
from edgebci.features.paper import BROADBAND_DECIMATION, F64, paper_frames, within

SECONDS, RATE_HZ = 60.0, 1000.0
LFP_S = 10.0 + np.arange(round(SECONDS * RATE_HZ)) / RATE_HZ
ENDS_S = (float(LFP_S[0]), float(LFP_S[-1]))
VELOCITY_S = 10.5 + np.arange(round((SECONDS - 1) * 250)) / 250


def lfp_of(hz: float, n_channels: int = 4) -> F64:
    """One tone, of the opposite sign in half of the channels, so that the common average takes nothing away."""
    signs = np.where(np.arange(n_channels) % 2, -1.0, 1.0)
    return np.sin(2 * np.pi * hz * LFP_S)[:, None] * signs


def as_labelled(times_s: F64, start_s: float, seconds: float) -> F64:
    """The moments that frames with these labels show: the published clock is stretched by one frame in all."""
    n_frames = int(seconds * 100)
    return start_s + (times_s - start_s) * (n_frames - 1) / n_frames


def noisy(seed: int = 0) -> F64:
    return np.random.default_rng(seed).standard_normal((len(LFP_S), 4))


def velocity() -> F64:
    return np.stack([np.sin(2 * VELOCITY_S), 5 + np.cos(3 * VELOCITY_S)], axis=1)


def test_slow_signals_keep_their_phase_because_every_filter_runs_both_ways() -> None:
    found = paper_frames(lfp_of(3.0), ENDS_S, velocity(), VELOCITY_S)
    moments_s = as_labelled(found.times_s, LFP_S[0], LFP_S[-1] - LFP_S[0])
    expected = np.sqrt(2) * np.sin(2 * np.pi * 3.0 * moments_s)
    np.testing.assert_allclose(found.frames[300:-300, 0], expected[300:-300], atol=0.08)  # edges ring


def test_line_noise_and_its_harmonics_are_gone_and_so_is_the_common_signal() -> None:
    slow = lfp_of(3.0)
    dirty = slow + 20 * (np.sin(2 * np.pi * 60 * LFP_S) + np.sin(2 * np.pi * 120 * LFP_S))[:, None]
    shared = 50 * np.sin(2 * np.pi * 7 * LFP_S)[:, None]
    clean, found = (paper_frames(lfp, ENDS_S, velocity(), VELOCITY_S) for lfp in (slow, dirty + shared))
    np.testing.assert_allclose(found.frames[300:-300], clean.frames[300:-300], atol=0.05)


def test_a_frame_changes_with_the_future_so_it_is_marked_as_not_causal() -> None:
    before, after = noisy(), noisy()
    after[LFP_S > 40.0] += 30.0 * noisy(1)[LFP_S > 40.0]
    one, two = (paper_frames(lfp, ENDS_S, velocity(), VELOCITY_S) for lfp in (before, after))
    past = one.times_s < 39.0
    assert np.abs(one.frames[past] - two.frames[past]).max() > 0.1
    assert one.causal is False


def test_every_channel_and_axis_is_standardised_over_what_is_kept() -> None:
    found = within(paper_frames(noisy(), ENDS_S, velocity(), VELOCITY_S), 20.0, 50.0)
    assert len(found.times_s) == pytest.approx(3000, abs=1)
    for values in (found.frames, found.velocity):
        np.testing.assert_allclose(values.mean(axis=0), 0.0, atol=1e-4)
        np.testing.assert_allclose(values.std(axis=0), 1.0, atol=1e-4)


def test_frames_stand_on_the_clock_of_the_behaviour() -> None:
    found = paper_frames(noisy(), ENDS_S, velocity(), VELOCITY_S)
    np.testing.assert_allclose(np.diff(found.times_s), 0.01, rtol=1e-3)  # K samples over the session, not 10 ms each
    assert found.times_s[0] == VELOCITY_S[0]
    truth = np.sin(2 * found.times_s)
    assert np.corrcoef(found.velocity[:, 0], truth)[0, 1] > 0.999
    by_lines = paper_frames(noisy(), ENDS_S, velocity(), VELOCITY_S, velocity_by="lines")
    assert np.corrcoef(by_lines.velocity[:, 0], np.sin(2 * by_lines.times_s))[0, 1] > 0.999


def test_broadband_is_decimated_first_to_the_same_frames() -> None:
    rate_hz = 24414.0625
    fast_s = 10.0 + np.arange(round(31 * rate_hz)) / rate_hz
    fast = np.sin(2 * np.pi * 3.0 * fast_s)[:, None] * np.array([1.0, -1.0])
    behavior_s = 10.0 + np.arange(31 * 250) / 250
    found = paper_frames(fast, (fast_s[0], fast_s[-1]), np.sin(behavior_s)[:, None], behavior_s, BROADBAND_DECIMATION)
    expected = np.sqrt(2) * np.sin(2 * np.pi * 3.0 * as_labelled(found.times_s, 10.0, 31.0))
    np.testing.assert_allclose(found.frames[300:-300, 0], expected[300:-300], atol=0.08)  # 31 s of 0.05 Hz ring more


def test_missing_samples_are_joined_and_too_little_is_refused() -> None:
    holed = lfp_of(3.0)
    holed[30_000:30_020] = np.nan
    whole, found = (paper_frames(lfp, ENDS_S, velocity(), VELOCITY_S) for lfp in (lfp_of(3.0), holed))
    np.testing.assert_allclose(found.frames, whole.frames, atol=0.3)
    with pytest.raises(InputError, match=r"has 10\.0 s, too short for a high-pass at 0\.05 Hz"):
        paper_frames(noisy()[:10_001], (10.0, 20.0), velocity(), VELOCITY_S)
    with pytest.raises(InputError, match="too slow for a low-pass at 50 Hz"):
        paper_frames(noisy()[::20], ENDS_S, velocity(), VELOCITY_S)
