"""Filters and noise with a stated density, streamed by chunk over (T, C) arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.signal import sosfilt, sosfreqz, zpk2sos

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]


class StreamFilter:
    """Second-order sections that carry their state from chunk to chunk.

    Args:
        sections: (n_sections, 6), as scipy.signal writes them.
        n_channels: columns of the signal.
    """

    def __init__(self, sections: F64, n_channels: int) -> None:
        self._sections = sections.astype(np.float32)
        self._state: F32 = np.zeros((len(sections), n_channels, 2), dtype=np.float32)

    def push(self, signal: F32) -> F32:
        """Filter (T, C) and remember where it stopped."""
        # Time last and contiguous: scipy walks one channel at a time.
        filtered, state = sosfilt(self._sections, np.ascontiguousarray(signal.T), axis=1, zi=self._state)
        self._state = np.asarray(state, dtype=np.float32)
        return np.asarray(filtered.T, dtype=np.float32)


def poles(corners_hz: tuple[float, ...], rate_hz: float, unit_peak: bool = False) -> F64:
    """Sections of real poles; unit gain at 0 Hz, or an impulse response with peak 1."""
    z = np.exp(-2 * np.pi * np.asarray(corners_hz) / rate_hz)
    sections = np.asarray(zpk2sos(np.zeros(len(z)), z, float(np.prod(1 - z))), dtype=np.float64)
    if unit_peak:
        impulse = np.zeros(round(rate_hz))
        impulse[0] = 1.0
        sections[0, :3] /= np.max(sosfilt(sections, impulse))
    return sections


def flicker(corner_hz: float, rate_hz: float, lowest_hz: float = 0.3) -> F64:
    """Sections whose power gain is close to 1 + corner/f above `lowest_hz`: a pole and a zero in every factor of 4."""
    zero_hz = 0.75 * corner_hz / 4.0 ** np.arange(1 + np.ceil(np.log(corner_hz / lowest_hz) / np.log(4)))
    zeros, poles_z = (np.exp(-2 * np.pi * hz / rate_hz) for hz in (zero_hz, zero_hz / 2))
    sections = np.asarray(zpk2sos(zeros, poles_z, 1.0), dtype=np.float64)
    # Exact at a quarter of the sampling rate, where decoders look and poles of a discrete filter are still faithful.
    wanted = 1 + 4 * corner_hz / rate_hz
    sections[0, :3] *= np.sqrt(wanted / power_gain(sections, rate_hz / 4, rate_hz))
    return sections


def power_gain(sections: F64, frequency_hz: float, rate_hz: float) -> float:
    """|H|^2 at one frequency."""
    _, response = sosfreqz(sections, worN=[frequency_hz], fs=rate_hz)
    return float(np.abs(response[0]) ** 2)


def white_sd_uv(density_uv2_per_hz: float, rate_hz: float) -> float:
    """Standard deviation of white samples with this one-sided density."""
    return float(np.sqrt(density_uv2_per_hz * rate_hz / 2))


def low_pass_noise(rng: np.random.Generator, n: int, corner_hz: F64, rate_hz: float) -> F64:
    """Gaussian noise (n, K) of unit variance; column k is low-pass at corner_hz[k]."""
    white = rng.standard_normal((n, len(corner_hz)))
    return standardized(low_passed(white, corner_hz, rate_hz))


def low_passed(signals: F64, corner_hz: F64, rate_hz: float) -> F64:
    """(n, K) columns, each smoothed by a Gaussian that passes half the power at corner_hz[k] and delays nothing."""
    sd = np.sqrt(np.log(2)) / (2 * np.pi * corner_hz) * rate_hz
    return np.stack([gaussian_filter1d(signals[:, k], sd[k]) for k in range(signals.shape[1])], axis=1)


def standardized(signals: F64) -> F64:
    """Columns with mean 0 and variance 1; a constant column becomes 0."""
    sd = signals.std(axis=0)
    centred: F64 = (signals - signals.mean(axis=0)) / np.where(sd > 0, sd, 1.0)
    return centred


def log_normal_drift(rng: np.random.Generator, n: int, rate_hz: float, cv: float, time_constant_s: float) -> F64:
    """A positive factor (n,) with median 1 and coefficient of variation `cv`, first-order in its logarithm."""
    log_sd = np.sqrt(np.log1p(cv**2))
    decay = np.exp(-1.0 / (rate_hz * time_constant_s))
    noise = rng.standard_normal(n)
    noise[1:] *= np.sqrt(1 - decay**2)
    drift: F64 = np.exp(log_sd * sosfilt([[1, 0, 0, 1, -decay, 0]], noise))
    return drift
