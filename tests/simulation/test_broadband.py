"""The broadband mode of the synthesizer, and what is decoded from it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import welch

from edgebci.errors import InputError
from edgebci.firmware_sim.electronics.conditions import SourceQuality
from edgebci.pipeline.simulation.broadband import BroadbandSource, explore, from_world, listed
from edgebci.pipeline.simulation.listening import SpikeListener, front_end, lfp_features
from edgebci.synthetic.broadband import BroadbandSpec, BroadbandStream, broadband_world
from edgebci.synthetic.generator import LfpStream, World
from edgebci.synthetic.signals import F32
from edgebci.synthetic.specification import SyntheticSpec

SPEC = BroadbandSpec(world=SyntheticSpec(seed=31, n_channels=6, duration_s=24.0, rate_hz=2000.0))


@pytest.fixture(scope="module")
def world() -> World:
    return broadband_world(SPEC)


@pytest.fixture(scope="module")
def signal(world: World) -> F32:
    return np.concatenate(list(BroadbandStream(SPEC, world).chunks()))


def test_below_300_hz_it_has_the_densities_of_the_lfp_mode(world: World, signal: F32) -> None:
    lfp = np.concatenate(list(LfpStream(world).chunks()))
    living = ~world.electrodes.is_dead & ~world.electrodes.is_noisy
    slow, in_lfp = welch(lfp[:, living], fs=2000, nperseg=2000, axis=0)
    fast, in_broadband = welch(signal[:, living], fs=SPEC.rate_hz, nperseg=20_000, axis=0)
    for low_hz, high_hz in ((6.0, 14.0), (60.0, 95.0)):
        expected = in_lfp[(slow >= low_hz) & (slow <= high_hz)].mean()
        found = in_broadband[(fast >= low_hz) & (fast <= high_hz)].mean()
        # Another draw of the same background, 24 s long: some 10 % at 10 Hz; the floor and mains are absent here.
        assert found == pytest.approx(expected, rel=0.25)


def test_spikes_stand_where_the_truth_says_and_are_found_by_their_size(world: World, signal: F32) -> None:
    listener = SpikeListener(front_end(SPEC.rate_hz, 5.0), SPEC.world.n_channels, SPEC.rate_hz)
    for start in range(0, len(signal), 20_000):
        listener.push(signal[start : start + 20_000])
    counts = listener.frames()
    assert len(counts) == 24 * 50
    living = ~world.electrodes.is_dead
    true = np.bincount(world.units.channel[world.spikes.unit_index], minlength=6)
    found = counts.sum(axis=0)
    # Small units stay below the threshold and few others coincide: between a tenth and all of them are found.
    assert (found[living] < 1.1 * true[living]).all()
    assert found[living].sum() > 0.1 * true[living].sum()
    frames = np.zeros((1200, 6))
    at = np.minimum((world.spikes.times_s * 50).astype(int), 1199)
    np.add.at(frames, (at, world.units.channel[world.spikes.unit_index]), 1)
    together = [np.corrcoef(frames[:, c], counts[:, c])[0, 1] for c in np.flatnonzero(living)]
    assert np.median(together) > 0.3


def test_rates_beyond_half_the_band_are_refused_and_the_others_are_decoded(world: World, signal: F32) -> None:
    source = from_world(SPEC)
    slow = BroadbandSource(
        "slow",
        2000.0,
        6,
        24.0,
        lambda: iter([signal[::10]]),
        source.velocity,
        SourceQuality(noise_nv_per_rthz=0.0, step_uv=0.0, band_hz=1000.0),
    )
    sweep = explore(slow, ("rate",)).sweeps[0]
    assert {point.x for point in sweep.points if point.refused} == {2000.0}
    assert all(np.isfinite(point.r2 or 0.0) for point in sweep.points)
    with pytest.raises(InputError, match="spikes need 20,000"):
        explore(slow, ("signals",))
    with pytest.raises(InputError, match="no sweep 'bits'"):
        listed("rate,bits")


def test_bands_end_where_a_rate_can_carry_them() -> None:
    assert [band.high_hz for band in lfp_features(250.0).bands] == [15.0, 30.0, 70.0, 110.0]
    assert [band.high_hz for band in lfp_features(2000.0).bands][-1] == 400.0
