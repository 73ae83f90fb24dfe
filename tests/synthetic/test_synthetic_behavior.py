"""The hand moves as hands are known to, and the latents know of it ahead of time."""

from __future__ import annotations

import numpy as np
import pytest

from edgebci.synthetic import SyntheticSpec
from edgebci.synthetic.behavior import Submovement, trajectory
from edgebci.synthetic.generator import World
from edgebci.synthetic.latents import (
    N_BEHAVIORAL,
    draw_latents,
    free_variance_fraction,
    latent_weights,
    rotated,
    session_rotation_deg,
)
from edgebci.synthetic.signals import log_normal_drift


def test_a_reach_follows_the_minimum_jerk_polynomial() -> None:
    times_s = np.arange(0, 1.2, 0.001)
    position, velocity = trajectory(times_s, (Submovement(0.1, 0.8, (6.0, -3.0)),))
    assert position[-1] == pytest.approx([6.0, -3.0])
    # Peak speed of a minimum-jerk reach is 1.875 * length / duration (Flash & Hogan 1985), at its middle.
    assert np.hypot(*velocity.T).max() == pytest.approx(1.875 * np.hypot(6, 3) / 0.8, rel=1e-4)
    assert times_s[np.argmax(velocity[:, 0])] == pytest.approx(0.5, abs=0.002)


def test_velocity_is_the_derivative_of_position(long_world: World) -> None:
    movement = long_world.movement
    step_s = movement.times_s[1] - movement.times_s[0]
    numeric = np.gradient(movement.position_cm, step_s, axis=0)
    # Central differences at 100 Hz of segments whose third derivative jumps: within 2 % of the peak.
    assert np.abs(numeric - movement.velocity_cm_s).max() < 0.02 * np.abs(movement.velocity_cm_s).max()


def test_reaches_pauses_corrections_and_rest_are_as_specified(long_world: World) -> None:
    spec, movement = long_world.spec.behavior, long_world.movement
    reaches = [m for m in movement.submovements if not m.is_correction]
    durations = np.array([m.duration_s for m in reaches])
    assert spec.reach_s[0] <= durations.min() < durations.max() <= spec.reach_s[1]
    n_corrections = len(movement.submovements) - len(reaches)
    # 10 % of some 400 reaches, with a binomial standard deviation of 1.5 %.
    assert 0.05 < n_corrections / len(reaches) < 0.15
    lengths_s = np.diff(movement.rest_s, axis=1)
    assert len(lengths_s) >= 1
    assert np.all((lengths_s >= 30) & (lengths_s <= 90))
    for start, end in movement.rest_s:
        inside = (movement.times_s > start + 0.01) & (movement.times_s < end)
        assert movement.speed_cm_s[inside].max(initial=0.0) < 1e-9


def test_the_hand_stays_in_its_workspace(long_world: World) -> None:
    half = long_world.spec.behavior.workspace_half_width_cm
    # An uncorrected error of a fifth of the longest reach may lead beyond.
    assert np.abs(long_world.movement.position_cm).max() < half * (1 + 0.2 * 2 * np.sqrt(2))
    assert long_world.movement.position_cm.std() > half / 4


def test_engagement_is_log_normal_with_the_stated_spread() -> None:
    spec = SyntheticSpec(duration_s=600.0)
    drift = log_normal_drift(np.random.default_rng(0), 400_000, 1.0, spec.behavior.engagement_cv, 60.0)
    # 400,000 s hold some 3,300 independent values: the spread is known to about 2 %.
    assert drift.std() / drift.mean() == pytest.approx(0.3, rel=0.1)
    log = np.log(drift) - np.log(drift).mean()
    assert np.mean(log[60:] * log[:-60]) / np.mean(log**2) == pytest.approx(np.exp(-1), abs=0.06)


def test_latents_lead_the_hand(long_world: World) -> None:
    movement, latents = long_world.movement, long_world.latents
    for axis in (0, 1):
        velocity = movement.velocity_cm_s[200:-200, axis]
        lags = np.arange(-40, 41)
        agreement = [
            np.corrcoef(velocity, latents.lfp[200 - lag : len(latents.lfp) - 200 - lag, axis])[0, 1] for lag in lags
        ]
        lead_ms = 10 * lags[int(np.argmax(agreement))]
        # One frame beyond the specified 50-150 ms on either side, as frames are 10 ms.
        assert 40 <= lead_ms <= 160


def test_latents_have_unit_variance_and_free_ones_know_nothing_of_behaviour(long_world: World) -> None:
    movement, latents = long_world.movement, long_world.latents
    for side in (latents.spikes, latents.lfp):
        assert side.std(axis=0) == pytest.approx(np.ones(side.shape[1]))
        behaviour = np.column_stack([movement.velocity_cm_s, movement.speed_cm_s, movement.position_cm])
        cross = np.corrcoef(behaviour.T, side[:, N_BEHAVIORAL:].T)[:5, 5:]
        # Ten minutes hold about 1,000 independent values: four standard errors.
        assert np.abs(cross).max() < 0.13


def test_most_population_variance_is_free_of_behaviour(long_world: World) -> None:
    for latents, weights in (
        (long_world.latents.lfp, long_world.maps.excitatory),
        (long_world.latents.lfp, long_world.maps.inhibitory),
        (long_world.latents.spikes, long_world.units.weights),
    ):
        assert 0.6 <= free_variance_fraction(latents, weights) < 0.75


def test_weights_of_the_latents_sum_to_one_in_variance() -> None:
    weights = latent_weights(SyntheticSpec().latents)
    assert np.sum(weights**2) == pytest.approx(1.0)
    assert np.sum(weights[N_BEHAVIORAL:] ** 2) == pytest.approx(SyntheticSpec().latents.free_variance_fraction)


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_rho_is_the_correlation_of_what_is_not_behaviour(long_world: World, rho: float) -> None:
    spec = long_world.spec.model_copy(update={"latents": long_world.spec.latents.model_copy(update={"rho": rho})})
    latents = draw_latents(spec, long_world.movement)
    pairs = zip(latents.spikes.T[N_BEHAVIORAL:], latents.lfp.T[N_BEHAVIORAL:], strict=True)
    # Ten latents of some 4,000 independent values each: the mean is known to well under 0.02.
    assert np.mean([np.corrcoef(a, b)[0, 1] for a, b in pairs]) == pytest.approx(rho, abs=0.03)


def test_the_linear_control_has_no_speed_gain(long_world: World) -> None:
    linear = draw_latents(long_world.spec.model_copy(update={"linear": True}), long_world.movement).lfp
    speed, velocity = linear[:, 2], linear[:, 0]
    gained = long_world.latents.lfp
    moving = speed > 0
    ratio = velocity[moving].std() / velocity[~moving].std()
    assert gained[gained[:, 2] > 0, 0].std() / gained[gained[:, 2] <= 0, 0].std() > 1.2 * ratio


def test_rotation_turns_every_preferred_direction_and_nothing_else() -> None:
    weights = np.random.default_rng(0).standard_normal((8, 50))
    turned = rotated(weights, 15.0)
    angle = np.rad2deg(np.angle((turned[0] + 1j * turned[1]) / (weights[0] + 1j * weights[1])))
    assert angle == pytest.approx(np.full(50, 15.0))
    assert np.array_equal(turned[2:], weights[2:])


def test_each_session_turns_tuning_by_ten_to_twenty_degrees() -> None:
    angles = [session_rotation_deg(SyntheticSpec(session=k)) for k in range(1, 8)]
    steps = np.abs(np.diff(angles))
    assert angles[0] == 0.0
    assert np.all((steps >= 10) & (steps <= 20))
