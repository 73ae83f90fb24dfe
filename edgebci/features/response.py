"""How long a feature remembers: what a gap between training and test has to cover."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import scipy
from numpy.typing import NDArray

from edgebci.features.specification import FeatureSpec, LowPass

F64 = NDArray[np.float64]

FORGOTTEN = 0.01
"""Of the largest value of the response."""


def memory_s(spec: FeatureSpec) -> float:
    """Time from a sample to the last moment at which it still moves some feature by 1 % of its largest effect.

    lmp and raw: the magnitude |h| of the filter's impulse response. Band power: |h| exponentially averaged, plus the
    frame over which squares are summed; |h| and not h^2, because in a square the old sample multiplies what it meets.
    The normaliser is left out: it holds statistics, not the signal.
    """
    rate_hz = spec.rate_hz
    low_passes = [lp for lp in (spec.lmp, spec.raw) if lp]
    lengths = [_forgotten(partial(_low_pass_response, low_passed_sos(lp, rate_hz))) for lp in low_passes]
    decay = math.exp(-1.0 / (spec.power_tau_s * rate_hz))
    for band in spec.bands:
        corners = (band.low_hz / rate_hz, band.high_hz / rate_hz)
        lengths.append(_forgotten(partial(_power_response, band.order, corners, decay)) + spec.samples_per_frame)
    return max(lengths) / rate_hz


def _forgotten(response: Callable[[int], F64]) -> int:
    """Samples until the response, asked for by length, stays under 1 % of its peak."""
    length = 4096
    while True:
        magnitude = np.abs(response(length))
        samples = int(np.flatnonzero(magnitude >= FORGOTTEN * magnitude.max())[-1]) + 1
        if samples < length // 2:
            return samples
        length *= 2


def low_passed_sos(low_pass: LowPass, rate_hz: float) -> F64:
    """SciPy's second-order sections of a low-pass and of the high-pass before it."""
    low: F64 = scipy.signal.butter(low_pass.order, low_pass.corner_hz, fs=rate_hz, output="sos")
    if not low_pass.high_pass_hz:
        return low
    return np.vstack([scipy.signal.butter(2, low_pass.high_pass_hz, "highpass", fs=rate_hz, output="sos"), low])


def _low_pass_response(sos: F64, length: int) -> F64:
    return np.asarray(scipy.signal.sosfilt(sos, scipy.signal.unit_impulse(length)))


def _power_response(order: int, corners: tuple[float, float], decay: float, length: int) -> F64:
    sos = scipy.signal.butter(order, corners, "bandpass", fs=1.0, output="sos")
    magnitude = np.abs(scipy.signal.sosfilt(sos, scipy.signal.unit_impulse(length)))
    return np.asarray(scipy.signal.lfilter([1.0 - decay], [1.0, -decay], magnitude))
