"""Beta: short bursts that travel over the sheet as a modulation of all rates, fewer and weaker in movement."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgebci.synthetic import chance
from edgebci.synthetic.latents import SPEED, Latents
from edgebci.synthetic.sheet import Sheet
from edgebci.synthetic.signals import F32, F64
from edgebci.synthetic.specification import SyntheticSpec


@dataclass(frozen=True)
class Bursts:
    """One row for each burst, in order of time: (K,) each, wave vector and centre (K, 2)."""

    start_s: F64
    duration_s: F64
    frequency_hz: F64
    modulation: F64
    wave_rad_per_mm: F64
    centre_mm: F64


def draw_bursts(spec: SyntheticSpec, latents: Latents) -> Bursts:
    """Draw the bursts of a session; their strength follows the LFP's speed latent and nothing else of the movement."""
    beta, rng = spec.beta, chance.for_session(spec, "beta")
    n = int(rng.poisson(beta.burst_rate_hz * spec.duration_s))
    start_s = np.sort(rng.uniform(0, spec.duration_s, n))
    frequency_hz = rng.uniform(*beta.frequency_hz, n)
    direction = rng.uniform(0, 2 * np.pi, n)
    wave = 2 * np.pi * frequency_hz / (1000 * rng.uniform(*beta.wave_m_per_s, n))
    half = spec.population.sheet_mm / 2
    strength = beta.modulation_fraction * np.exp(beta.amplitude_log_sd * rng.standard_normal(n))
    return Bursts(
        start_s,
        rng.uniform(*beta.burst_s, n),
        frequency_hz,
        strength * (1 - beta.desynchronization_fraction * _movement(latents, start_s)),
        # rad/m to rad/mm was done by the factor 1000 above.
        wave[:, None] * np.column_stack([np.cos(direction), np.sin(direction)]),
        rng.uniform(-half, half, (n, 2)),
    )


class BetaWaves:
    """The bursts as a modulation of the patches' rates, by chunk."""

    def __init__(self, spec: SyntheticSpec, sheet: Sheet, bursts: Bursts) -> None:
        self._bursts, self._patches_mm, self._extent_mm = bursts, sheet.patches_mm, spec.beta.extent_mm

    def at(self, times_s: F64) -> F32:
        """Modulation (T, G) at ascending times."""
        waves = np.zeros((len(times_s), len(self._patches_mm)), dtype=np.float32)
        ends_s = self._bursts.start_s + self._bursts.duration_s
        for k in np.flatnonzero((self._bursts.start_s <= times_s[-1]) & (ends_s >= times_s[0])):
            first, last = np.searchsorted(times_s, [self._bursts.start_s[k], ends_s[k]])
            waves[first:last] += self._burst(int(k), times_s[first:last])
        return waves

    def _burst(self, k: int, times_s: F64) -> F32:
        burst = self._bursts
        since_s = times_s - burst.start_s[k]
        envelope = burst.modulation[k] * np.sin(np.pi * since_s / burst.duration_s[k]) ** 2
        phase = 2 * np.pi * burst.frequency_hz[k] * since_s
        place = self._patches_mm @ burst.wave_rad_per_mm[k]
        centre_mm = np.linalg.norm(self._patches_mm - burst.centre_mm[k], axis=1)
        extent = np.exp(-0.5 * (centre_mm / self._extent_mm) ** 2)
        in_time = np.column_stack([envelope * np.cos(phase), envelope * np.sin(phase)]).astype(np.float32)
        # cos(phase - place), as a sum of two products of time and place.
        in_space = np.stack([extent * np.cos(place), extent * np.sin(place)]).astype(np.float32)
        return in_time @ in_space


def _movement(latents: Latents, at_s: F64) -> F64:
    """From 0 at rest to 1 in full movement, as the LFP's own noisy latent of speed has it."""
    speed = np.interp(at_s, latents.times_s, latents.lfp[:, SPEED])
    return np.asarray(1 / (1 + np.exp(-3 * speed)))
