"""Mean power of an implant by part, in uW: its loads, and what is lost between them and battery or coil."""

from __future__ import annotations

from edgebci.firmware_sim.loads import (
    LOADS,
    PowerFormula,
    adc_uw,
    compute_uw,
    duty,
    front_end_uw,
    loads_uw,
    standing_uw,
)
from edgebci.firmware_sim.supply import conversion_uw, total_uw
from edgebci.hardware import Part

__all__ = [
    "LOADS",
    "POWER",
    "PowerFormula",
    "adc_uw",
    "compute_uw",
    "conversion_uw",
    "duty",
    "front_end_uw",
    "loads_uw",
    "standing_uw",
    "total_uw",
]

POWER: dict[Part, PowerFormula] = LOADS | {"conversion": conversion_uw}
