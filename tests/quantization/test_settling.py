"""A calibration set that cannot show the range of the states is refused, in one sentence."""

from __future__ import annotations

import numpy as np
import pytest

from edgebci.arithmetic import F32
from edgebci.decoder_spec import DecoderSpec
from edgebci.errors import InputError
from edgebci.example_decoder import random_frames, random_parameters
from edgebci.export.settling import check_settled, longest_stretch
from edgebci.operators.cells import CellKind

SPEC = DecoderSpec(n_inputs=8, output_names=("x",), output_unit="cm/s", d_model=8, d_state=4, n_layers=1, cell="s4d")


def drawn(time_constant_frames: float) -> tuple[dict[str, F32], F32]:
    """S4D with real modes of one time constant, and frames with a mean that drives them one way."""
    parameters = random_parameters(SPEC, 1)
    place = "layers.0.mixer"
    parameters[f"{place}.A_log"] = np.zeros_like(parameters[f"{place}.A_log"])
    parameters[f"{place}.A_imag"] = np.zeros_like(parameters[f"{place}.A_imag"])
    parameters[f"{place}.dt_log"] = np.full_like(parameters[f"{place}.dt_log"], -np.log(time_constant_frames))
    return parameters, (2.0 + 0.1 * random_frames(SPEC, 1000, 2)).astype(np.float32)


def test_a_long_enough_set_is_accepted_and_described() -> None:
    parameters, frames = drawn(50.0)
    found = check_settled(SPEC, parameters, frames)
    assert found.frames == 1000
    assert found.slowest.time_constant_frames == pytest.approx(50.0, rel=1e-5)
    # 500 frames are ten time constants: the halves differ by the noise of the frames alone.
    assert found.fastest_growing.growth < 1.1


def test_a_set_that_is_too_short_is_refused_with_the_length_that_it_needs() -> None:
    parameters, frames = drawn(800.0)
    with pytest.raises(InputError, match=r"too short: .* 1,000 frames modes.0\[\d, \d\] .* give at least 2,40[01] fr"):
        check_settled(SPEC, parameters, frames)


def test_resets_count_against_the_length() -> None:
    parameters, frames = drawn(200.0)
    check_settled(SPEC, parameters, frames)
    resets = np.arange(1000) % 200 == 0
    with pytest.raises(InputError, match="longest stretch of 200 frames"):
        check_settled(SPEC, parameters, frames, resets)
    assert len(longest_stretch(frames, resets)) == 200


def test_a_state_that_never_settles_is_refused() -> None:
    parameters, frames = drawn(1e9)
    with pytest.raises(InputError, match=r"modes.0\[\d, \d\] never settles: .* train the decoder again"):
        check_settled(SPEC, parameters, frames)


def test_frames_that_are_not_finite_are_refused() -> None:
    parameters, frames = drawn(50.0)
    frames[3, 2] = np.nan
    with pytest.raises(InputError, match="NaN or infinity"):
        check_settled(SPEC, parameters, frames)


def test_a_single_frame_is_refused() -> None:
    parameters, frames = drawn(50.0)
    with pytest.raises(InputError, match="needed are 2"):
        check_settled(SPEC, parameters, frames[:1])


@pytest.mark.parametrize(("cell", "state"), [("mamba2", "ssm"), ("gru", "hidden")])
def test_memories_that_the_stream_drives_are_seen_too(cell: CellKind, state: str) -> None:
    spec = SPEC.model_copy(update={"cell": cell, "headdim": 8})
    found = check_settled(spec, random_parameters(spec, 1), random_frames(spec, 3000, 2))
    assert found.slowest.state == f"{state}.0"
    # Random decoders of these cells forget within a second or so: 3,000 frames are plenty.
    assert 0.0 < found.slowest.time_constant_frames < 1000.0
