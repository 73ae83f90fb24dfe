"""The sections: the same filters as SciPy's, in a form that survives single precision."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import signal

from edgebci.arithmetic import F32
from edgebci.features.coefficients import filter_chains
from edgebci.features.precision import decibel, float32_error_db, hard_spec, one_over_f_counts
from edgebci.features.response import low_passed_sos
from edgebci.features.sections import Chain, SideBySide, band_pass, low_pass
from edgebci.features.specification import LOWEST_CORNER, LowPass

F64 = NDArray[np.float64]


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
    chain = low_pass(corner_hz, order, 0.0, 1000.0)
    truth = signal.sosfilt(signal.butter(order, corner_hz, fs=1000.0, output="sos"), signal.unit_impulse(3000))
    assert (len(chain.sections), chain.gain) == (order // 2, 1.0)
    assert decibel(impulse_response(chain, 3000) - truth, truth) < -90.0


@pytest.mark.parametrize(("high_pass_hz", "corner_hz"), [(0.05, 5.0), (0.3, 4.0), (1.0, 100.0)])
def test_the_high_pass_before_it_is_scipys_too(high_pass_hz: float, corner_hz: float) -> None:
    chain = low_pass(corner_hz, 2, high_pass_hz, 1000.0)
    truth = signal.sosfilt(
        low_passed_sos(LowPass(corner_hz=corner_hz, high_pass_hz=high_pass_hz), 1000.0), signal.unit_impulse(3000)
    )
    assert len(chain.sections) == 2
    assert decibel(impulse_response(chain, 3000) - truth, truth) < -90.0


def test_float32_stays_60_db_under_ten_minutes_of_one_over_f_with_50_mv_offset() -> None:
    """Every filter, whether the offset was there at power-on, came a minute later or left after the first sample.

    At 250 S/s with all corners divided by four the sections have the coefficients of 1 kS/s, for a quarter of the time;
    the proof runs 1 kS/s itself. The lowest corner is the lowest that a specification may have.
    """
    spec = hard_spec(250.0)
    assert spec.raw is not None
    assert spec.raw.corner_hz == LOWEST_CORNER * spec.rate_hz
    counts = one_over_f_counts(spec.adc, spec.rate_hz)
    assert np.abs(counts).max() > 2**17, "50 mV need more than 16 bits at 0.195 uV"
    errors_db = float32_error_db(spec, counts)
    assert errors_db.shape == (len(spec.kinds), 3)
    assert errors_db.max() < -60.0, f"worst: {spec.kinds[int(errors_db.max(axis=1).argmax())]}"


def test_the_same_corners_over_the_rate_are_the_same_sections() -> None:
    """So the test at 250 S/s speaks for 1 kS/s."""
    slow, fast = (filter_chains(hard_spec(rate_hz)) for rate_hz in (250.0, 1000.0))
    assert [chain.sections for chain in slow] == [chain.sections for chain in fast]


def test_float32_biquads_would_not_do() -> None:
    """The reason for the form: direct-form sections in float32, at 0.05 Hz and 1 kS/s, lose the signal."""
    rng = np.random.default_rng(3)
    x = np.cumsum(rng.normal(size=200_000))
    sos = signal.butter(2, (0.05, 0.5), "bandpass", fs=1000.0, output="sos")
    truth = signal.sosfilt(sos, x)
    single = signal.sosfilt(sos.astype(np.float32), x.astype(np.float32)).astype(np.float64)
    assert decibel(single - truth, truth) > -20.0
