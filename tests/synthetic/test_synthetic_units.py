"""Recorded units fire as sorted neurons do, and change from session to session."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from edgebci.synthetic import SyntheticSpec
from edgebci.synthetic.generator import World
from edgebci.synthetic.units import Units, draw_units, fire


def preferred_deg(units: Units) -> dict[int, float]:
    directions = np.rad2deg(np.arctan2(units.weights[1], units.weights[0]))
    return dict(zip(units.identity.tolist(), directions.tolist(), strict=True))


def test_no_spike_follows_within_the_refractory_time(long_world: World) -> None:
    train = long_world.spikes
    intervals = np.concatenate(
        [np.diff(train.times_s[train.unit_index == unit]) for unit in range(long_world.spec.units.n_units)]
    )
    assert len(intervals) > 10_000
    assert intervals.min() >= long_world.spec.units.refractory_ms / 1000


def test_spikes_are_in_order_and_inside_the_recording(long_world: World) -> None:
    times_s = long_world.spikes.times_s
    assert np.all(np.diff(times_s) >= 0)
    assert times_s[0] >= 0
    assert times_s[-1] < long_world.spec.duration_s


def test_refractoriness_and_noise_leave_the_mean_rates_alone(long_world: World) -> None:
    counts = np.bincount(long_world.spikes.unit_index, minlength=long_world.spec.units.n_units)
    ratio = counts / long_world.spec.duration_s / long_world.units.rate_hz
    # Slow private gain and rectification move single units by some percent; the population by less.
    assert np.median(ratio) == pytest.approx(1.0, abs=0.06)
    assert np.std(ratio) < 0.12


def test_rates_are_log_normal_about_the_stated_median() -> None:
    spec = SyntheticSpec()
    units = draw_units(spec.model_copy(update={"units": spec.units.model_copy(update={"n_units": 1000})}))
    log_rate = np.log(units.rate_hz)
    # A thousand draws: standard error of the mean of the logarithm is 0.02.
    assert np.exp(log_rate.mean()) == pytest.approx(6.5, rel=0.06)
    assert log_rate.std() == pytest.approx(0.6, rel=0.1)


def test_modulation_of_each_unit_is_within_its_range(long_world: World) -> None:
    depth = np.linalg.norm(long_world.units.weights, axis=0)
    assert 0.2 <= depth.min() < depth.max() <= 0.6


def test_a_tenth_to_a_third_of_units_turn_over_and_the_rest_turn(long_world: World) -> None:
    spec = long_world.spec
    sessions = [draw_units(spec.model_copy(update={"session": k})) for k in (1, 2, 3)]
    for before, after in itertools.pairwise(sessions):
        old, new = preferred_deg(before), preferred_deg(after)
        kept = old.keys() & new.keys()
        assert 0.1 <= 1 - len(kept) / len(old) <= 0.3
        turns = np.array([(new[k] - old[k] + 180) % 360 - 180 for k in sorted(kept)])
        assert turns == pytest.approx(np.full(len(turns), turns[0]))
        assert 10 <= abs(turns[0]) <= 20


def test_names_are_equal_only_for_the_same_unit() -> None:
    first, fifth = (draw_units(SyntheticSpec(session=k)) for k in (1, 5))
    same = np.array(first.names) == np.array(fifth.names)
    assert 0.1 < same.mean() < 0.9
    assert np.array_equal(first.rate_hz[same], fifth.rate_hz[same])
    assert not np.any(first.rate_hz[~same] == fifth.rate_hz[~same])


def test_spikes_shifted_for_the_control_are_the_same_spikes_elsewhere(long_world: World) -> None:
    spec = long_world.spec.model_copy(update={"spike_shuffle": True})
    shifted = fire(spec, long_world.units, long_world.latents)
    assert np.array_equal(np.bincount(shifted.unit_index), np.bincount(long_world.spikes.unit_index))
    assert np.all(np.diff(shifted.times_s) >= 0)
    bins = np.arange(0, spec.duration_s + 1)
    before, after = (np.histogram(train.times_s, bins)[0] for train in (long_world.spikes, shifted))
    spectra = [np.fft.rfft(counts - counts.mean()) for counts in (before, after)]
    agreement = np.fft.irfft(spectra[1] * np.conj(spectra[0]), len(before))
    # Seconds are not cut at the same moments after the shift, so agreement is high but not whole.
    assert agreement.max() > 0.5 * np.sum((before - before.mean()) ** 2)
    assert 0.25 <= np.argmax(agreement) / spec.duration_s <= 0.75
