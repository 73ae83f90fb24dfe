"""LFP comes from populations that no electrode records, by kernels, and from nothing else that moves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import welch

from edgebci.synthetic import SyntheticSpec
from edgebci.synthetic.beta import BetaWaves, draw_bursts
from edgebci.synthetic.electrodes import Amplifier, draw_electrodes
from edgebci.synthetic.generator import LfpStream, World, draw_world
from edgebci.synthetic.lfp import Leakage
from edgebci.synthetic.population import RateField
from edgebci.synthetic.sheet import DelayedMixing, Sheet, lay, smooth_maps
from edgebci.synthetic.signals import F32, flicker, power_gain
from edgebci.synthetic.units import SpikeTrain

SMALL = SyntheticSpec(seed=5, duration_s=4.0, n_channels=8)


def lfp(world: World, chunk_s: float = 4.0) -> F32:
    return np.concatenate(list(LfpStream(world).chunks(chunk_s)))


def with_part(spec: SyntheticSpec, part: str, **changes: object) -> SyntheticSpec:
    return spec.model_copy(update={part: getattr(spec, part).model_copy(update=changes)})


@pytest.fixture(scope="module")
def world() -> World:
    return draw_world(SMALL)


@pytest.fixture(scope="module")
def whole(world: World) -> F32:
    return lfp(world)


@settings(max_examples=4)
@given(chunk_s=st.floats(0.05, 3.0))
def test_the_stream_is_the_same_for_any_chunking(chunk_s: float) -> None:
    world = draw_world(SMALL)
    # float32 sums of matrix products depend on the block's shape: within 1e-5 of the 50 uV signal.
    assert np.abs(lfp(world, chunk_s) - lfp(world)).max() < 5e-3


def test_one_seed_gives_one_recording_and_another_another(world: World, whole: F32) -> None:
    assert np.array_equal(lfp(draw_world(SMALL)), whole)
    for change in ({"seed": 6}, {"subject": 2}, {"session": 2}):
        assert not np.allclose(lfp(draw_world(SMALL.model_copy(update=change))), whole, atol=1.0)


def test_no_behavioural_variable_reaches_the_lfp(world: World, whole: F32) -> None:
    still = replace(
        world.movement,
        position_cm=np.zeros_like(world.movement.position_cm),
        velocity_cm_s=np.zeros_like(world.movement.velocity_cm_s),
    )
    assert np.array_equal(lfp(replace(world, movement=still)), whole)


def test_latents_reach_the_lfp_only_through_the_populations(world: World) -> None:
    deaf = with_part(with_part(SMALL, "population", responsive_fraction=0.0), "beta", modulation_fraction=0.0)
    other = replace(world.latents, lfp=world.latents.lfp[::-1])
    first, second = (
        lfp(replace(world, spec=deaf, latents=latents, bursts=draw_bursts(deaf, latents)))
        for latents in (world.latents, other)
    )
    assert np.array_equal(first, second)


def test_almost_all_of_the_lfp_comes_from_unrecorded_neurons(world: World, whole: F32) -> None:
    stream = LfpStream(world)
    assert len(list(stream.chunks())) == 1
    assert stream.unrecorded_variance_fraction > 0.95
    silent = replace(world, spikes=SpikeTrain(np.empty(0), np.empty(0, dtype=np.int64)))
    difference = whole - lfp(silent)
    assert 0 < difference.var() < 0.05 * whole.var()


def test_a_spike_arrives_later_and_smaller_the_farther_it_comes_from() -> None:
    spec = with_part(SMALL, "kernel", space_constant_mm=0.3, propagation_m_per_s=0.1)
    sheet = Sheet(np.array([[0.0, 0.0]]), np.array([[0.0, 0.0], [0.3, 0.0], [0.0, 0.6], [5.0, 0.0]]))
    impulse = np.zeros((10, 1), dtype=np.float32)
    impulse[0] = 1.0
    heard = DelayedMixing(spec, sheet).push(impulse)
    # 0.1 m/s is 0.1 mm/ms: 0, 3 and 6 samples of 1 ms; 5 mm is out of reach.
    assert np.argmax(heard, axis=0).tolist() == [0, 3, 6, 0]
    assert heard.max(axis=0) == pytest.approx([1.0, np.exp(-1), np.exp(-2), 0.0])


def test_the_array_is_square_and_has_the_stated_pitch() -> None:
    for n, missing in ((96, 4), (100, 0), (8, 92)):
        sheet = lay(SMALL.model_copy(update={"n_channels": n}))
        assert len(sheet.electrodes_mm) == n == 100 - missing
        distance = np.linalg.norm(sheet.electrodes_mm[:, None] - sheet.electrodes_mm, axis=2)
        assert distance[distance > 0].min() == pytest.approx(0.4)
    assert np.abs(lay(SMALL.model_copy(update={"n_channels": 256})).electrodes_mm).max() <= 2.0


def test_at_least_ten_thousand_cells_stand_on_a_sheet_of_four_by_four_millimetres() -> None:
    sheet = lay(SyntheticSpec())
    assert SyntheticSpec().population.n_cells >= 10_000
    assert np.ptp(sheet.patches_mm, axis=0) == pytest.approx([3.8, 3.8])
    assert sheet.n_patches == 400


def test_maps_are_smooth_and_standard() -> None:
    population = SMALL.population
    sheet = lay(SMALL)
    maps = smooth_maps(population, sheet.patches_mm, 200, np.random.default_rng(0))
    assert maps.std(axis=1) == pytest.approx(np.ones(200))
    near = np.mean(maps[:, :-1] * maps[:, 1:])
    far = np.mean(maps[:, 0] * maps[:, -1])
    assert near > 0.7
    assert abs(far) < 0.3


def test_rates_are_rectified_in_the_model_and_linear_in_the_control() -> None:
    latents = np.linspace(-12, 12, 201, dtype=np.float32)[:, None]
    still = np.zeros((201, 1), dtype=np.float32)
    maps, rng = np.ones((1, 1)), np.random.default_rng(0)
    bent, _ = RateField(SMALL, maps, 100.0, 5.0, rng).relative_rate(latents, still)
    straight, variance = RateField(SMALL.model_copy(update={"linear": True}), maps, 100.0, 5.0, rng).relative_rate(
        latents, still
    )
    responsive = SMALL.population.responsive_fraction
    assert bent.min() == pytest.approx(1 - responsive)
    assert np.abs(np.diff(bent, 2, axis=0)).max() > 1e-3
    # Rounding of float32 about 1.
    assert np.abs(np.diff(straight, 2, axis=0)).max() < 1e-5
    assert np.abs(np.diff(np.log(variance), 2, axis=0)).max() < 1e-5


@pytest.mark.parametrize("changes", [{"linear": True}, {"family": "oscillators"}, {"n_channels": 1}])
def test_every_control_gives_a_finite_signal_of_about_the_same_level(changes: dict[str, object]) -> None:
    signal = lfp(draw_world(SMALL.model_copy(update=changes)))
    assert np.isfinite(signal).all()
    assert 15 < np.median(signal.std(axis=0)) < 200


def test_leakage_stands_above_100_hz_and_its_power_follows_the_local_rate(world: World) -> None:
    quiet, loud = (
        Leakage(SMALL, world.units, world.spikes).next_uv(np.full((40_000, 8), rate, dtype=np.float32), 0)[0]
        for rate in (1.0, 1.5)
    )
    assert loud.var() / quiet.var() == pytest.approx(1.5, rel=1e-3)
    frequency, density = welch(quiet, fs=1000, nperseg=1000, axis=0)
    mean = density.mean(axis=1)
    # 8 channels of 40 windows: the density is known to about 5 %.
    assert mean[280:320].mean() == pytest.approx(SMALL.leakage.density_300hz_uv2_per_hz, rel=0.05)
    assert mean[frequency < 30].mean() < 0.05 * mean[300]


def test_beta_bursts_are_short_travel_and_shrink_in_movement(long_world: World) -> None:
    spec, bursts = long_world.spec, long_world.bursts
    assert np.all((bursts.duration_s >= 0.1) & (bursts.duration_s <= 0.3))
    assert np.all((bursts.frequency_hz >= 15) & (bursts.frequency_hz <= 30))
    speed_m_per_s = 2 * np.pi * bursts.frequency_hz / np.linalg.norm(bursts.wave_rad_per_mm, axis=1) / 1000
    assert np.all((speed_m_per_s >= 0.1 - 1e-9) & (speed_m_per_s <= 0.3 + 1e-9))
    speed = np.interp(bursts.start_s, long_world.movement.times_s, long_world.movement.speed_cm_s)
    loss = 1 - bursts.modulation[speed > 10].mean() / bursts.modulation[speed < 1].mean()
    # Asked for 30-60 % of the LFP's beta power, of which bursts are a part: their amplitude falls further.
    assert 0.3 < loss < spec.beta.desynchronization_fraction


def test_a_wave_passes_each_patch_in_turn(long_world: World) -> None:
    sheet = lay(long_world.spec)
    bursts = long_world.bursts
    alone = replace(bursts, **{name: getattr(bursts, name)[:1] for name in bursts.__dataclass_fields__})
    times_s = alone.start_s[0] + np.arange(0, alone.duration_s[0], 0.0005)
    wave = BetaWaves(long_world.spec, sheet, alone).at(times_s)
    analytic = wave * np.exp(-2j * np.pi * alone.frequency_hz[0] * (times_s - times_s[0]))[:, None]
    phase = np.angle(analytic.mean(axis=0))
    expected = -(sheet.patches_mm @ alone.wave_rad_per_mm[0])
    apart = np.angle(np.exp(1j * (phase - phase[0] - expected + expected[0])))
    # The burst is short: its image at twice the frequency does not average out entirely.
    assert np.abs(apart).mean() < 0.2


def test_dead_channels_hold_the_floor_only_and_mains_stands_on_all() -> None:
    spec = with_part(SMALL.model_copy(update={"n_channels": 96}), "electrodes", mains_uv=(10.0, 10.0))
    electrodes = draw_electrodes(spec)
    assert 0.02 <= electrodes.is_dead.mean() <= 0.055
    assert 0.04 <= electrodes.is_noisy.mean() <= 0.06
    assert not np.any(electrodes.is_dead & electrodes.is_noisy)
    times_s = np.arange(8000) / 1000
    recorded = Amplifier(spec, electrodes).record(np.full((8000, 96), 100.0, dtype=np.float32), times_s)
    _, density = welch(recorded, fs=1000, nperseg=2000, axis=0)
    # 50 Hz stands out even of a noisy channel's floor.
    assert np.all(density[100] > 5 * density[90])
    # The high-pass leaves little of a constant potential, but on a dead channel there was none.
    assert np.abs(recorded[:200, electrodes.is_dead].mean(axis=0)).max() < 5
    assert np.abs(recorded[:200, ~electrodes.is_dead].mean(axis=0)).min() > 20


def test_the_floor_has_the_stated_density_and_follows_the_sweep() -> None:
    def floor(spec: SyntheticSpec) -> float:
        silent = np.zeros((60_000, 8), dtype=np.float32)
        recorded = Amplifier(spec, draw_electrodes(spec)).record(silent, np.arange(60_000) / 1000)
        frequency, density = welch(recorded, fs=1000, nperseg=1000, axis=0)
        return float(density[(frequency > 250) & (frequency < 400)].mean())

    spec = with_part(SMALL, "electrodes", mains_uv=(0.0, 0.0), gain_cv=(0.0, 0.0), noisy_fraction=0.0)
    # 1/f noise with a corner of 100 Hz adds a third at 300 Hz; 50 nV/rtHz is 0.0025 uV2/Hz. The ladder is within 10 %.
    assert floor(spec) == pytest.approx(0.0025 * 1.32, rel=0.1)
    louder = with_part(spec, "electrodes", signal_to_floor_db=10.0)
    assert floor(louder) == pytest.approx(floor(spec) / 10, rel=1e-3)


@pytest.mark.parametrize("corner_hz", [10.0, 100.0, 300.0])
def test_flicker_noise_is_one_over_f_above_white(corner_hz: float) -> None:
    sections = flicker(corner_hz, 2000.0)
    for frequency_hz in (1.0, 3.0, 10.0, 30.0, 100.0, 300.0):
        gain = power_gain(sections, frequency_hz, 2000.0)
        # A ladder with one step in a factor of four stays within 2 dB of the straight line.
        assert gain == pytest.approx(1 + corner_hz / frequency_hz, rel=0.6)


def test_gain_and_impedance_differ_between_sessions_but_maps_and_place_do_not(world: World) -> None:
    later = draw_world(SMALL.model_copy(update={"session": 2}))
    assert np.array_equal(later.sheet.electrodes_mm, world.sheet.electrodes_mm)
    assert np.array_equal(later.maps.excitatory[2:], world.maps.excitatory[2:])
    assert not np.allclose(later.electrodes.gain, world.electrodes.gain)
    spread = np.concatenate([draw_electrodes(SMALL.model_copy(update={"session": k})).gain for k in range(1, 60)])
    assert 0.15 < spread.std() / spread.mean() < 0.30


def test_two_kilosamples_per_second_give_the_same_densities() -> None:
    def densities(rate_hz: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        spec = with_part(SMALL, "electrodes", mains_uv=(0.0, 0.0), gain_cv=(0.0, 0.0))
        spec = spec.model_copy(update={"rate_hz": rate_hz, "duration_s": 16.0})
        frequency, density = welch(lfp(draw_world(spec)), fs=rate_hz, nperseg=round(rate_hz), axis=0)
        middle = [(f[0] <= frequency) & (frequency < f[1]) for f in ((20, 60), (60, 120), (120, 220))]
        return np.array([density[band].mean() for band in middle])

    # Eight correlated channels of 30 windows: some 10 %; sampling the kernel more finely adds a few percent.
    assert densities(2000.0) / densities(1000.0) == pytest.approx(np.ones(3), abs=0.25)
