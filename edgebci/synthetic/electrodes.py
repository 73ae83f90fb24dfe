"""Electrodes and amplifier of one session: gain, impedance, dead and noisy channels, floor, mains."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter

from edgebci.synthetic import chance
from edgebci.synthetic.signals import F32, F64, StreamFilter, flicker, white_sd_uv
from edgebci.synthetic.specification import SyntheticSpec


@dataclass(frozen=True)
class Electrodes:
    """One value for each channel: gain, impedance over its mean, dead, noisy, (C,); mains_uv rms (C,)."""

    gain: F64
    relative_impedance: F64
    is_dead: NDArray[np.bool_]
    is_noisy: NDArray[np.bool_]
    mains_uv: F64


def draw_electrodes(spec: SyntheticSpec) -> Electrodes:
    """Draw the state of the array in this session."""
    electrodes, n = spec.electrodes, spec.n_channels
    rng = chance.for_session(spec, "electrodes")
    gain, impedance = (_log_normal(rng, n, rng.uniform(*electrodes.gain_cv)) for _ in range(2))
    order = rng.permutation(n)
    n_dead = round(n * rng.uniform(*electrodes.dead_fraction))
    n_noisy = round(n * electrodes.noisy_fraction)
    place = np.argsort(order)
    mains_uv = rng.uniform(*electrodes.mains_uv) * _log_normal(rng, n, 0.3)
    return Electrodes(gain, impedance, place < n_dead, (place >= n_dead) & (place < n_dead + n_noisy), mains_uv)


class Amplifier:
    """Turns potentials at the electrodes into the recorded signal."""

    def __init__(self, spec: SyntheticSpec, electrodes: Electrodes) -> None:
        n = spec.n_channels
        self._rng = chance.for_session(spec, "amplifier")
        self._gain = np.where(electrodes.is_dead, 0.0, electrodes.gain).astype(np.float32)
        self._floor_uv = floor_sd_uv(spec, electrodes).astype(np.float32)
        self._flicker = StreamFilter(flicker(spec.electrodes.flicker_corner_hz, spec.rate_hz), n)
        self._high_pass = _high_pass(spec, n)
        self._mains = Mains(spec, electrodes)

    def record(self, potential_uv: F32, times_s: F64) -> F32:
        """The recorded signal (T, C) for the potentials (T, C)."""
        white = self._rng.standard_normal(potential_uv.shape, dtype=np.float32)
        recorded = self._gain * potential_uv + self._flicker.push(self._floor_uv * white) + self._mains.at(times_s)
        return self._high_pass.push(recorded) if self._high_pass else recorded


class Mains:
    """Mains and its harmonics, in phase on all channels but for a little."""

    def __init__(self, spec: SyntheticSpec, electrodes: Electrodes) -> None:
        rng = chance.for_session(spec, "mains")
        relative = np.asarray(spec.electrodes.mains_harmonics)
        number = 1 + np.arange(len(relative))
        keep = number * spec.electrodes.mains_hz < spec.rate_hz / 2
        self._frequency_hz = number[keep] * (spec.electrodes.mains_hz + rng.uniform(-0.02, 0.02))
        phase = rng.uniform(0, 2 * np.pi, (keep.sum(), 1)) + 0.2 * rng.standard_normal((keep.sum(), spec.n_channels))
        amplitude = np.sqrt(2) * np.outer(relative[keep] / np.linalg.norm(relative), electrodes.mains_uv)
        # sin(a + b) as two products: of time, and of channel.
        self._weights = np.concatenate([amplitude * np.cos(phase), amplitude * np.sin(phase)]).astype(np.float32)

    def at(self, times_s: F64) -> F32:
        """Mains on every channel, (T, C) in microvolt."""
        angle = 2 * np.pi * np.outer(times_s, self._frequency_hz)
        return np.concatenate([np.sin(angle), np.cos(angle)], axis=1).astype(np.float32) @ self._weights


def floor_sd_uv(spec: SyntheticSpec, electrodes: Electrodes) -> F64:
    """Standard deviation of the white part of each channel's floor, (C,)."""
    electrode = spec.electrodes
    floor_uv_per_rthz = electrode.floor_nv_per_rthz / 1000 * 10 ** (-electrode.signal_to_floor_db / 20)
    # Thermal noise grows with the root of the impedance.
    factor = np.sqrt(electrodes.relative_impedance)
    factor[electrodes.is_noisy] *= electrode.noisy_floor_factor
    return np.asarray(white_sd_uv(floor_uv_per_rthz**2, spec.rate_hz) * factor)


def _high_pass(spec: SyntheticSpec, n_channels: int) -> StreamFilter | None:
    corner_hz = spec.electrodes.high_pass_hz
    if corner_hz == 0:
        return None
    return StreamFilter(butter(1, corner_hz, "highpass", fs=spec.rate_hz, output="sos"), n_channels)


def _log_normal(rng: np.random.Generator, n: int, cv: float) -> F64:
    log_sd = np.sqrt(np.log1p(cv**2))
    return np.asarray(np.exp(log_sd * rng.standard_normal(n) - log_sd**2 / 2))
