"""Driving a whole device program through a stream."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebci.errors import VerificationError
from edgebci.firmware_sim.firmware_image import FirmwareImage
from edgebci.firmware_sim.target_run import pieces, run_on_target


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.integers(1, 9))
def test_pieces_cover_the_stream_within_frames_and_are_all_missing_or_none(lost: list[bool], frame: int) -> None:
    missing = np.array(lost)
    found = list(pieces(len(lost), missing, frame))
    assert [start for start, _, _ in found] == [0, *(stop for _, stop, _ in found[:-1])]
    assert found[-1][1] == len(lost)
    for start, stop, is_missing in found:
        assert start < stop
        assert start // frame == (stop - 1) // frame
        assert (missing[start:stop] == is_missing).all()
    assert all(a[2] != b[2] or b[0] % frame == 0 for a, b in pairwise(found))


def counts(n_samples: int, n_channels: int = 3, seed: int = 1) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    return np.random.default_rng(seed).integers(-3000, 3000, (n_samples, n_channels)).astype(np.int16)


def test_outputs_are_those_of_the_program_frame_by_frame(tiny_harness: Path) -> None:
    samples = counts(41)
    run = run_on_target(tiny_harness, samples, None, n_channels=3, samples_per_frame=2, n_outputs=2)
    expected = samples[:40].reshape(20, 6).sum(axis=1) * 0.5
    np.testing.assert_array_equal(run.outputs[:, 0], expected.astype(np.float32))
    np.testing.assert_array_equal(run.outputs[:, 1], np.arange(1, 21))
    assert run.valid.all()
    assert run.state is not None
    assert len(run.state) == FirmwareImage.load(tiny_harness).symbol("edgebci_harness_context").size_bytes


def test_missing_samples_are_pushed_as_missing(tiny_harness: Path) -> None:
    samples, missing = counts(8), np.zeros(8, bool)
    missing[[3, 6, 7]] = True
    run = run_on_target(tiny_harness, samples, missing, n_channels=3, samples_per_frame=2, n_outputs=2)
    held = samples.astype(int)
    held[3] = held[2]
    held[6] = held[7] = held[5]
    np.testing.assert_array_equal(run.outputs[:, 0], held.reshape(4, 6).sum(axis=1) * np.float32(0.5))
    assert run.valid.tolist() == [True, False, True, False]


def test_steps_of_equal_work_cost_equal_cycles_and_regions_lie_within_them(tiny_harness: Path) -> None:
    run = run_on_target(tiny_harness, counts(40), None, n_channels=3, samples_per_frame=2, n_outputs=2)
    assert run.step_cycles.shape == (20, 3)
    assert (run.step_cycles[1:] == run.step_cycles[1]).all()
    whole, front_end, decoder = run.step_cycles[1]
    assert 0 < decoder < front_end < whole
    assert front_end + decoder < whole
    assert [step.name for step in run.cycles.steps] == ["step", "front end", "decoder"]
    names = {f.name for f in run.cycles.by_function}
    assert {"edgebci_front_end_push", "edgebci_decoder_step", "edgebci_harness_push"} <= names


def test_running_twice_gives_the_same_everything(tiny_harness: Path) -> None:
    first, second = (
        run_on_target(tiny_harness, counts(30), None, n_channels=3, samples_per_frame=2, n_outputs=2) for _ in range(2)
    )
    assert first.instructions == second.instructions == first.cycles.instructions
    assert first.cycles == second.cycles
    assert first.state == second.state
    np.testing.assert_array_equal(first.outputs, second.outputs)


def test_memory_is_that_of_the_image_and_the_deepest_stack(tiny_harness: Path) -> None:
    run = run_on_target(tiny_harness, counts(4), None, n_channels=3, samples_per_frame=2, n_outputs=2)
    image = FirmwareImage.load(tiny_harness)
    assert run.memory.flash_bytes == image.flash_bytes
    assert run.memory.static_ram_bytes == image.static_ram_bytes
    assert 0 < run.memory.stack_bytes < 256


def test_a_program_that_loses_frames_is_found_out(tiny_harness: Path) -> None:
    # Six channels of one sample to a frame fill the same buffer as three of two, but the program waits for two.
    with pytest.raises(VerificationError, match=r"gave 0 frames where 1 were due"):
        run_on_target(tiny_harness, counts(1, 6), None, n_channels=6, samples_per_frame=1, n_outputs=2)


def test_a_program_for_other_channels_is_refused(tiny_harness: Path) -> None:
    with pytest.raises(VerificationError, match="has 12 bytes where a frame has 4 samples of 3 channels"):
        run_on_target(tiny_harness, counts(8), None, n_channels=3, samples_per_frame=4, n_outputs=2)


def test_progress_ends_at_one(tiny_harness: Path) -> None:
    seen: list[tuple[float, str]] = []
    run_on_target(
        tiny_harness, counts(511), None, 3, 2, 2, progress=lambda fraction, note: seen.append((fraction, note))
    )
    assert len(seen) == 6
    assert seen == sorted(seen)
    assert seen[-1][0] == 1.0
