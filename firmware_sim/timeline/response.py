"""How late each feature is by itself: its response to one sample, seen from the last sample of a frame.

    lmp, raw    the impulse response h of their filters
    band power  h^2, summed over the frame and averaged over frames: what one sample adds to the power

The delay is where half of what the response does (its energy, or the power that it adds) lies earlier on average: its
centroid. It is part of the effective lag of whatever is decoded, not of the transport.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from edgebci.features.coefficients import power_rate
from edgebci.features.response import low_passed_sos
from edgebci.features.specification import Band, FeatureSpec, LowPass

F64 = NDArray[np.float64]

MEMORIES = 2.0
"""Of the feature's memory, to where its response is followed: past it, under 1 % of its largest value is left."""


@dataclass(frozen=True)
class FeatureDelay:
    """How late a feature is, in ms after the sample that it answers to.

    Fields:
        kind: as in `FeatureSpec.kinds`.
        delay_ms: centroid of the response. peak_ms: its largest value. settled_ms: 90 % of it have come.
    """

    kind: str
    delay_ms: float
    peak_ms: float
    settled_ms: float


def feature_delays(spec: FeatureSpec) -> tuple[FeatureDelay, ...]:
    """The delays of all features of one channel, in their order."""
    return tuple(_delay(spec, kind, response) for kind, response in feature_responses(spec).items())


def feature_responses(spec: FeatureSpec) -> dict[str, F64]:
    """What one sample does to each feature, by kind: (n,), entry i as seen by a frame whose last sample is i later.

    In uV per uV for lmp and raw, in uV^2 per uV^2 of power for bands, before the logarithm.
    """
    n = math.ceil(MEMORIES * spec.memory_s * spec.rate_hz)
    powers = {band.name: _power_response(spec, band, n) for band in spec.bands}
    low_passes = (("lmp", spec.lmp), ("raw", spec.raw))
    return powers | {name: _filtered(spec, low_pass, n) for name, low_pass in low_passes if low_pass}


def _filtered(spec: FeatureSpec, low_pass: LowPass, n: int) -> F64:
    return np.asarray(signal.sosfilt(low_passed_sos(low_pass, spec.rate_hz), signal.unit_impulse(n)))


def _power_response(spec: FeatureSpec, band: Band, n: int) -> F64:
    """h^2 under the weight that a square has at the end of its frame, one frame later, and so on."""
    sos = signal.butter(band.order, (band.low_hz, band.high_hz), "bandpass", fs=spec.rate_hz, output="sos")
    squared = np.asarray(signal.sosfilt(sos, signal.unit_impulse(n))) ** 2
    rate, d = power_rate(spec), spec.samples_per_frame
    weight = rate * (1.0 - rate) ** (np.arange(n) // d) / d
    return np.asarray(signal.fftconvolve(squared, weight)[:n])


def _delay(spec: FeatureSpec, kind: str, response: F64) -> FeatureDelay:
    done = response**2 if kind in ("lmp", "raw") else np.maximum(response, 0.0)
    lags_ms = np.arange(len(done)) / spec.rate_hz * 1e3
    come = np.cumsum(done) / done.sum()
    return FeatureDelay(
        kind=kind,
        delay_ms=float(done @ lags_ms / done.sum()),
        peak_ms=float(lags_ms[np.argmax(np.abs(response))]),
        settled_ms=float(lags_ms[np.searchsorted(come, 0.9)]),
    )
