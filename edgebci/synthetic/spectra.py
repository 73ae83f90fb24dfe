"""Level, spectrum, coherence and autocorrelation of LFP, for judging a synthetic recording and for drawing it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, csd, sosfilt, welch

from edgebci.synthetic.signals import F32, F64

WINDOW_S = 1.0
MAINS_WIDTH_HZ = 3.0
MAX_PAIRS = 40


@dataclass(frozen=True)
class Spectrum:
    """One-sided density_uv2_per_hz (F,) at frequency_hz (F,): the median over channels."""

    frequency_hz: F64
    density_uv2_per_hz: F64

    def density_near(self, frequency_hz: float, mains_hz: float) -> float:
        """Median density within 15 % of a frequency, without mains and its harmonics."""
        near = np.abs(self.frequency_hz - frequency_hz) <= 0.15 * frequency_hz
        return float(np.median(self.density_uv2_per_hz[near & ~near_mains(self.frequency_hz, mains_hz)]))

    def slope(self, low_hz: float, high_hz: float, mains_hz: float) -> float:
        """The x of a density that falls as 1/f^x between two frequencies, by least squares over log f."""
        band = (self.frequency_hz >= low_hz) & (self.frequency_hz <= high_hz)
        band &= ~near_mains(self.frequency_hz, mains_hz)
        log_f, log_density = np.log(self.frequency_hz[band]), np.log(self.density_uv2_per_hz[band])
        # A weight of 1/f gives every octave the same say.
        return -float(np.polyfit(log_f, log_density, 1, w=1 / np.sqrt(self.frequency_hz[band]))[0])


def densities(lfp_uv: F32, rate_hz: float, window_s: float = WINDOW_S) -> tuple[F64, F64]:
    """Welch's estimate of (T, C): frequencies (F,) above 0 and one-sided density of each channel (F, C)."""
    frequency, density = welch(lfp_uv, fs=rate_hz, nperseg=round(window_s * rate_hz), axis=0)
    return np.asarray(frequency[1:], dtype=np.float64), np.asarray(density[1:], dtype=np.float64)


def spectrum(lfp_uv: F32, rate_hz: float) -> Spectrum:
    """The median channel of (T, C)."""
    frequency, density = densities(lfp_uv, rate_hz)
    return Spectrum(frequency, np.median(density, axis=1))


def near_mains(frequency_hz: F64, mains_hz: float) -> NDArray[np.bool_]:
    """Which frequencies lie within 3 Hz of mains or a harmonic."""
    off = np.abs(frequency_hz - np.maximum(np.round(frequency_hz / mains_hz), 1) * mains_hz)
    return np.asarray(off < MAINS_WIDTH_HZ)


def level_uv(lfp_uv: F32, rate_hz: float, low_hz: float = 0.5, high_hz: float = 300.0) -> float:
    """Root mean square in a band, median over channels of (T, C)."""
    band = butter(2, (low_hz, min(high_hz, 0.45 * rate_hz)), "bandpass", fs=rate_hz, output="sos")
    filtered = sosfilt(band, lfp_uv.astype(np.float64), axis=0)[round(2 * rate_hz) :]
    return float(np.median(np.sqrt(np.mean(filtered**2, axis=0))))


def band_power(lfp_uv: F32, rate_hz: float, low_hz: float, high_hz: float) -> F64:
    """Squared signal (T, C) in a band, microvolt squared."""
    band = butter(2, (low_hz, high_hz), "bandpass", fs=rate_hz, output="sos")
    return np.asarray(sosfilt(band, lfp_uv.astype(np.float64), axis=0) ** 2)


def coherence(
    lfp_uv: F32, rate_hz: float, positions_mm: F64, distance_mm: float, band_hz: tuple[float, float], mains_hz: float
) -> float:
    """Magnitude-squared coherence, mean over a band without mains and over pairs of channels at a distance."""
    pairs = _pairs_at(positions_mm, distance_mm)
    first, second = lfp_uv[:, pairs[:, 0]], lfp_uv[:, pairs[:, 1]]
    window = round(WINDOW_S * rate_hz)
    frequency, cross = csd(first, second, fs=rate_hz, nperseg=window, axis=0)
    of_first, of_second = (welch(x, fs=rate_hz, nperseg=window, axis=0)[1] for x in (first, second))
    band = (frequency >= band_hz[0]) & (frequency <= band_hz[1]) & ~near_mains(np.asarray(frequency), mains_hz)
    return float(np.mean(np.abs(cross[band]) ** 2 / (of_first[band] * of_second[band])))


def correlation_time_s(signal: NDArray[np.floating], rate_hz: float, longest_s: float = 2.0) -> float:
    """First lag at which the autocorrelation of (T, C), averaged over channels, is below 1/e."""
    centred = np.asarray(signal, dtype=np.float64) - signal.mean(axis=0)
    n = len(centred)
    power = np.abs(np.fft.rfft(centred, 2 * n, axis=0)) ** 2
    correlation = np.fft.irfft(power, axis=0)[: round(longest_s * rate_hz)]
    mean = np.mean(correlation / correlation[0], axis=1)
    below = np.flatnonzero(mean < np.exp(-1))
    return float(below[0] / rate_hz) if len(below) else longest_s


def _pairs_at(positions_mm: F64, distance_mm: float) -> NDArray[np.int64]:
    distance = np.linalg.norm(positions_mm[:, None] - positions_mm[None], axis=2)
    first, second = np.nonzero(np.triu(np.abs(distance - distance_mm) < 0.05))
    every = max(1, len(first) // MAX_PAIRS)
    return np.column_stack([first, second])[::every]
