"""The cycle model of a core: its pipeline, with the figures of its profile."""

from __future__ import annotations

from functools import cache
from typing import Protocol

from edgebci.errors import InputError
from edgebci.firmware_sim.cortex_m4 import Pipeline
from edgebci.firmware_sim.in_order import InOrder
from edgebci.firmware_sim.thumb import Instruction
from edgebci.hardware import CoreModel, load_profile, profile_names


class Timed(Protocol):
    """A core while it runs a sequence of instructions."""

    cycle: float
    slack: float

    @property
    def indirect(self) -> float:
        """What a return or another indirect branch adds."""
        ...

    @property
    def mispredicted(self) -> float:
        """What a branch costs more where it was predicted wrongly."""
        ...

    def run(self, instruction: Instruction) -> None:
        """Advance by one instruction."""
        ...

    def refill(self, instruction: Instruction) -> None:
        """Add what a taken branch costs beyond its own cycles."""
        ...


@cache
def core_model(core: str) -> CoreModel:
    """The figures of a core.

    Raises:
        InputError: there is no cycle model for it.
    """
    if core not in profile_names(CoreModel):
        modelled = ", ".join(profile_names(CoreModel))
        raise InputError(f"there is no cycle model for {core}, only for {modelled}; count instructions instead")
    return load_profile(CoreModel, core)


def new_pipeline(model: CoreModel) -> Timed:
    """The pipeline of a core, empty."""
    return Pipeline(model) if model.pipeline == "cortex-m4" else InOrder(model)
