"""How far the device's float32 filters are from SciPy's in float64, on the signal that is hardest for them.

That is ten minutes of 1/f signal under an electrode's offset, which is a thousand times larger than the signal.
"""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import NDArray

from edgebci.arithmetic import I32
from edgebci.features.cases import front_end_for
from edgebci.features.coefficients import device_coefficients
from edgebci.features.conditioning import Conditioner
from edgebci.features.device import FilterBank
from edgebci.features.response import low_passed_sos
from edgebci.features.specification import Adc, Band, FeatureSpec, LowPass

F64 = NDArray[np.float64]

RATE_HZ = 1000.0
DURATION_S = 600
SETTLED_S = 300
"""The second offset comes after 60 s; four minutes later every filter has forgotten its arrival."""
OFFSET_UV = 50_000.0
SIGNAL_UV = 60.0


def hard_spec(rate_hz: float = RATE_HZ) -> FeatureSpec:
    """Bands down to 0.05 Hz at 1 kS/s and the lowest low-pass allowed; at another rate all corners go with the rate."""
    slower = rate_hz / RATE_HZ
    return FeatureSpec(
        rate_hz=rate_hz,
        frame_rate_hz=5.0,
        adc=Adc(bits=24),
        reference="none",
        bands=tuple(
            Band(low_hz=low * slower, high_hz=high * slower)
            for low, high in ((0.025, 0.05), (0.05, 0.5), (0.5, 4), (1, 4), (12, 30), (60, 200))
        ),
        lmp=LowPass(corner_hz=5.0 * slower, high_pass_hz=0.025 * slower),
        raw=LowPass(corner_hz=0.025 * slower, high_pass_hz=0),
    )


def one_over_f_counts(adc: Adc, rate_hz: float) -> I32:
    """(T, 3) counts of 1/f signals of 60 uVrms.

    50 mV stand on channel 0 from the first sample on and leave channel 2 right after it; on channel 1 they arrive
    after a minute. Subtracting the first sample helps channel 0 only.
    """
    n = round(DURATION_S * rate_hz)
    rng = np.random.default_rng(7)
    frequency = np.fft.rfftfreq(n, 1.0 / rate_hz)[:, None]
    frequency[0] = np.inf
    spectrum = (rng.normal(size=(len(frequency), 3)) + 1j * rng.normal(size=(len(frequency), 3))) / np.sqrt(frequency)
    lfp_uv = np.fft.irfft(spectrum, n, axis=0)
    lfp_uv *= SIGNAL_UV / lfp_uv.std(axis=0)
    lfp_uv[:, 0] += OFFSET_UV
    lfp_uv[round(60 * rate_hz) :, 1] += OFFSET_UV
    lfp_uv[0, 2] += OFFSET_UV
    return adc.counts(lfp_uv).astype(np.int32)


def float32_error_db(spec: FeatureSpec, counts: I32) -> F64:
    """Error of each filter over its signal in decibel, (kinds, C), from `SETTLED_S` on."""
    coefficients = device_coefficients(front_end_for(spec, np.ones(counts.shape[1], dtype=bool)))
    steps = Conditioner(coefficients.integer_path).push(counts).steps
    bank = FilterBank(coefficients)
    device = np.concatenate([bank.filter_frame(x) for x in steps.astype(np.float32) * coefficients.uv_per_step])
    exact_uv = steps.reshape(len(counts), -1) * spec.adc.uv_per_count
    settled = slice(round(SETTLED_S * spec.rate_hz), None)
    errors = []
    for i, (chain, sos) in enumerate(zip(coefficients.chains, designed_by_scipy(spec), strict=True)):
        truth = scipy.signal.sosfilt(sos, exact_uv, axis=0)[settled]
        # A low-pass keeps the offset; only what varies counts as signal.
        errors.append(decibel(device[settled, i] * chain.gain - truth, truth - truth.mean(axis=0)))
    return np.stack(errors)


def designed_by_scipy(spec: FeatureSpec) -> list[F64]:
    """Second-order sections of every filter of `spec`, in the order of its kinds."""
    bands = [
        scipy.signal.butter(b.order, (b.low_hz, b.high_hz), "bandpass", fs=spec.rate_hz, output="sos")
        for b in spec.bands
    ]
    low_passes = [low_passed_sos(lp, spec.rate_hz) for lp in (spec.lmp, spec.raw) if lp]
    return [*bands, *low_passes]


def decibel(error: F64, truth: F64) -> F64:
    """Power of `error` over that of `truth`, along the first axis."""
    return np.asarray(10.0 * np.log10((error**2).mean(axis=0) / (truth**2).mean(axis=0)))
