"""The fixed-point front end: its C equals its NumPy reference bit for bit, and both follow the float64 reference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import signal

from edgebci.device_reference import run_reference
from edgebci.edge_student import load_edge_student
from edgebci.errors import InputError
from edgebci.features.cases import FrontEndCase, front_end_case, front_end_for
from edgebci.features.fixed_device import FixedBand, FixedFrontEnd
from edgebci.features.multirate import band_filters
from edgebci.features.specification import Adc, Band, FeatureSpec
from edgebci.features.stream import FeatureStream
from edgebci.firmware_sim.host_twin import HostTwin
from edgebci.firmware_sim.target_run import run_on_target
from edgebci.firmware_sim.toolchain import compile_target

BANDS = (Band(low_hz=2, high_hz=6), Band(low_hz=12, high_hz=30, order=1), Band(low_hz=60, high_hz=150, order=3))
"""At 500 S/s and 10 samples in a frame: turned and seen every second sample, direct likewise, direct at every one."""
EDGE_STUDENT = Path(__file__).resolve().parent.parent.parent / "examples" / "edge_student.toml"
LOG_BOUND = 0.02
"""Of the logarithm of a band's power, at every frame: a third of the step of the decoder's int8 input."""
KINDS = ("clean", "median_of_an_odd_number", "no_reference", "dead_channels")
BY_STREAM = ("gap_that_resets_zeroed", "saturated_across_a_gap", "missing_at_power_on", "full_scale_square")


def in_fixed_point(case: FrontEndCase) -> FrontEndCase:
    """The case with the bands alone: low-passes are float32's."""
    spec = case.front_end.spec.model_copy(update={"bands": BANDS, "lmp": None, "raw": None})
    front_end = front_end_for(spec, case.front_end.good_channels)
    return FrontEndCase(case.name, front_end, case.counts, case.missing)


def assert_c_equals_numpy(build: Any, case: FrontEndCase) -> None:
    twin, reference = HostTwin(build(case.front_end, "fixed").host), FixedFrontEnd(case.front_end)
    run, frames = twin.run(case.counts, case.missing), reference.push(case.counts, case.missing)
    assert len(run.features) == len(case.counts) // case.front_end.spec.samples_per_frame
    np.testing.assert_array_equal(run.features.view(np.uint32), frames.z.view(np.uint32))
    np.testing.assert_array_equal(run.valid, frames.valid)
    states = np.concatenate([band.states for band in reference.bands]).transpose(0, 2, 1)
    np.testing.assert_array_equal(twin.state("front_end.state"), states.ravel())
    np.testing.assert_array_equal(twin.state("front_end.power"), reference.power.ravel())
    np.testing.assert_array_equal(twin.state("front_end.scale"), reference.normalizer.scale)


@pytest.mark.parametrize("name", [*KINDS, *BY_STREAM])
def test_c_equals_its_reference_in_features_and_states(build: Any, name: str) -> None:
    assert_c_equals_numpy(build, in_fixed_point(front_end_case(name)))


def test_no_input_overflows(build: Any) -> None:
    """Rails, noise and steps across the whole range, which every scale was chosen for: 64 bits in NumPy, 32 in C."""
    case = in_fixed_point(front_end_case("clean"))
    rng, width = np.random.default_rng(5), case.counts.shape[1]
    noise = rng.integers(-32767, 32767, (600, width))
    signs = np.where(np.arange(width) % 2, -1, 1)
    squares = [32766 * signs * np.where(np.arange(600)[:, None] // half % 2, 1, -1) for half in (2, 5, 13, 60)]
    counts = np.concatenate([noise, *squares]).astype(np.int16)
    assert_c_equals_numpy(build, FrontEndCase("loud", case.front_end, counts, np.zeros(len(counts), bool)))


@pytest.mark.parametrize("portion", [1, 7, 96, 1000])
def test_portions_of_any_size_give_the_same_bits(build: Any, portion: int) -> None:
    case = in_fixed_point(front_end_case("gap_that_resets_zeroed"))
    twin = HostTwin(build(case.front_end, "fixed").host)
    whole, states = twin.run(case.counts, case.missing), twin.state_bytes()
    twin.power_on()
    starts = range(0, len(case.counts), portion)
    parts = [twin.push(case.counts[i : i + portion], case.missing[i : i + portion]) for i in starts]
    np.testing.assert_array_equal(np.concatenate([part.outputs for part in parts]), whole.outputs)
    assert twin.state_bytes() == states


def test_the_core_equals_the_host_in_every_byte(build: Any, tmp_path: Any) -> None:
    """On a core with the DSP extension the products are its instructions; on the host they are plain C."""
    case = in_fixed_point(front_end_case("clean"))
    program, counts = build(case.front_end, "fixed"), case.counts[:400]
    twin = HostTwin(program.host)
    expected = twin.run(counts)
    run = run_on_target(compile_target(program.sources, tmp_path / "m4.elf"), counts, None, counts.shape[1], 10, 3)
    np.testing.assert_array_equal(run.outputs.view(np.uint32), expected.outputs.view(np.uint32))
    assert run.state == twin.state_bytes()
    reference = run_reference(case.front_end, program.decoder, counts, form="fixed")
    np.testing.assert_array_equal(expected.outputs.view(np.uint32), reference.outputs.view(np.uint32))


def lfp_with_artefacts(n: int, channels: int) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
    """1/f signals of 60 uVrms, half of them common, on offsets; mains, a stimulus each second, a lost packet."""
    rng, rate_hz = np.random.default_rng(11), 1000.0
    frequency = np.fft.rfftfreq(n, 1.0 / rate_hz)[:, None]
    frequency[0] = np.inf
    spectrum = (rng.normal(size=(len(frequency), channels + 1, 2)) @ [1.0, 1.0j]) / frequency
    lfp_uv = np.fft.irfft(spectrum, n, axis=0)
    lfp_uv *= 60.0 / lfp_uv.std(axis=0)
    lfp_uv = (lfp_uv[:, :-1] + lfp_uv[:, -1:]) / np.sqrt(2.0) + rng.normal(scale=3.0, size=(n, channels))
    lfp_uv += 20.0 * np.sin(2 * np.pi * 50.0 * np.arange(n) / rate_hz)[:, None] + np.linspace(-2000, 2000, channels)
    lfp_uv[1000::1000] += rng.normal(scale=1000.0, size=(len(lfp_uv[1000::1000]), channels))
    missing = np.zeros(n, dtype=bool)
    missing[n // 2 : n // 2 + 15] = True
    return Adc().counts(lfp_uv).astype(np.int16), missing


def test_fixed_point_follows_the_float64_reference_within_the_stated_bound() -> None:
    """The bands of the reference decoder. A logarithm of power is within LOG_BOUND of float64, within a tenth rms."""
    spec = load_edge_student(EDGE_STUDENT).features
    counts, missing = lfp_with_artefacts(20_000, 12)
    front_end = front_end_for(spec, np.ones(12, dtype=bool))
    exact = FeatureStream(spec, front_end.good_channels).push(counts, missing)
    frames = FixedFrontEnd(front_end).push(counts, missing)
    np.testing.assert_array_equal(frames.valid, exact.valid)
    error = (frames.features - exact.features)[exact.valid]
    assert len(error) > 900
    assert np.abs(error).max() < LOG_BOUND
    assert error.std() < LOG_BOUND / 10


def test_what_it_cannot_compute_is_refused() -> None:
    spec = front_end_case("clean").front_end.spec
    with pytest.raises(InputError, match="leave out lmp and raw, or use the float32 front end"):
        band_filters(spec)
    low = FeatureSpec(rate_hz=1000, bands=(Band(low_hz=1, high_hz=4),), adc=Adc(bits=10, uv_per_count=100.0))
    with pytest.raises(InputError, match="rounding in fixed point would add"):
        band_filters(low)


@given(low=st.floats(4.0, 150.0), ratio=st.floats(1.2, 8.0), order=st.integers(1, 4))
@settings(max_examples=10)
def test_every_band_is_scipys_butterworth_at_the_moments_it_is_computed(low: float, ratio: float, order: int) -> None:
    """A step of 10,000 counts: the outputs are those of SciPy at every M-th sample, to what 16-bit weights can hold."""
    spec = FeatureSpec(rate_hz=1000, bands=(Band(low_hz=low, high_hz=min(low * ratio, 440.0), order=order),))
    (band,) = band_filters(spec)
    d = np.zeros((1000, 1), dtype=np.int64)
    d[100] = 10_000
    y = FixedBand(band, 1).outputs(d, np.zeros(1000, np.int64))[:, 0] / 2.0**band.fraction_bits
    sos = signal.butter(order, (low, min(low * ratio, 440.0)), "bandpass", fs=1000, output="sos")
    exact = signal.sosfilt(sos, np.cumsum(d[:, 0]))[band.every - 1 :: band.every]
    # Poles may lie 0.2 % of the filter's width off; a narrow filter of four pairs rings long enough to add that up.
    assert np.abs(y - exact).max() < 1e-2 * np.abs(exact).max() + 0.5
