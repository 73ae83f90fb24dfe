"""Latents: what a population shares. Spikes and LFP each have their own; `rho` of what is not behaviour is common.

Columns: 0, 1 velocity; 2 speed; 3, 4 position; 5 preparation; the rest is free of behaviour.

A behavioural latent is sqrt(1 - e) * behaviour + sqrt(e) * noise with e the encoding noise; a free latent is noise
alone. Every noise is sqrt(rho) * common + sqrt(1 - rho) * private. With rho = 0, spikes and LFP are independent once
behaviour is known, so that a teacher who sees spikes can't teach anything about LFP that the behaviour doesn't.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgebci.synthetic import chance
from edgebci.synthetic.behavior import Movement
from edgebci.synthetic.signals import F64, low_pass_noise, low_passed, standardized
from edgebci.synthetic.specification import LatentSpec, SyntheticSpec

N_BEHAVIORAL = 6
SPEED = 2


@dataclass(frozen=True)
class Latents:
    """Unit-variance latents at times_s (N,): of the spikes and of the LFP, (N, K) each."""

    times_s: F64
    spikes: F64
    lfp: F64


def draw_latents(spec: SyntheticSpec, movement: Movement) -> Latents:
    """Draw both sets of latents for a movement."""
    rng = chance.for_session(spec, "latents")
    rate_hz = spec.behavior.rate_hz
    corners_hz = rng.uniform(*spec.latents.low_pass_hz, spec.latents.n_latents)
    behaviour = _behavioral(spec, movement, corners_hz, rng)
    n = len(movement.times_s)
    common, of_spikes, of_lfp = (low_pass_noise(rng, n, corners_hz, rate_hz) for _ in range(3))
    gain = 0.0 if spec.linear else spec.latents.speed_gain
    return Latents(
        movement.times_s,
        *(
            _mixed(behaviour, np.sqrt(spec.latents.rho) * common + np.sqrt(1 - spec.latents.rho) * own, spec, gain)
            for own in (of_spikes, of_lfp)
        ),
    )


def latent_weights(spec: LatentSpec) -> F64:
    """Share of the population variance that each latent carries, (K,), as amplitudes; their squares sum to 1."""
    shares = np.array(
        [spec.velocity_share / 2] * 2 + [spec.speed_share] + [spec.position_share / 2] * 2 + [spec.preparation_share]
    )
    n_free = spec.n_latents - N_BEHAVIORAL
    behavioural = (1 - spec.free_variance_fraction) * shares / shares.sum()
    return np.asarray(np.sqrt(np.concatenate([behavioural, np.full(n_free, spec.free_variance_fraction / n_free)])))


def free_variance_fraction(latents: F64, weights: F64) -> float:
    """Part of the variance of latents (N, K) @ weights (K, M), over all M together, that is free of behaviour."""
    covariance = np.cov(latents.T)
    free = weights.copy()
    free[:N_BEHAVIORAL] = 0.0
    of_free, of_all = (float(np.einsum("km,kl,lm->", w, covariance, w)) for w in (free, weights))
    return of_free / of_all


def rotated(weights: F64, degrees: float) -> F64:
    """Turn the directional tuning of (K, M) weights: preferred directions move by `degrees`."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    turned = weights.copy()
    turned[:2] = np.array([[c, -s], [s, c]]) @ weights[:2]
    return turned


def session_rotation_deg(spec: SyntheticSpec) -> float:
    """How far tuning has turned since the subject's first session."""
    steps = (chance.for_subject(spec, "rotation", step) for step in range(1, spec.session))
    return float(sum(rng.choice([-1.0, 1.0]) * rng.uniform(*spec.units.tuning_rotation_deg) for rng in steps))


def _behavioral(spec: SyntheticSpec, movement: Movement, corners_hz: F64, rng: np.random.Generator) -> F64:
    """The six behavioural signals (N, 6), each ahead of the hand by its own lead, low-pass, of unit variance."""
    signals = np.column_stack([movement.velocity_cm_s, movement.speed_cm_s, movement.position_cm, movement.preparation])
    leads_s = rng.uniform(*spec.latents.lead_ms, N_BEHAVIORAL) / 1000
    ahead = [np.interp(movement.times_s + lead, movement.times_s, signals[:, k]) for k, lead in enumerate(leads_s)]
    smooth = low_passed(np.stack(ahead, axis=1), corners_hz[:N_BEHAVIORAL], spec.behavior.rate_hz)
    return standardized(smooth)


def _mixed(behaviour: F64, noise: F64, spec: SyntheticSpec, speed_gain: float) -> F64:
    noise_share = spec.latents.encoding_noise_fraction
    latents = noise.copy()
    latents[:, :N_BEHAVIORAL] = np.sqrt(1 - noise_share) * behaviour + np.sqrt(noise_share) * noise[:, :N_BEHAVIORAL]
    # Tuning to direction and place grows with speed (Moran & Schwartz 1999); bounded, as a gain can't be negative.
    gain = np.maximum(1 + speed_gain * latents[:, SPEED], 0.0)
    for column in (0, 1, 3, 4):
        latents[:, column] *= gain
    return standardized(latents)
