"""What goes into a program that runs as a process, and what is made of what it prints."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from edgebci.errors import MissingToolError, VerificationError
from edgebci.firmware_sim.cores import CORES
from edgebci.firmware_sim.toolchain import target_flags
from edgebci.firmware_sim.user_program import frames, runner, stream


def test_pushes_end_at_frames_and_where_samples_go_missing() -> None:
    counts = np.arange(10, dtype=np.int16).reshape(5, 2)
    missing = np.array([False, False, False, True, False])
    rows = counts.tobytes()
    expected = [(2, 0, rows[:8]), (1, 0, rows[8:12]), (1, 1, b""), (1, 0, rows[16:])]
    assert stream(counts, missing, 2) == b"".join(np.array(h, "<u4").tobytes() + body for *h, body in expected)


def test_frames_are_read_as_floats_and_flags() -> None:
    printed = np.array([1.5, -2.0], "<f4").tobytes() + np.array([1], "<u4").tobytes()
    printed += np.array([np.nan, 0.25], "<f4").tobytes() + np.array([0], "<u4").tobytes()
    found = frames(printed + b"state" + np.array([640, 5], "<u4").tobytes(), 2, 2)
    np.testing.assert_array_equal(found.outputs, np.array([[1.5, -2.0], [np.nan, 0.25]], np.float32))
    assert found.valid.tolist() == [True, False]
    assert (found.state, found.stack_bytes) == (b"state", 640)


def test_a_lost_frame_is_told() -> None:
    with pytest.raises(VerificationError, match=r"gave 1.5 frames where 2 were due"):
        frames(bytes(18 + 8), 2, 2)


def test_an_emulator_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(MissingToolError, match="qemu-riscv32 is not installed; install it"):
        runner(CORES["riscv32"])
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    assert runner(CORES["riscv32"]) == ["qemu-riscv32"]
    assert runner(CORES["aarch64"]) == ["qemu-aarch64", "-cpu", "max"]
    assert runner(CORES["host"]) == []
    board = runner(CORES["cortex-m55"])
    assert (board[0], board[2], board[-1]) == ("qemu-system-arm", "mps3-an547", "-kernel")


def test_each_core_is_asked_for_by_its_units() -> None:
    for name, unit in (("cortex-m33", "+dsp"), ("cortex-m55", "+mve_fp"), ("cortex-m7", "fp_armv8d16sp")):
        assert unit in " ".join(target_flags(CORES[name])), name
    assert target_flags(CORES["host"]) == []
