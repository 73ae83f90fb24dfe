"""The second family of generators: 1/f noise and oscillators, without cells, kernels or delays.

The latents drive the logarithm of the amplitude of both, and, through other maps, a slow wave. A conclusion that holds
in this family and in that of `lfp` does not hang on how LFP is thought to arise.
"""

from __future__ import annotations

import numpy as np
from scipy.signal import butter

from edgebci.synthetic import chance
from edgebci.synthetic.beta import BetaWaves, Bursts
from edgebci.synthetic.population import TuningMaps
from edgebci.synthetic.sheet import Sheet, between
from edgebci.synthetic.signals import F32, F64, StreamFilter, poles, power_gain, white_sd_uv
from edgebci.synthetic.specification import SyntheticSpec


class OscillatorField:
    """Potentials at the electrodes; see `edgebci.synthetic.lfp.LocalField`."""

    def __init__(self, spec: SyntheticSpec, sheet: Sheet, maps: TuningMaps, bursts: Bursts) -> None:
        oscillators = spec.oscillators
        under = sheet.nearest_patch()
        self._rng = chance.for_session(spec, "oscillators")
        self._power_map = (oscillators.power_depth * maps.excitatory[:, under]).astype(np.float32)
        # Without the kernels' maps of opposite sign, the inhibitory map alone is the other mixture.
        self._wave_map = (oscillators.slow_wave_uv * maps.inhibitory[:, under]).astype(np.float32)
        self._footprint = _footprint(sheet, oscillators.correlation_mm)
        self._sources = _sources(spec)
        self._beta, self._beta_uv, self._under = BetaWaves(spec, sheet, bursts), np.float32(oscillators.beta_uv), under

    def next_uv(self, latents: F32, times_s: F64) -> tuple[F32, F32]:
        """See `LocalField`."""
        relative_power = np.exp(latents @ self._power_map)
        shape = relative_power.shape
        noise = np.zeros(shape, dtype=np.float32)
        for source, sd_uv in self._sources:
            white = self._rng.standard_normal(shape, dtype=np.float32)
            noise += source.push(sd_uv * (white @ self._footprint))
        potential = np.sqrt(relative_power) * noise + latents @ self._wave_map
        potential += self._beta_uv * self._beta.at(times_s)[:, self._under]
        return potential, relative_power


def _footprint(sheet: Sheet, extent_mm: float) -> F32:
    """(C, C): spreads independent noise over neighbours and leaves its variance at 1."""
    spread = np.exp(-0.5 * (between(sheet.electrodes_mm, sheet.electrodes_mm) / extent_mm) ** 2)
    return np.asarray(spread / np.linalg.norm(spread, axis=0), dtype=np.float32)


def _sources(spec: SyntheticSpec) -> list[tuple[StreamFilter, np.float32]]:
    """One filter of white noise, and its level, for the 1/f noise and for each oscillator."""
    oscillators, rate_hz, n = spec.oscillators, spec.rate_hz, spec.n_channels
    falling = poles(oscillators.corners_hz, rate_hz)
    level = white_sd_uv(oscillators.density_100hz_uv2_per_hz / power_gain(falling, 100.0, rate_hz), rate_hz)
    sources = [(StreamFilter(falling, n), np.float32(level))]
    for (low_hz, high_hz), rms_uv in zip(oscillators.bands_hz, oscillators.bands_uv, strict=True):
        resonance = np.asarray(butter(1, (low_hz, high_hz), "bandpass", fs=rate_hz, output="sos"))
        # A first-order band-pass lets through noise of pi / 2 times its width.
        density = rms_uv**2 / (np.pi / 2 * (high_hz - low_hz))
        sources.append((StreamFilter(resonance, n), np.float32(white_sd_uv(density, rate_hz))))
    return sources
