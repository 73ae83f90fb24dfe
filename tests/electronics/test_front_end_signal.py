"""The front end applied to a signal: each disturbance has the size that was asked for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import welch

from edgebci.errors import InputError
from edgebci.features.specification import Adc
from edgebci.firmware_sim.electronics.channel_state import draw_channels, mains_uv
from edgebci.firmware_sim.electronics.conditions import (
    Aging,
    Amplifier,
    Converter,
    Electrode,
    Filter,
    FrontEndModel,
    Mains,
)
from edgebci.firmware_sim.electronics.converter import as_counts, quantize
from edgebci.firmware_sim.electronics.events import Chewing, MotionStep, ReferenceFailure, Stimulation
from edgebci.firmware_sim.electronics.front_end import FrontEndStream
from edgebci.firmware_sim.electronics.noise import InputNoise, NoiseAhead

FINE = Converter(bits=24, full_scale_uv=100_000.0)
RATE_HZ = 1000.0


def recorded_uv(model: FrontEndModel, signal: np.ndarray, source_rate_hz: float = RATE_HZ) -> np.ndarray:
    stream = FrontEndStream(model, signal.shape[1], source_rate_hz)
    return stream.push(signal.astype(np.float32)).codes * model.converter.step_uv


def silence(seconds: float, n_channels: int = 4, rate_hz: float = RATE_HZ) -> np.ndarray:
    return np.zeros((round(seconds * rate_hz), n_channels), np.float32)


def tone(frequency_hz: float, seconds: float, rate_hz: float, amplitude_uv: float = 100.0) -> np.ndarray:
    times_s = np.arange(round(seconds * rate_hz)) / rate_hz
    return (amplitude_uv * np.sin(2 * np.pi * frequency_hz * times_s)).astype(np.float32)[:, None]


@pytest.mark.parametrize(("low_hz", "high_hz"), [(5.0, 15.0), (200.0, 300.0)])
def test_noise_has_the_density_that_was_asked_for(low_hz: float, high_hz: float) -> None:
    amplifier = Amplifier(noise_nv_per_rthz=60.0, flicker_corner_hz=100.0)
    electrode = Electrode(impedance_kohm=200.0, impedance_cv=0.0)
    model = FrontEndModel(rate_hz=RATE_HZ, converter=FINE, amplifier=amplifier, electrode=electrode)
    noise = recorded_uv(model, silence(400.0, 2))
    frequency, density = welch(noise, fs=RATE_HZ, nperseg=2000, axis=0)
    kept = (frequency >= low_hz) & (frequency <= high_hz)
    # 4 k T R at 310 K and 200 kOhm is (58.5 nV)^2/Hz.
    expected = 0.0585**2 + 0.06**2 * (1 + 100.0 / frequency[kept])
    # The filter keeps within 0.15 dB, 3.5 %; the mean of 21 bins over 400 s and two channels adds 1 %.
    assert density[kept].mean() == pytest.approx(float(expected.mean()), rel=0.06)


@settings(max_examples=20)
@given(bits=st.integers(6, 14), full_scale_uv=st.floats(200.0, 5000.0))
def test_quantization_error_has_the_variance_of_a_uniform_step(bits: int, full_scale_uv: float) -> None:
    converter = Converter(bits=bits, full_scale_uv=full_scale_uv)
    inside = (0.49 - 1 / 2**bits) * full_scale_uv
    signal = np.random.default_rng(1).uniform(-inside, inside, (40_000, 1)).astype(np.float32)
    codes, clipped = quantize(converter, signal)
    error = codes * converter.step_uv - signal
    assert not clipped.any()
    # Relative error of a variance estimated from n uniform samples: sqrt(0.8 / n), here 0.45 %; five of them.
    assert error.var() == pytest.approx(converter.step_uv**2 / 12, rel=0.023)


def test_effective_bits_set_the_error_of_the_converter() -> None:
    converter = Converter(bits=12, full_scale_uv=4096.0, enob_bits=9.0)
    model = FrontEndModel(rate_hz=RATE_HZ, converter=converter)
    signal = np.random.default_rng(3).uniform(-1000, 1000, (40_000, 1))
    error = recorded_uv(model, signal) - signal
    # The step of an ideal converter of 9 bits is 8 uV; 40,000 normal samples give its variance to 0.7 %.
    assert error.var() == pytest.approx(64 / 12, rel=0.03)


@settings(max_examples=30)
@given(st.lists(st.integers(-40, 40), min_size=1, max_size=60))
def test_every_clipped_sample_is_counted(steps: list[int]) -> None:
    converter = Converter(bits=5, full_scale_uv=32.0)
    codes, clipped = quantize(converter, np.array(steps, np.float32)[:, None])
    assert clipped[0] == sum(step > 15 or step < -16 for step in steps)
    assert codes[:, 0].tolist() == [min(max(step, -16), 15) for step in steps]


def test_without_its_filter_a_tone_above_half_the_rate_is_folded_into_the_band() -> None:
    signal = tone(1200.0, 4.0, 20_000.0)
    spectra = {}
    for name, low_pass in (("with", Filter(corner_hz=400.0, order=4)), ("without", None)):
        model = FrontEndModel(rate_hz=RATE_HZ, converter=FINE, anti_alias=low_pass)
        recorded = recorded_uv(model, signal, 20_000.0)[1000:, 0]
        spectra[name] = 2 * np.abs(np.fft.rfft(recorded)) / len(recorded)
    at_200_hz = 200 * 3
    assert spectra["without"][at_200_hz] == pytest.approx(100.0, rel=1e-3)
    # A Butterworth filter of order 4 passes 1 / sqrt(1 + 3^8) at three times its corner; the digital one a little less.
    assert spectra["with"][at_200_hz] == pytest.approx(100.0 / 81.0, rel=0.06)


def test_noise_above_half_the_rate_is_folded_in_where_the_recording_does_not_reach_it() -> None:
    def spread(low_pass: Filter | None) -> float:
        amplifier = Amplifier(noise_nv_per_rthz=100.0)
        model = FrontEndModel(rate_hz=RATE_HZ, converter=FINE, amplifier=amplifier, anti_alias=low_pass)
        return float(recorded_uv(model, silence(100.0)).var())

    # A first-order filter with its corner at 1 kHz passes pi / 2 kHz of noise in all; 500 Hz of them are in the band.
    assert spread(Filter(corner_hz=1000.0, order=1)) == pytest.approx(
        0.1**2 * (500 + 1000 * (np.pi / 2 - np.arctan(0.5))), rel=0.02
    )
    assert spread(None) == pytest.approx(0.1**2 * 500, rel=0.02)


def test_jitter_adds_the_slope_of_the_signal_times_its_spread() -> None:
    signal = tone(100.0, 20.0, 20_000.0, amplitude_uv=1000.0)
    exact = recorded_uv(FrontEndModel(rate_hz=RATE_HZ, converter=FINE), signal, 20_000.0)
    late = FINE.model_copy(update={"jitter_us": 10.0})
    found = recorded_uv(FrontEndModel(rate_hz=RATE_HZ, converter=late), signal, 20_000.0)
    # (2 pi f A sigma)^2 / 2; 20,000 samples give its estimate 1 %, and all samples of a period meet few phases.
    assert (found - exact).var() == pytest.approx((2 * np.pi * 100 * 1000 * 1e-5) ** 2 / 2, rel=0.05)


def test_mains_comes_through_common_mode_rejection_and_unequal_impedances() -> None:
    mains = Mains(common_mode_mv=100.0)
    equal = FrontEndModel(
        rate_hz=RATE_HZ,
        converter=FINE,
        mains=mains,
        electrode=Electrode(impedance_kohm=100.0, impedance_cv=0.0),
        amplifier=Amplifier(cmrr_db=80.0),
    )
    # 100 mV over 10^4 is 10 uV; the electrode's own 0.9 uV adds 0.4 %.
    assert recorded_uv(equal, silence(2.0)).std(axis=0) == pytest.approx(np.full(4, 10.0), rel=1e-2)
    unequal = equal.model_copy(update={"electrode": Electrode(impedance_kohm=100.0, impedance_cv=0.5)})
    state = draw_channels(unequal, 96)
    mismatch = state.impedance_kohm - np.median(state.impedance_kohm)
    assert mains_uv(unequal, state) == pytest.approx(10.0 + 1e5 * mismatch / 1e5)


def test_an_offset_beyond_the_range_saturates_a_channel_and_a_high_pass_takes_the_rest_away() -> None:
    electrode = Electrode(offset_mv=50.0)
    coupled = Amplifier(high_pass_hz=0.5, input_range_mv=25.0)
    model = FrontEndModel(rate_hz=RATE_HZ, converter=FINE, electrode=electrode, amplifier=coupled)
    beyond = np.abs(draw_channels(model, 64).offset_uv) > 25_000
    signal = np.repeat(tone(40.0, 2.0, RATE_HZ), 64, axis=1)
    swing = np.ptp(recorded_uv(model, signal)[500:], axis=0)
    assert 10 < beyond.sum() < 54
    assert (swing[~beyond] > 150).all()
    # At its limit the amplifier gives one value, and the high-pass takes that away.
    assert not swing[beyond].any()
    direct = model.model_copy(update={"amplifier": Amplifier()})
    assert np.abs(recorded_uv(direct, signal).mean(axis=0)) == pytest.approx(
        np.abs(draw_channels(direct, 64).offset_uv), abs=1.0
    )


def test_a_saturated_amplifier_needs_its_recovery_time_to_come_back() -> None:
    amplifier = Amplifier(input_range_mv=1.0, recovery_ms=50.0)
    pulse = Stimulation(
        kind="stimulation", at_s=1.0, duration_s=0.001, pulses_per_s=1.0, artefact_mv=20.0, decay_ms=1.0
    )
    model = FrontEndModel(rate_hz=RATE_HZ, converter=FINE, amplifier=amplifier, events=(pulse,))
    held = np.abs(recorded_uv(model, silence(2.0))[:, 0]) > 900
    # 20 mV with a decay of 1 ms stays over 1 mV for ln 20 = 3 samples and the first; then 50 more (the weight of a
    # channel moves the logarithm by some 0.5).
    assert 51 <= held.sum() <= 56
    assert held[1000]


def test_common_failures_are_equal_on_all_channels_and_muscle_is_not() -> None:
    failure = ReferenceFailure(kind="reference_failure", at_s=0.5, duration_s=1.0)
    model = FrontEndModel(rate_hz=RATE_HZ, converter=FINE, events=(failure,))
    recorded = recorded_uv(model, silence(2.0))
    assert recorded[500:1500].std() > 100
    assert np.ptp(recorded, axis=1).max() == 0
    assert not recorded[:500].any()
    assert not recorded[1500:].any()
    chewing = Chewing(kind="chewing", at_s=0.0, duration_s=2.0, emg_uv=50.0)
    muscle = recorded_uv(model.model_copy(update={"events": (chewing,)}), silence(2.0, 16))
    correlation = np.corrcoef(muscle.T)[np.triu_indices(16, 1)]
    assert 0.5 < correlation.mean() < 0.99


def test_a_motion_step_decays_and_crosstalk_reaches_the_neighbours_alone() -> None:
    step = MotionStep(kind="motion_step", at_s=0.1, step_uv=500.0, decay_s=0.2)
    model = FrontEndModel(rate_hz=RATE_HZ, converter=FINE, events=(step,))
    recorded = recorded_uv(model, silence(1.0))
    assert recorded[300] == pytest.approx(recorded[100] * np.exp(-1), rel=1e-3)
    signal = silence(1.0, 5)
    signal[:, 2:3] = tone(50.0, 1.0, RATE_HZ)
    leaky = FrontEndModel(rate_hz=RATE_HZ, converter=FINE, amplifier=Amplifier(crosstalk_db=-40.0))
    peaks = np.abs(recorded_uv(leaky, signal)).max(axis=0)
    assert peaks == pytest.approx([0.0, 1.0, 100.0, 1.0, 0.0], abs=0.02)


def test_months_take_channels_away_and_change_the_gains_of_others() -> None:
    aging = Aging(months=12.0, lost_share_per_month=0.02, gain_log_sd_per_rt_month=0.05)
    model = FrontEndModel(rate_hz=RATE_HZ, converter=FINE, aging=aging)
    state = draw_channels(model, 1000)
    assert state.is_dead.sum() == round(1000 * (1 - 0.98**12))
    # 1000 living channels give a spread of 0.05 sqrt(12) to a few percent.
    assert np.log(state.gain[~state.is_dead]).std() == pytest.approx(0.05 * np.sqrt(12), rel=0.08)
    recorded = recorded_uv(model, np.repeat(tone(20.0, 1.0, RATE_HZ), 1000, axis=1))
    assert not recorded[:, state.is_dead].any()


@settings(max_examples=10)
@given(st.lists(st.integers(1, 2999), max_size=4))
def test_any_chunks_give_the_same_codes(cuts: list[int]) -> None:
    model = FrontEndModel(
        rate_hz=500.0,
        converter=Converter(bits=10, full_scale_uv=400.0, jitter_us=20.0),
        amplifier=Amplifier(
            noise_nv_per_rthz=100.0,
            flicker_corner_hz=50.0,
            high_pass_hz=1.0,
            input_range_mv=1.0,
            recovery_ms=20.0,
            crosstalk_db=-40.0,
        ),
        anti_alias=Filter(corner_hz=200.0),
        electrode=Electrode(impedance_kohm=100.0, offset_mv=0.5),
        mains=Mains(common_mode_mv=10.0),
        events=(MotionStep(kind="motion_step", at_s=1.0, step_uv=2000.0),),
    )
    signal = np.random.default_rng(2).normal(0, 50, (3000, 3)).astype(np.float32)
    signal[700:720] = np.nan
    whole = FrontEndStream(model, 3, RATE_HZ).push(signal)
    stream = FrontEndStream(model, 3, RATE_HZ)
    parts = [stream.push(part) for part in np.split(signal, sorted(cuts))]
    assert np.array_equal(np.concatenate([part.codes for part in parts]), whole.codes)
    assert np.array_equal(np.concatenate([part.missing for part in parts]), whole.missing)
    assert whole.missing.sum() == 10


@settings(max_examples=20)
@given(asked=st.lists(st.integers(1, 40), min_size=1, max_size=12))
def test_noise_that_is_made_ahead_is_the_same_noise(asked: list[int]) -> None:
    amplifier = Amplifier(noise_nv_per_rthz=60.0, flicker_corner_hz=100.0)
    model = FrontEndModel(
        rate_hz=RATE_HZ, converter=FINE, amplifier=amplifier, electrode=Electrode(impedance_kohm=200.0)
    )
    plain, other = (InputNoise(model, draw_channels(model, 3), RATE_HZ) for _ in range(2))
    ahead = NoiseAhead(other)
    given_uv = [ahead.next_uv(n) for n in asked]
    assert [len(one) for one in given_uv if one is not None] == asked
    np.testing.assert_array_equal(
        np.concatenate([one for one in given_uv if one is not None]), plain.next_uv(sum(asked))
    )


def test_a_code_at_a_rail_reads_as_saturated_to_the_decoder() -> None:
    converter, adc = Converter(bits=8, full_scale_uv=256.0), Adc(bits=16, uv_per_count=0.25)
    counts = as_counts(np.array([[-128, -127, 0, 126, 127]], np.int32), converter, adc)
    assert counts.tolist() == [[adc.lowest_count, -508, 0, 504, adc.highest_count]]


def test_a_recording_slower_than_the_implant_is_refused() -> None:
    with pytest.raises(InputError, match="what was not recorded cannot be simulated"):
        FrontEndStream(FrontEndModel(rate_hz=2000.0, converter=FINE), 4, 1000.0)
    with pytest.raises(InputError, match="no whole multiple"):
        FrontEndStream(FrontEndModel(rate_hz=400.0, converter=FINE), 4, 1000.0)
