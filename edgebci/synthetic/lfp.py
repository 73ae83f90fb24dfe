"""LFP by the kernel method (Telenczuk et al. 2020): each spike of each cell leaves a small potential, and they add up.

The potential decays exponentially with distance, arrives later the farther it goes, and lasts as long as synaptic
currents do. Sources are the rate fields of `population`, of which no electrode records a cell; only `Leakage` hears
recorded spikes as well, faintly.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from scipy.signal import butter

from edgebci.synthetic import chance
from edgebci.synthetic.beta import BetaWaves, Bursts
from edgebci.synthetic.population import RateField, TuningMaps
from edgebci.synthetic.sheet import DelayedMixing, Sheet
from edgebci.synthetic.signals import F32, F64, StreamFilter, poles, power_gain, white_sd_uv
from edgebci.synthetic.specification import SyntheticSpec
from edgebci.synthetic.units import SpikeTrain, Units


class LocalField(Protocol):
    """How latents become potentials: one for each family of generators."""

    def next_uv(self, latents: F32, times_s: F64) -> tuple[F32, F32]:
        """Potentials (T, C) and the rate beside each electrode over its mean, (T, C)."""
        ...


class KernelField:
    """The potentials of both populations of the sheet."""

    def __init__(self, spec: SyntheticSpec, sheet: Sheet, maps: TuningMaps, bursts: Bursts) -> None:
        self._beta = BetaWaves(spec, sheet, bursts)
        self._lag_s = spec.beta.inhibitory_lag_ms / 1000
        self._under = sheet.nearest_patch()
        self._excitatory = _excitatory(spec, sheet, maps.excitatory)
        self._inhibitory = _inhibitory(spec, sheet, maps.inhibitory)

    def next_uv(self, latents: F32, times_s: F64) -> tuple[F32, F32]:
        """See `LocalField`."""
        potential, rate = self._excitatory.next_uv(latents, self._beta.at(times_s))
        potential += self._inhibitory.next_uv(latents, self._beta.at(times_s - self._lag_s))[0]
        return potential, rate[:, self._under]


class Population:
    """One population and the kernel of its cells.

    Args:
        rate: the population's rate field.
        amplitude_uv: peak of the potential of one spike beside the cell.
        decay_ms: how long it lasts.
    """

    def __init__(
        self, spec: SyntheticSpec, sheet: Sheet, rate: RateField, amplitude_uv: float, decay_ms: float
    ) -> None:
        self._rate, self._amplitude_uv = rate, np.float32(amplitude_uv)
        self._mixing = DelayedMixing(spec, sheet)
        corners_hz = tuple(1000 / (2 * np.pi * ms) for ms in (decay_ms, spec.kernel.rise_ms))
        self._kernel = StreamFilter(poles(corners_hz, spec.rate_hz, unit_peak=True), spec.n_channels)

    def next_uv(self, latents: F32, beta: F32) -> tuple[F32, F32]:
        """Potentials (T, C) and the patches' rates over their mean (T, G)."""
        counts, rate = self._rate.next_counts(latents, beta)
        # The kernel commutes with the mixing and comes after it, as there are fewer electrodes than patches.
        return self._amplitude_uv * self._kernel.push(self._mixing.push(counts)), rate


def _excitatory(spec: SyntheticSpec, sheet: Sheet, maps: F64) -> Population:
    population, kernel = spec.population, spec.kernel
    cells = population.n_cells * (1 - population.inhibitory_fraction) / sheet.n_patches
    rng = chance.for_session(spec, "excitatory cells")
    rate = RateField(spec, maps, cells, population.excitatory_rate_hz, rng)
    return Population(spec, sheet, rate, kernel.excitatory_amplitude_uv, kernel.excitatory_decay_ms)


def _inhibitory(spec: SyntheticSpec, sheet: Sheet, maps: F64) -> Population:
    population, kernel = spec.population, spec.kernel
    cells = population.n_cells * population.inhibitory_fraction / sheet.n_patches
    rng = chance.for_session(spec, "inhibitory cells")
    rate = RateField(spec, maps, cells, population.inhibitory_rate_hz, rng)
    return Population(spec, sheet, rate, kernel.inhibitory_amplitude_uv, kernel.inhibitory_decay_ms)


class Leakage:
    """What spikes leave above 100 Hz: of cells beside the electrode, in proportion to their rate, and of units."""

    def __init__(self, spec: SyntheticSpec, units: Units, train: SpikeTrain) -> None:
        leakage = spec.leakage
        sections = np.asarray(butter(2, leakage.corner_hz, "highpass", fs=spec.rate_hz, output="sos"))
        gain = power_gain(sections, 300.0 if spec.rate_hz > 600 else 200.0, spec.rate_hz)
        self._rng = chance.for_session(spec, "leakage")
        self._sd_uv = white_sd_uv(leakage.density_300hz_uv2_per_hz / gain, spec.rate_hz)
        self._unrecorded = StreamFilter(sections, spec.n_channels)
        self._recorded = StreamFilter(sections, spec.n_channels)
        self._spike_uv = -leakage.recorded_spike_uv_ms * spec.rate_hz / 1000
        self._rate_hz = spec.rate_hz
        self._sample = np.floor(train.times_s * spec.rate_hz).astype(np.int64)
        self._channel = units.channel[train.unit_index]

    def next_uv(self, relative_rate: F32, start: int) -> tuple[F32, F32]:
        """Leakage (T, C) of unrecorded and of recorded cells, from sample `start`."""
        noise = self._rng.standard_normal(relative_rate.shape, dtype=np.float32)
        noise *= np.float32(self._sd_uv) * np.sqrt(relative_rate)
        return self._unrecorded.push(noise), self._recorded.push(self._spikes(start, relative_rate.shape))

    def _spikes(self, start: int, shape: tuple[int, ...]) -> F32:
        first, last = np.searchsorted(self._sample, [start, start + shape[0]])
        impulses = np.zeros(shape, dtype=np.float32)
        np.add.at(impulses, (self._sample[first:last] - start, self._channel[first:last]), np.float32(self._spike_uv))
        return impulses
