"""A step on a Jetson or a Raspberry Pi: estimated with its range and not judged, or measured and judged."""

from __future__ import annotations

import pytest

from edgebci.board_measurement import BoardMeasurement
from edgebci.errors import InputError
from edgebci.firmware_sim.board_estimate import BoardWork, board_step
from edgebci.hardware import Board, load_profile, profile_names

SMALL = BoardWork(macs=117_000, bytes_moved=150_000, kernels=20)


@pytest.fixture(scope="module")
def nano() -> Board:
    return load_profile(Board, "jetson-orin-nano")


def _measurement(p99_9_us: float) -> BoardMeasurement:
    lateness = {"p50": 1.0, "p99": 2.0, "p99_9": 3.0, "mean": 1.0, "largest": 4.0}
    state: dict[str, object] = {"clocks": (), "temperatures_c": {}}
    return BoardMeasurement.model_validate(
        {"schema_version": "edgebci.board_measurement/1", "target": "jetson", "precision": "fp16", "period_s": 0.02}
        | {"decoder_sha256": "0" * 64, "engine_sha256": "1" * 64, "n_steps": 1000, "n_warm_up": 10}
        | {"latency_us": {"p50": 150.0, "p99": 180.0, "p99_9": p99_9_us, "mean": 155.0, "largest": p99_9_us + 1}}
        | {"lateness_us": lateness, "missed_deadlines": 0, "power_w": {}, "power_readings": 0, "before": state}
        | {"begun_utc": "2026-01-01", "frames": "zeros", "board": {"model": "a board"}, "tensorrt": "10.3"}
        | {"cuda_runtime": "12.6", "compute_capability": "8.7", "power_mode": "15W", "after": state}
    )


def test_an_estimate_is_a_range_and_is_never_judged(nano: Board) -> None:
    step = board_step(nano, "15W", SMALL)
    assert step.basis == "estimate"
    # Twenty launches of 3 to 20 us each; the roof itself is far away for a network of this size.
    assert 60 <= step.step_us.low < step.step_us.typical < step.step_us.high
    assert step.step_us.high / step.step_us.low > 3
    assert step.within(1e9) == step.within(1.0) == "not judged: an estimate"
    assert step.step_us.dominated_by is not None
    assert step.step_us.dominated_by.input == "launch_us"


def test_a_measurement_takes_the_place_of_the_estimate_and_is_judged_by_its_tail(nano: Board) -> None:
    step = board_step(nano, "15W", SMALL, _measurement(250.0))
    assert (step.basis, step.step_us.high) == ("measured", 250.0)
    assert step.within(250.0) == "yes"
    assert step.within(249.0) == "no"
    assert "measured on a board" in step.says


def test_more_work_never_takes_less_time(nano: Board) -> None:
    heavy = SMALL.model_copy(update={"macs": 10**12})
    moving = SMALL.model_copy(update={"bytes_moved": 10**10})
    base = board_step(nano, "15W", SMALL).step_us
    assert board_step(nano, "15W", heavy).step_us.typical > base.typical
    # 10 GB at 68 GB/s are 147 ms.
    assert board_step(nano, "15W", moving).step_us.typical == pytest.approx(147e3, rel=0.01)


@pytest.mark.parametrize("name", profile_names(Board))
def test_every_mode_of_every_board_gives_a_range(name: str) -> None:
    board = load_profile(Board, name)
    for mode in board.modes:
        step_us = board_step(board, mode, SMALL).step_us
        assert 0 < step_us.low < step_us.high


def test_a_mode_that_the_board_does_not_have_is_refused(nano: Board) -> None:
    with pytest.raises(InputError, match="jetson-orin-nano has no mode '16W'; did you mean '15W'"):
        board_step(nano, "16W", SMALL)
