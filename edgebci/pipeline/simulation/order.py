"""What to simulate."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from pydantic import Field

from edgebci.documents import Document, load_toml, nearest
from edgebci.errors import InputError
from edgebci.firmware_sim.electronics.conditions import NO_CONDITIONS, Conditions

SweepName = Literal["converter", "noise", "channels"]


class SimulationOrder(Document):
    """A bundle over a recording in an implant. Names are those of profiles, or paths of your own."""

    bundle: Path
    recording: Path
    implant: str
    compute: str | None = None
    radio: str | None = None
    conditions: Path | None = None
    behavior: str | None = None
    """Series to score against; None: the one that the decoder decodes."""
    lfp: str | None = None
    seconds: float | None = Field(default=None, gt=0)
    """So much from the beginning of the recording; None: all of it."""
    sweeps: tuple[SweepName, ...] = ()
    closed_loop: bool = False
    board: str | None = None
    """That would run the decoder outside; board_measured: what benchmark.py wrote there."""
    board_measured: Path | None = None
    threads: int = Field(default=2, ge=1, le=64)

    def read_conditions(self) -> Conditions:
        """The file of conditions, or none; raises InputError for what is wrong in it."""
        return load_toml(self.conditions, Conditions) if self.conditions else NO_CONDITIONS


def sweep_names(text: str | None) -> tuple[SweepName, ...]:
    """Read `converter,noise`; raises InputError for a sweep that there is not."""
    known: tuple[SweepName, ...] = get_args(SweepName)
    asked = [name.strip() for name in text.split(",")] if text else []
    unknown = [name for name in asked if name not in known]
    if unknown:
        raise InputError(f"there is no sweep {unknown[0]!r}; {nearest(unknown[0], list(known))}")
    return tuple(name for name in known if name in asked)
