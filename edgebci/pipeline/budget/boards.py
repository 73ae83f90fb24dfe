"""The decoder on a board outside of the body: a step's time from its roof, or as it was measured; never judged here."""

from __future__ import annotations

from edgebci.board_measurement import load_measurement
from edgebci.errors import InputError
from edgebci.firmware_sim.board_estimate import BoardStep, BoardWork, board_step
from edgebci.hardware import Board, load_profile
from edgebci.pipeline.budget.counts import Counts
from edgebci.pipeline.budget.order import BudgetOrder

KERNELS = 20
"""Launched in one step, as `edgebci profiles step` takes it where nobody says: a few to a layer."""


def board_steps(order: BudgetOrder, counts: Counts) -> tuple[BoardStep, ...]:
    """One step in each power mode of the order's board; a measured file takes the place of them all.

    Raises:
        InputError: no such board; a measurement without a board, of another period, or damaged.
    """
    if order.board is None:
        if order.board_measured is not None:
            raise InputError(f"{order.board_measured} is of a board, and none was named; add --board")
        return ()
    board = load_profile(Board, order.board)
    work = BoardWork(
        macs=max(counts.macs, 1), bytes_moved=max(counts.weight_bytes + 2 * counts.state_bytes, 1), kernels=KERNELS
    )
    if order.board_measured is None:
        return tuple(board_step(board, mode, work) for mode in board.modes)
    measured = load_measurement(order.board_measured, period_s=1 / counts.frame_rate_hz)
    return (board_step(board, measured.power_mode or "unknown mode", work, measured),)
