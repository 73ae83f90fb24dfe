"""Unrecorded cells as rate fields: every patch has an excitatory and an inhibitory population that follow the latents.

A patch of n cells at rate r fires n * r * dt spikes in a sample, with variance F * n * r * dt; F = 1 + (n - 1) * c is
large where cells have a noise correlation c. The mean carries the latents' slow wave, of which inhibition cancels most;
the noise, whose power follows the rate, carries them again at 70-400 Hz: another mixture of the same latents.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgebci.synthetic import chance
from edgebci.synthetic.latents import latent_weights, rotated, session_rotation_deg
from edgebci.synthetic.sheet import Sheet, smooth_maps
from edgebci.synthetic.signals import F32, F64
from edgebci.synthetic.specification import SyntheticSpec

MIN_RELATIVE_RATE = 0.05


@dataclass(frozen=True)
class TuningMaps:
    """Weights (K, G) with which each patch follows each latent; the drive of a patch has unit variance on average."""

    excitatory: F64
    inhibitory: F64


def draw_maps(spec: SyntheticSpec, sheet: Sheet) -> TuningMaps:
    """The subject's maps, as they stand in this session."""
    rng = chance.for_subject(spec, "maps")
    n = spec.latents.n_latents
    amplitude = latent_weights(spec.latents)[:, None]
    first, other = (smooth_maps(spec.population, sheet.patches_mm, n, rng) for _ in range(2))
    overlap = spec.population.inhibitory_map_overlap
    second = overlap * first + np.sqrt(1 - overlap**2) * other
    degrees = session_rotation_deg(spec)
    return TuningMaps(rotated(amplitude * first, degrees), rotated(amplitude * second, degrees))


class RateField:
    """One population on the sheet.

    Args:
        maps: (K, G) weights of the latents.
        cells: cells of one patch.
        rate_hz: mean rate of a cell.
        rng: its own stream of noise.
    """

    def __init__(self, spec: SyntheticSpec, maps: F64, cells: float, rate_hz: float, rng: np.random.Generator) -> None:
        self._maps = (spec.population.modulation_fraction * maps).astype(np.float32)
        self._responsive = spec.population.responsive_fraction
        self._linear = spec.linear
        self._mean = cells * rate_hz / spec.rate_hz
        self._variance = self._mean * (1 + max(cells - 1, 0.0) * spec.population.noise_correlation)
        self._rng = rng

    def relative_rate(self, latents: F32, beta: F32) -> tuple[F32, F32]:
        """The rate over its mean, (T, G): of the mean of the spike count and of its variance.

        They differ only in the linear control, where the logarithm of the variance is linear in the latents.
        """
        drive = latents @ self._maps
        if self._linear:
            drive *= self._responsive
            return 1 + drive + beta, np.exp(drive) * np.maximum(1 + beta, MIN_RELATIVE_RATE)
        # Of each patch only some cells follow the latents, and those can't fire less than not at all.
        drive += 1
        np.maximum(drive, 0, out=drive)
        drive *= self._responsive
        drive += beta
        drive += 1 - self._responsive
        np.maximum(drive, MIN_RELATIVE_RATE, out=drive)
        return drive, drive

    def next_counts(self, latents: F32, beta: F32) -> tuple[F32, F32]:
        """Spikes of each patch and sample beyond their mean, (T, G), and the rate over its mean, (T, G)."""
        mean, variance = self.relative_rate(latents, beta)
        # Uniform noise is drawn thrice as fast as normal, and an electrode hears so many patches that theirs is normal.
        counts = self._rng.random(mean.shape, dtype=np.float32)
        counts -= np.float32(0.5)
        counts *= np.sqrt(np.float32(12 * self._variance) * variance)
        counts += np.float32(self._mean) * (mean - 1)
        return counts, variance
