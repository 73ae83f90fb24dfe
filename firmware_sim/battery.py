"""How long a battery runs a design."""

from __future__ import annotations

from edgebci.firmware_sim.design import Design
from edgebci.firmware_sim.power import total_uw
from edgebci.firmware_sim.uncertainty import Pick
from edgebci.hardware import Battery


def runtime_h(battery: Battery, load_uw: float, pick: Pick) -> float:
    """Hours from full charge to the end of the usable range. Self-discharge and fade are not counted: no source."""
    return pick(battery.energy_mwh) * pick(battery.usable_share) / (load_uw * 1e-3)


def design_runtime_h(design: Design, battery: Battery, pick: Pick) -> float:
    """Hours for which `battery` runs the whole design."""
    return runtime_h(battery, total_uw(design, pick), pick)
