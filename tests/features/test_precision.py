"""The sections: the same filters as SciPy's, in a form that survives single precision."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import signal

from edgebci.arithmetic import F32, I32
from edgebci.features.cases import front_end_for
from edgebci.features.coefficients import device_coefficients
from edgebci.features.conditioning import Conditioner
from edgebci.features.device import FilterBank
from edgebci.features.sections import Chain, SideBySide, band_pass, low_pass
from edgebci.features.specification import Adc, Band, FeatureSpec, LowPass

F64 = NDArray[np.float64]
DURATION_S = 600
SETTLED_S = 300
"""The second offset comes after 60 s; four minutes later every filter has forgotten its arrival."""
OFFSET_UV = 50_000.0


def decibel(error: F64, truth: F64) -> float:
    return float(20.0 * np.log10(np.sqrt((error**2).mean() / (truth**2).mean())))


def impulse_response(chain: Chain, length: int) -> F64:
    y: F32 = np.zeros((length, 1, 1), dtype=np.float32)
    y[0] = 1.0
    for section in chain.sections:
        one = SideBySide.of([section], 1)
        y, _ = one.run(y, one.initial_states())
    return y[:, 0, 0].astype(np.float64) * chain.gain


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize(
    ("low_hz", "high_hz"), [(0.05, 0.5), (0.5, 4), (1, 4), (10, 11), (12, 30), (60, 200), (1, 400), (300, 450)]
)
def test_a_band_pass_is_scipys_butterworth(low_hz: float, high_hz: float, order: int) -> None:
    chain = band_pass(low_hz, high_hz, order, 1000.0)
    assert len(chain.sections) == order
    truth = signal.sosfilt(
        signal.butter(order, (low_hz, high_hz), "bandpass", fs=1000.0, output="sos"), signal.unit_impulse(3000)
    )
    # 24-bit coefficients move a pole by about 1e-7 of its frequency; -90 dB allows for 3000 samples of phase.
    assert decibel(impulse_response(chain, 3000) - truth, truth) < -90.0


@pytest.mark.parametrize("order", [2, 4, 8])
@pytest.mark.parametrize("corner_hz", [0.05, 5.0, 20.0, 450.0])
def test_a_low_pass_is_scipys_butterworth(corner_hz: float, order: int) -> None:
    chain = low_pass(corner_hz, order, 1000.0)
    truth = signal.sosfilt(signal.butter(order, corner_hz, fs=1000.0, output="sos"), signal.unit_impulse(3000))
    assert (len(chain.sections), chain.gain) == (order // 2, 1.0)
    assert decibel(impulse_response(chain, 3000) - truth, truth) < -90.0


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
    lfp_uv *= 60.0 / lfp_uv.std(axis=0)
    lfp_uv[:, 0] += OFFSET_UV
    lfp_uv[round(60 * rate_hz) :, 1] += OFFSET_UV
    lfp_uv[0, 2] += OFFSET_UV
    return adc.counts(lfp_uv).astype(np.int32)


@pytest.mark.parametrize(
    ("rate_hz", "bands_hz", "lmp_hz", "raw_hz"),
    [
        (250.0, ((0.00625, 0.0125), (0.0125, 0.125), (0.125, 1), (1, 4), (12, 30), (30, 100)), 5.0, 0.00625),
        pytest.param(1000.0, ((0.05, 0.5), (0.5, 4), (1, 4), (12, 30), (60, 200)), 5.0, 0.025, marks=pytest.mark.slow),
    ],
)
def test_float32_stays_60_db_under_ten_minutes_of_one_over_f_with_50_mv_offset(
    rate_hz: float, bands_hz: tuple[tuple[float, float], ...], lmp_hz: float, raw_hz: float
) -> None:
    """At 250 S/s with corners divided by four the sections are those of 1 kS/s, at a quarter of the time.

    The lowest corner is the lowest that a specification may have, rate / 40,000.
    """
    spec = FeatureSpec(
        rate_hz=rate_hz,
        frame_rate_hz=5.0,
        adc=Adc(bits=24),
        reference="none",
        bands=tuple(Band(low_hz=low, high_hz=high) for low, high in bands_hz),
        lmp=LowPass(corner_hz=lmp_hz),
        raw=LowPass(corner_hz=raw_hz),
    )
    counts = one_over_f_counts(spec.adc, rate_hz)
    assert np.abs(counts).max() > 2**17, "50 mV need more than 16 bits at 0.195 uV"
    coefficients = device_coefficients(front_end_for(spec, np.ones(3, dtype=bool)))
    steps = Conditioner(coefficients.integer_path).push(counts).steps
    bank = FilterBank(coefficients)
    device = np.concatenate([bank.filter_frame(x) for x in steps.astype(np.float32) * coefficients.uv_per_step])
    exact_uv = steps.reshape(-1, 3) * spec.adc.uv_per_count
    settled = slice(round(SETTLED_S * rate_hz), None)
    for i, chain in enumerate(coefficients.chains):
        truth = signal.sosfilt(designed_by_scipy(spec)[i], exact_uv, axis=0)[settled]
        error = device[settled, i] * chain.gain - truth
        for channel in range(3):
            # A low-pass keeps the offset; only what varies counts as signal.
            varying = truth[:, channel] - truth[:, channel].mean()
            assert decibel(error[:, channel], varying) < -60.0, f"{spec.kinds[i]}, channel {channel}"


def designed_by_scipy(spec: FeatureSpec) -> list[F64]:
    bands = [
        signal.butter(b.order, (b.low_hz, b.high_hz), "bandpass", fs=spec.rate_hz, output="sos") for b in spec.bands
    ]
    low_passes = [
        signal.butter(lp.order, lp.corner_hz, fs=spec.rate_hz, output="sos") for lp in (spec.lmp, spec.raw) if lp
    ]
    return [*bands, *low_passes]


def test_float32_biquads_would_not_do() -> None:
    """The reason for the form: direct-form sections in float32, at 0.05 Hz and 1 kS/s, lose the signal."""
    rng = np.random.default_rng(3)
    x = np.cumsum(rng.normal(size=200_000))
    sos = signal.butter(2, (0.05, 0.5), "bandpass", fs=1000.0, output="sos")
    truth = signal.sosfilt(sos, x)
    single = signal.sosfilt(sos.astype(np.float32), x.astype(np.float32)).astype(np.float64)
    assert decibel(single - truth, truth) > -20.0
