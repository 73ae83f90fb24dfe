"""What benchmark.py of a Jetson bundle measured on a board: latency, power, and the state that the board was in.

The file takes the place of an estimate only where it is of the very decoder that is asked about, at its very period.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from edgebci.documents import Document, load_json
from edgebci.errors import InputError

SHA256 = "^[0-9a-f]{64}$"


class Percentiles(Document):
    """Microseconds; each but the mean is one that was measured (nearest rank)."""

    p50: float = Field(ge=0)
    p99: float = Field(ge=0)
    p99_9: float = Field(ge=0)
    mean: float = Field(ge=0)
    largest: float = Field(ge=0)

    @model_validator(mode="after")
    def _in_order(self) -> Percentiles:
        if not self.p50 <= self.p99 <= self.p99_9 <= self.largest or self.mean > self.largest:
            raise ValueError("percentiles must rise from p50 to the largest; measure again with benchmark.py")
        return self


class ClockReading(Document):
    """One clock of the board."""

    name: str
    current_hz: int = Field(ge=0)
    least_hz: int = Field(ge=0)
    greatest_hz: int = Field(ge=0)
    governor: str

    @property
    def locked(self) -> bool:
        """Whether it cannot move, as jetson_clocks leaves it."""
        return self.least_hz == self.greatest_hz


class BoardState(Document):
    """What may move while a program runs."""

    clocks: tuple[ClockReading, ...]
    temperatures_c: dict[str, float]


class BoardMeasurement(Document):
    """One run of benchmark.py.

    Fields:
        target, precision: as the decoder was exported.
        decoder_sha256: of its decoder.onnx.
        engine_sha256: of the engine that ran.
        period_s: between steps.
        n_steps, n_warm_up: that were timed, and run before them.
        latency_us: from the start of a step to its output in host memory.
        lateness_us: from the moment at which a step was due to its start.
        missed_deadlines: steps whose output came after the next was due.
        power_w: mean by rail, read while waiting; empty where the board has no monitor.
        board: model and release.
    """

    schema_version: Literal["edgebci.board_measurement/1"]
    target: str
    precision: str
    decoder_sha256: str = Field(pattern=SHA256)
    engine_sha256: str = Field(pattern=SHA256)
    period_s: float = Field(gt=0)
    n_steps: int = Field(ge=1000)
    n_warm_up: int = Field(ge=0)
    latency_us: Percentiles
    lateness_us: Percentiles
    missed_deadlines: int = Field(ge=0)
    power_w: dict[str, float]
    power_readings: int = Field(ge=0)
    begun_utc: str
    frames: str
    board: dict[str, str]
    tensorrt: str
    cuda_runtime: str
    compute_capability: str
    power_mode: str | None
    before: BoardState
    after: BoardState

    @model_validator(mode="after")
    def _possible(self) -> BoardMeasurement:
        if self.missed_deadlines > self.n_steps:
            raise ValueError("more deadlines missed than steps; measure again with benchmark.py")
        if "model" not in self.board:
            raise ValueError("the board has no model; measure on the board itself with benchmark.py")
        return self

    @property
    def clocks_locked(self) -> bool:
        """Whether every clock stood still; False, too, where none was read."""
        return bool(self.before.clocks) and all(clock.locked for clock in (*self.before.clocks, *self.after.clocks))

    def sentence(self) -> str:
        """For a report: what was measured, where, and in which state."""
        taken, mode = self.latency_us, self.power_mode or "an unknown power mode"
        clocks = "locked clocks" if self.clocks_locked else "clocks that may move"
        return (
            f"measured on {self.board['model']} in {mode} with {clocks}: p50 {taken.p50:.0f}, p99 {taken.p99:.0f}, "
            f"p99.9 {taken.p99_9:.0f} µs over {self.n_steps:,} steps, one every {self.period_s * 1e3:g} ms"
        )


def load_measurement(path: Path, decoder_sha256: str | None = None, period_s: float | None = None) -> BoardMeasurement:
    """Read what benchmark.py wrote; with `decoder_sha256` and `period_s`, for use in place of an estimate.

    Raises:
        InputError: no such file, damaged, or of another decoder or period.
    """
    found = load_json(path, BoardMeasurement)
    if decoder_sha256 is not None and found.decoder_sha256 != decoder_sha256:
        raise InputError(
            f"{path} was measured with the decoder {found.decoder_sha256[:12]}, this one is {decoder_sha256[:12]}; "
            "copy this bundle to the board and measure it there"
        )
    if period_s is not None and abs(found.period_s - period_s) > 1e-9 * period_s:
        raise InputError(
            f"{path} was measured with a step every {found.period_s:g} s, this decoder has one every {period_s:g} s; "
            "measure again"
        )
    return found
