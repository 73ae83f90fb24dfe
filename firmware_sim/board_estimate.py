"""What a step takes on a board with an operating system: from its roof, until someone has measured it there.

    step = max(operations / (roof x efficiency), bytes moved / bandwidth) + kernels x launch, at least the floor

The roofline is that of Williams, Waterman and Patterson 2009. For networks as small as decoders launching dominates and
the range is wide: an estimate is shown and never judged. A file that benchmark.py wrote on the board takes its place.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgebci.board_measurement import BoardMeasurement
from edgebci.documents import Document, nearest
from edgebci.errors import InputError
from edgebci.firmware_sim.uncertainty import Estimate, Pick, estimate
from edgebci.firmware_sim.verdicts import below
from edgebci.hardware import Board, BoardMode
from edgebci.quantity import quantities

Precision = Literal["int8", "fp16"]
Judgement = Literal["yes", "no", "not judged: an estimate"]


class BoardWork(Document):
    """What a decoder asks of a board in one step: multiply-accumulates, bytes read and written, kernels launched."""

    macs: int = Field(gt=0)
    bytes_moved: int = Field(gt=0)
    kernels: int = Field(gt=0)
    precision: Precision = "int8"


class BoardStep(Document):
    """The time of one step in microseconds; measured is from the 50th to the 99.9th percentile, typical the 99th."""

    board: str
    mode: str
    basis: Literal["estimate", "measured"]
    step_us: Estimate
    says: str

    def within(self, limit_us: float) -> Judgement:
        """Whether a step ends in time: judged by its 99.9th percentile where it was measured, never by an estimate."""
        if self.basis == "estimate":
            return "not judged: an estimate"
        return "yes" if below(self.step_us, limit_us) == "yes" else "no"


def board_step(board: Board, mode: str, work: BoardWork, measured: BoardMeasurement | None = None) -> BoardStep:
    """One step on a board in one of its power modes; a measurement takes the place of the estimate.

    Raises:
        InputError: the board has no such mode.
    """
    if measured is not None:
        taken = measured.latency_us
        spread = Estimate(low=taken.p50, typical=taken.p99, high=taken.p99_9, unit="us")
        return BoardStep(board=board.name, mode=mode, basis="measured", step_us=spread, says=measured.sentence())
    if mode not in board.modes:
        raise InputError(f"{board.name} has no mode {mode!r}; {nearest(mode, list(board.modes))}")
    names = {id(quantity): path for path, quantity in quantities(board).items()}
    step_us = estimate(lambda pick: _step_us(board, board.modes[mode], work, pick), "us", names)
    return BoardStep(
        board=board.name,
        mode=mode,
        basis="estimate",
        step_us=step_us,
        says="estimated from the roof and the cost of a launch; measure it on the board with benchmark.py",
    )


def _step_us(board: Board, mode: BoardMode, work: BoardWork, pick: Pick) -> float:
    roof = mode.dense_int8_tops if work.precision == "int8" else mode.dense_fp16_tflops
    compute_us = 2 * work.macs / (pick(roof) * 1e6 * pick(board.efficiency))
    memory_us = work.bytes_moved / (pick(mode.memory_gb_per_s) * 1e3)
    launched_us = max(compute_us, memory_us) + work.kernels * pick(board.launch_us)
    return max(launched_us, pick(board.step_floor_us))
