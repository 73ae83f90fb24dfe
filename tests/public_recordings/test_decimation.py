"""Decimation: causal, free of aliases, the same however the stream is cut, and with gaps kept as gaps."""

from __future__ import annotations

import numpy as np
import pytest

from edgebci.errors import InputError
from edgebci.public_recordings.decimation import CausalDecimator
from edgebci.recordings.model import F64

RATE_HZ, NEW_HZ = 24414.0625, 1000.0


def times(seconds: float) -> F64:
    return 5.0 + np.arange(round(seconds * RATE_HZ)) / RATE_HZ


def decimated(times_s: F64, samples: F64, block: int) -> F64:
    decimator = CausalDecimator(RATE_HZ, NEW_HZ, times_s[0])
    starts = range(0, len(times_s), block)
    pieces = [p for i in starts for p in decimator.push(times_s[i : i + block], samples[i : i + block])]
    assert [p.first for p in pieces] == np.cumsum([0, *(len(p.samples) for p in pieces[:-1])]).tolist()
    return np.concatenate([p.samples for p in pieces])


def tone(times_s: F64, hz: float) -> F64:
    return np.sin(2 * np.pi * hz * times_s)[:, None]


def test_the_cut_into_blocks_does_not_show() -> None:
    times_s = times(1.0)
    samples = np.random.default_rng(0).standard_normal((len(times_s), 3))
    whole = decimated(times_s, samples, len(times_s))
    # The filter is the same recursion; only the interpolation weights are rounded elsewhere.
    np.testing.assert_allclose(decimated(times_s, samples, 777), whole, rtol=0, atol=1e-12)
    few = decimated(times_s[:2000], samples[:2000], 7)
    np.testing.assert_allclose(few, whole[: len(few)], rtol=0, atol=1e-12)


def test_no_output_knows_a_sample_after_its_own_time() -> None:
    times_s, change = times(0.5), 5000
    samples = np.random.default_rng(1).standard_normal((len(times_s), 1))
    other = samples.copy()
    other[change:] += 100.0
    decimator = CausalDecimator(RATE_HZ, NEW_HZ, times_s[0])
    one, two = (decimated(times_s, s, len(times_s)) for s in (samples, other))
    output_s = decimator.start_s + np.arange(len(one)) / NEW_HZ
    before = output_s < times_s[change]
    np.testing.assert_array_equal(one[before], two[before])
    assert np.abs(one[~before] - two[~before]).max() > 50  # and it does follow afterwards


@pytest.mark.parametrize(("hz", "least", "most"), [(10, 0.98, 1.01), (390, 0.98, 1.01), (600, 0, 1e-3), (990, 0, 1e-3)])
def test_tones_of_the_band_pass_and_what_would_fold_back_is_gone(hz: float, least: float, most: float) -> None:
    times_s = times(2.0)
    settled = decimated(times_s, tone(times_s, hz), 8192)[500:]
    assert least <= np.sqrt(2) * settled.std() <= most  # 0.1 dB of ripple; 70 dB = 3e-4


def test_slow_signals_come_two_milliseconds_late() -> None:
    times_s = times(2.0)
    found = decimated(times_s, tone(times_s, 10.0), 8192)[500:, 0]
    output_s = times_s[0] + (1 + RATE_HZ / NEW_HZ * np.arange(500, 500 + len(found))) / RATE_HZ
    late_s = np.arange(0, 5e-3, 1e-5)
    errors = [np.abs(found - np.sin(2 * np.pi * 10 * (output_s - late))).max() for late in late_s]
    assert late_s[int(np.argmin(errors))] == pytest.approx(2e-3, abs=5e-4)


def test_a_gap_stays_a_gap_and_the_filter_begins_anew() -> None:
    times_s = times(2.0)
    kept = (times_s < 5.5) | (times_s >= 6.0)
    decimator = CausalDecimator(RATE_HZ, NEW_HZ, times_s[0])
    samples = np.where(times_s < 5.7, 3.0, -1000.0)[:, None]
    pieces = decimator.push(times_s[kept], samples[kept])
    assert [p.first for p in pieces] == [0, 1001]  # the first moment after a sample again
    assert len(pieces[0].samples) == pytest.approx(500, abs=1)
    np.testing.assert_allclose(pieces[1].samples, -1000.0, atol=1e-6)  # no ringing from the step


def test_an_offset_of_the_electrode_makes_no_transient() -> None:
    times_s = times(0.2)
    np.testing.assert_allclose(decimated(times_s, np.full((len(times_s), 1), 5000.0), 999), 5000.0, atol=1e-6)


def test_times_that_go_backwards_and_a_higher_rate_are_refused() -> None:
    decimator = CausalDecimator(RATE_HZ, NEW_HZ, 0.0)
    with pytest.raises(InputError, match="go backwards at 1"):
        decimator.push(np.array([0.0, 2.0, 1.0]), np.zeros((3, 1)))
    with pytest.raises(InputError, match="cannot be brought to 48000"):
        CausalDecimator(RATE_HZ, 48000.0, 0.0)
