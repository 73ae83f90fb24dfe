"""The fixed-point front end: its C equals its NumPy reference bit for bit, and both follow the float64 reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgebci.device_reference import run_reference
from edgebci.features.cases import FrontEndCase, front_end_case, front_end_for
from edgebci.features.fixed_device import FixedFrontEnd
from edgebci.features.specification import Band
from edgebci.firmware_sim.host_twin import HostTwin
from edgebci.firmware_sim.target_run import run_on_target
from edgebci.firmware_sim.toolchain import compile_target

BANDS = (Band(low_hz=2, high_hz=6), Band(low_hz=12, high_hz=30, order=1), Band(low_hz=60, high_hz=150, order=3))
"""At 500 S/s and 10 samples in a frame: turned and seen every second sample, direct likewise, direct at every one."""
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
