"""Energy of an inference on boards that were held out: cycles of the logged program times the energy of a cycle.

The energy of a cycle is the median over all runs of the other boards of the same chip and regulator: the only thing
that is fitted. What carries over from one supply to another follows from the circuit:

    linear       a linear regulator passes the core's current: charge per cycle stays, energy goes with the supply
    switching    a converter passes power: energy per cycle stays
    core rail    the core's own supply is known: energy goes with its square

A board is one submission: a chip on a board with one library's code. Where an accelerator computes beside the core, a
cycle is no measure of work; such boards are predicted too, and counted apart.
"""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from edgebci.documents import Document, load_toml

LOGS = Path(__file__).parent / "mlperf_tiny.toml"
Regulator = Literal["linear", "switching", "external switching", "core rail", "not stated"]
_SUPPLY_EXPONENT: dict[Regulator, int] = {"linear": 1, "core rail": 2}


class Run(Document):
    """One benchmark on a board."""

    energy_uj: float = Field(gt=0)
    inferences_per_s: float = Field(gt=0)


class LoggedBoard(Document):
    """One submission with its runs, by benchmark: ad, ic, kws, vww."""

    part: str
    software: str
    clock_mhz: float = Field(gt=0)
    supply_v: float | None = Field(default=None, gt=0)
    regulator: Regulator
    accelerator: str | None = None
    note: str = ""
    source: str
    runs: dict[str, Run] = Field(min_length=1)

    @model_validator(mode="after")
    def _supply_is_known_where_it_counts(self) -> Self:
        if _SUPPLY_EXPONENT.get(self.regulator, 0) and self.supply_v is None:
            raise ValueError(f"its regulator is called {self.regulator} and its supply_v is missing; add it")
        return self

    def pj_per_cycle(self, benchmark: str) -> float:
        """Energy over logged cycles: clock over inferences per second."""
        run = self.runs[benchmark]
        return run.energy_uj * run.inferences_per_s / self.clock_mhz

    def carries_over(self) -> float:
        """What the energy of a cycle is divided by before another board uses it."""
        return (self.supply_v or 1.0) ** _SUPPLY_EXPONENT.get(self.regulator, 0)


class EnergyLogs(Document):
    """All boards, by name."""

    boards: dict[str, LoggedBoard]


class EnergyPrediction(Document):
    """A held-out board: predicted over logged energy by benchmark, or why it could not be predicted."""

    board: str
    part: str
    accelerator: str | None
    other_boards: int
    ratios: dict[str, float] = Field(default_factory=dict)
    left_out: str | None = None
    note: str = ""


def load_energy_logs() -> EnergyLogs:
    """The logs that are shipped."""
    return load_toml(LOGS, EnergyLogs)


def predict_energy(logs: EnergyLogs) -> tuple[EnergyPrediction, ...]:
    """Hold out each board in turn and predict its runs from the others of its chip and regulator."""
    return tuple(_held_out(name, logs) for name in logs.boards)


def _held_out(name: str, logs: EnergyLogs) -> EnergyPrediction:
    board = logs.boards[name]
    others = [
        other
        for key, other in logs.boards.items()
        if key != name and (other.part, other.regulator) == (board.part, board.regulator)
    ]
    prediction = EnergyPrediction(
        board=name, part=board.part, accelerator=board.accelerator, other_boards=len(others), note=board.note
    )
    if board.regulator == "not stated":
        return prediction.model_copy(update={"left_out": "its systems file states neither supply nor regulator"})
    if not others:
        reason = f"no other board of this chip with a regulator called {board.regulator} was logged"
        return prediction.model_copy(update={"left_out": reason})
    per_cycle = statistics.median(
        other.pj_per_cycle(benchmark) / other.carries_over() for other in others for benchmark in other.runs
    )
    ratios = {benchmark: per_cycle * board.carries_over() / board.pj_per_cycle(benchmark) for benchmark in board.runs}
    return prediction.model_copy(update={"ratios": ratios})
