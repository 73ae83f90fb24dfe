"""From the loads of an implant to its battery or coil: what regulator, rectifier and coil lose at the actual load.

A converter takes load / efficiency + quiescent: at heavy load nearly its efficiency, at light load much less. Profiles
without a quiescent power have one efficiency for every load.
"""

from __future__ import annotations

from edgebci.firmware_sim.design import Design
from edgebci.firmware_sim.loads import loads_uw
from edgebci.firmware_sim.uncertainty import Pick
from edgebci.quantity import Quantity


def _or_zero(quantity: Quantity | None, pick: Pick) -> float:
    return 0.0 if quantity is None else pick(quantity)


def _regulated_uw(design: Design, load_uw: float, pick: Pick) -> float:
    implant = design.implant
    return load_uw / pick(implant.regulator_efficiency) + _or_zero(implant.regulator_quiescent_uw, pick)


def of_loads_uw(design: Design, load_uw: float, pick: Pick) -> float:
    """What battery or coil give so that loads of `load_uw` are served."""
    taken_uw, link = _regulated_uw(design, load_uw, pick), design.implant.link
    if link is None:
        return taken_uw
    rectified_uw = taken_uw / pick(link.rectifier_efficiency) + _or_zero(link.rectifier_quiescent_uw, pick)
    return rectified_uw / (1.0 - _or_zero(link.coil_loss_share, pick))


def regulator_input_uw(design: Design, pick: Pick) -> float:
    """What the regulator takes from battery or rectifier."""
    return _regulated_uw(design, loads_uw(design, pick), pick)


def total_uw(design: Design, pick: Pick) -> float:
    """What the battery gives or the coil takes up, in uW."""
    return of_loads_uw(design, loads_uw(design, pick), pick)


def regulator_loss_uw(design: Design, pick: Pick) -> float:
    """Heat of the regulator."""
    return regulator_input_uw(design, pick) - loads_uw(design, pick)


def rectifier_loss_uw(design: Design, pick: Pick) -> float:
    """Heat of rectifier and coil, inside the implant; 0 with a battery."""
    return total_uw(design, pick) - regulator_input_uw(design, pick)


def conversion_uw(design: Design, pick: Pick) -> float:
    """All that is lost on the way from battery or coil to the loads."""
    return total_uw(design, pick) - loads_uw(design, pick)


def efficiency(design: Design, pick: Pick) -> float:
    """Share of what battery or coil give that reaches the loads."""
    return loads_uw(design, pick) / total_uw(design, pick)
