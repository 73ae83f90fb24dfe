"""The generated program, ADC counts in and outputs out, equals the NumPy reference bit for bit: outputs and states."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgebci.arithmetic import F32
from edgebci.errors import InputError
from edgebci.features.cases import base_counts, base_spec, case_names, front_end_case, front_end_for
from edgebci.features.conditioning import segments
from edgebci.features.device import DeviceFrontEnd
from edgebci.firmware_sim.host_twin import DeviceRun, HostTwin
from edgebci.quantized_decoder import QuantizedStates


def assert_same_bits(got: F32, expected: F32, what: str) -> None:
    different = np.argwhere(np.atleast_1d(got.view(np.uint32) != expected.astype(np.float32).view(np.uint32)))
    assert got.shape == expected.shape, what
    assert not len(different), f"{what} differs first at {different[0]}: {got[tuple(different[0])]!r}"


def decoded(program: Any, z: F32, reset_before: NDArray[np.bool_]) -> tuple[F32, QuantizedStates]:
    """The reference decoder over a stream with resets: outputs and final states."""
    states, outputs = program.decoder.initial_states(), []
    for rows in segments(reset_before):
        states = program.decoder.initial_states() if reset_before[rows.start] else states
        part, states = program.decoder.run(z[rows], states)
        outputs.append(part)
    return np.concatenate(outputs), states


def front_end_states(reference: DeviceFrontEnd) -> dict[str, NDArray[Any]]:
    """What the reference remembers, arranged as in the C: sections chain by chain."""
    chains, stages = reference._c.chains, reference._filters._stages
    sections = [
        stages[j]._states[:, stages[j].rows.index(kind)]
        for kind, c in enumerate(chains)
        for j in range(len(c.sections))
    ]
    carries = [section.carries for chain in chains for section in chain.sections]
    s1, s2, carry = np.stack(sections, axis=1)
    return {
        "held": reference._conditioner._held_values,
        "offset": reference._conditioner._offsets,
        "known": reference._conditioner._known,
        "s1": s1,
        "s2": s2,
        "carry": carry[carries],
        "power": reference._filters._power,
        "shift": reference._normalizer.shift.reshape(len(chains), -1),
        "scale": reference._normalizer.scale.reshape(len(chains), -1),
    }


@pytest.mark.parametrize("name", case_names())
def test_program_equals_the_reference_in_every_case(build: Any, name: str) -> None:
    case = front_end_case(name)
    program = build(case.front_end)
    twin, reference = HostTwin(program.host), DeviceFrontEnd(case.front_end)
    run, frames = twin.run(case.counts, case.missing), reference.push(case.counts, case.missing)
    outputs, states = decoded(program, frames.z, frames.reset_before)
    assert len(run.outputs) == len(case.counts) // twin.samples_per_frame
    assert_same_bits(run.features, frames.z, "z")
    assert_same_bits(run.outputs, outputs, "output")
    np.testing.assert_array_equal(run.valid, frames.valid)
    for name, expected in states.items():
        np.testing.assert_array_equal(twin.state(name), expected.ravel(), err_msg=name)
    for name, expected in front_end_states(reference).items():
        # C fills rows up to a multiple of 4 channels, and has rows for the powers of low-passes and one carry at least.
        rows = twin.state(f"front_end.{name}").reshape(-1, _columns(name, expected.shape[-1]))
        state = rows[: len(np.atleast_2d(expected)), : expected.shape[-1]].reshape(expected.shape)
        np.testing.assert_array_equal(state, expected.astype(state.dtype), err_msg=name)


def _columns(name: str, good: int) -> int:
    return good if name in ("held", "offset", "known") else -(-good // 4) * 4


def joined(runs: list[DeviceRun]) -> DeviceRun:
    parts = [np.concatenate([getattr(run, field) for run in runs]) for field in ("outputs", "valid", "features")]
    return DeviceRun(*parts)


@pytest.mark.parametrize("portion", [1, 7, 96, 1000])
def test_pushing_in_portions_of_any_size_gives_the_same_stream(build: Any, portion: int) -> None:
    case = front_end_case("gap_that_resets")
    twin = HostTwin(build(case.front_end).host)
    whole = twin.run(case.counts, case.missing)
    states = twin.state_bytes()
    twin.power_on()
    starts = range(0, len(case.counts), portion)
    run = joined([twin.push(case.counts[i : i + portion], case.missing[i : i + portion]) for i in starts])
    assert_same_bits(run.outputs, whole.outputs, "output")
    assert_same_bits(run.features, whole.features, "z")
    np.testing.assert_array_equal(run.valid, whole.valid)
    assert twin.state_bytes() == states


@given(seed=st.integers(0, 2**32 - 1), loss=st.sampled_from([0.0, 0.01, 0.5, 0.97]), rails=st.sampled_from([0, 0.05]))
@settings(max_examples=15)
def test_program_equals_the_reference_on_any_counts(build: Any, seed: int, loss: float, rails: float) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.integers(-32768, 32768, (400, 10)).astype(np.int16)
    counts[rng.random(counts.shape) < rails] = 32767
    missing = rng.random(400) < loss
    front_end = front_end_case("clean").front_end
    program = build(front_end)
    run, frames = HostTwin(program.host).run(counts, missing), DeviceFrontEnd(front_end).push(counts, missing)
    assert_same_bits(run.features, frames.z, "z")
    assert_same_bits(run.outputs, decoded(program, frames.z, frames.reset_before)[0], "output")
    np.testing.assert_array_equal(run.valid, frames.valid)


def test_power_on_and_reset_forget_everything_but_the_frame_count(build: Any) -> None:
    case = front_end_case("clean")
    twin = HostTwin(build(case.front_end).host)
    fresh = twin.state_bytes()
    first = twin.push(case.counts)
    assert twin.state_bytes() != fresh
    twin.power_on()
    assert twin.state_bytes() == fresh
    assert_same_bits(twin.push(case.counts).outputs, first.outputs, "output after power-on")
    twin.reset()
    different = np.frombuffer(twin.state_bytes(), np.uint32) != np.frombuffer(fresh, np.uint32)
    assert different.sum() == 1
    assert_same_bits(twin.push(case.counts).outputs, first.outputs, "output after reset")


def test_two_streams_do_not_disturb_each_other(build: Any) -> None:
    case = front_end_case("clean")
    program = build(case.front_end)
    left, right = HostTwin(program.host), HostTwin(program.host)
    alone = left.run(case.counts[:400])
    left.power_on()
    interleaved = joined([run for i in range(0, 400, 50) for run in _both(left, right, case.counts, i)])
    assert_same_bits(interleaved.outputs, alone.outputs, "output")


def _both(left: HostTwin, right: HostTwin, counts: NDArray[Any], start: int) -> list[DeviceRun]:
    right.push(counts[start + 500 : start + 550])
    return [left.push(counts[start : start + 50])]


def test_counts_of_the_wrong_width_are_refused_with_both_widths(build: Any) -> None:
    twin = HostTwin(build(front_end_case("clean").front_end).host)
    with pytest.raises(InputError, match=r"\(5, 3\).*\(samples, 10\)"):
        twin.run(np.zeros((5, 3), np.int16))


def test_a_frame_length_without_good_divisors_gives_the_same_features(build: Any) -> None:
    # 500 / (500/19) Hz: 19 rows do not divide into blocks, so the last block of each frame is shorter.
    spec = base_spec().model_copy(update={"frame_rate_hz": 500.0 / 19.0})
    front_end = front_end_for(spec, np.ones(10, bool))
    counts = base_counts().astype(np.int16)
    run = HostTwin(build(front_end).host).run(counts)
    assert len(run.features) == len(counts) // 19
    assert_same_bits(run.features, DeviceFrontEnd(front_end).push(counts).z, "z")
