"""The running normaliser: what it settles on, how fast, within which bounds, and when it does not learn."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgebci.features.cases import base_spec, front_end_case, front_end_for
from edgebci.features.coefficients import normalizer_constants
from edgebci.features.device import DeviceFrontEnd
from edgebci.features.front_end import FrontEnd
from edgebci.features.normalization import RunningNormalizer
from edgebci.features.specification import FeatureSpec, LowPass, Normalization
from edgebci.features.stream import FeatureStream, Frames, Normalizer

F64 = NDArray[np.float64]
FRAME_RATE_HZ = 50.0


def front_end(normalization: Normalization, mean: float = 0.0, sd: float = 1.0) -> FrontEnd:
    """One channel with one feature."""
    spec = FeatureSpec(rate_hz=1000, lmp=LowPass(corner_hz=5), normalization=normalization)
    return FrontEnd(spec, np.ones(1, dtype=bool), np.array([mean], np.float32), np.array([sd], np.float32))


def normalized(normalization: Normalization, features: F64, mean: float = 0.0, sd: float = 1.0) -> F64:
    valid = np.ones(len(features), dtype=bool)
    frames = Frames(features[:, None], valid, ~valid, ~valid)
    return Normalizer(front_end(normalization, mean, sd)).push(frames)[:, 0]


def test_at_power_on_the_bundles_statistics_rule() -> None:
    z = normalized(Normalization(), np.array([7.0]), mean=5.0, sd=4.0)
    assert z.tolist() == [0.5]


def test_a_feature_of_another_level_and_spread_becomes_standard() -> None:
    """Two bundle sd too high and twice as wide, as after a month: six minutes later z has mean 0 and sd 1."""
    rng = np.random.default_rng(1)
    features = rng.normal(loc=5.0 + 2.0 * 4.0, scale=2.0 * 4.0, size=12 * 60 * 50)
    z = normalized(Normalization(tau_s=60.0), features, mean=5.0, sd=4.0)
    settled = z[6 * 60 * 50 :]
    assert abs(z[:50].mean()) > 1.0
    # Six minutes hold 18,000 frames: standard errors 0.0075 and 0.005, and e^-6 of the start is left.
    assert abs(settled.mean()) < 0.03
    assert abs(settled.std() - 1.0) < 0.03


def test_the_mean_follows_with_the_time_constant() -> None:
    tau_s = 80.0
    z = normalized(Normalization(tau_s=tau_s, sd_limit_ratio=1.0), np.ones(round(tau_s * FRAME_RATE_HZ) + 1))
    # The last frame has seen tau_s of frames of level 1; e^-1 of it is left. Statistics are held in float32.
    assert abs(z[-1] - np.exp(-1.0)) < 1e-5


def test_frozen_is_a_fixed_map() -> None:
    features = np.random.default_rng(2).normal(scale=30.0, size=500)
    z = normalized(Normalization(mode="frozen", z_limit=4.0), features, mean=2.0, sd=8.0)
    assert (z == np.clip((features - 2.0) / 8.0, -4.0, 4.0)).all()
    assert (np.abs(z) == 4.0).any()


@settings(max_examples=50)
@given(
    features=st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=50),
    z_limit=st.floats(1.0, 16.0),
    mean_limit_sd=st.floats(0.001, 3.0),
    sd_limit_ratio=st.floats(1.0, 3.0),
)
def test_no_input_drives_it_over_its_bounds(
    features: list[float], z_limit: float, mean_limit_sd: float, sd_limit_ratio: float
) -> None:
    limits = Normalization(z_limit=z_limit, mean_limit_sd=mean_limit_sd, sd_limit_ratio=sd_limit_ratio)
    constants = normalizer_constants(front_end(limits))
    normalizer = RunningNormalizer(constants, np.float32)
    z = normalizer.push(np.array(features, dtype=np.float32)[:, None], np.ones(len(features), dtype=bool))
    assert (np.abs(z) <= constants.z_limit).all()
    assert abs(normalizer.shift[0]) <= constants.mean_limit
    assert constants.lowest_scale <= normalizer.scale[0] <= constants.highest_scale


def test_frames_that_are_not_valid_teach_nothing() -> None:
    """Start-up, artefacts and gaps: the state after them is the state before."""
    normalizer = RunningNormalizer(normalizer_constants(front_end(Normalization())), np.float64)
    normalizer.push(np.full((10, 1), 2.0), np.ones(10, dtype=bool))
    before = normalizer.shift.copy(), normalizer.scale.copy()
    z = normalizer.push(np.full((10, 1), 500.0), np.zeros(10, dtype=bool))
    assert (z == 8.0).all()
    assert (normalizer.shift, normalizer.scale) == before
    normalizer.push(np.full((1, 1), 2.0), np.ones(1, dtype=bool))
    assert normalizer.shift[0] != before[0][0]


def test_saturation_on_all_channels_does_not_move_the_normaliser() -> None:
    """The same stream with 100 ms at the rails: while it lasts, the frames are artefacts and the state stands still."""
    case = front_end_case("all_channels_saturated")
    frames = FeatureStream(case.front_end.spec, case.front_end.good_channels).push(case.counts)
    running = RunningNormalizer(normalizer_constants(case.front_end), np.float64)
    states = []
    for k in range(len(frames.valid)):
        running.push(frames.features[k : k + 1], frames.valid[k : k + 1])
        states.append(running.shift.copy())
    moved = (np.diff(states, axis=0) != 0).any(axis=1)
    assert frames.artefact.any()
    assert (moved == frames.valid[1:]).all()


def test_a_reset_returns_to_the_bundles_statistics() -> None:
    """After a gap that resets, the stream goes on exactly as a device that was switched on there."""
    case = front_end_case("gap_that_resets")
    whole = DeviceFrontEnd(case.front_end).push(case.counts, case.missing)
    first = int(np.flatnonzero(whole.reset_before)[0])
    row = first * case.front_end.spec.samples_per_frame
    fresh = DeviceFrontEnd(case.front_end).push(case.counts[row:], case.missing[row:])
    assert fresh.z.tobytes() == whole.z[first:].tobytes()
    assert (fresh.valid == whole.valid[first:]).all()


def test_dead_channels_are_exactly_zero() -> None:
    case = front_end_case("dead_channels")
    z = DeviceFrontEnd(case.front_end).push(case.counts).z
    dead = np.tile(~case.front_end.good_channels, len(case.front_end.spec.kinds))
    assert dead.sum() == 2 * len(base_spec().kinds)
    assert not z[:, dead].any()
    assert z[:, ~dead].any(axis=0).all()
    other = case.counts.copy()
    other[:, ~case.front_end.good_channels] = 777
    assert DeviceFrontEnd(case.front_end).push(other).z.tobytes() == z.tobytes()


def test_statistics_of_dead_channels_do_not_matter() -> None:
    front = front_end_for(base_spec(), np.array([True] * 9 + [False]))
    assert len(normalizer_constants(front).mean) == 9 * len(base_spec().kinds)
