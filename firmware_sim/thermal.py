"""Steady temperature rise of perfused tissue around an implant: closed forms of the Pennes equation.

    k       conductivity, W/m/K                 w      perfusion w * rho_b * c_b, W/m3/K
    L       sqrt(k / w), how far heat spreads   a      radius, m

The formulas are exact for their geometry: a sphere inside tissue, a disc of even flux on tissue with an insulated back
(its hottest point, the centre), and the disc's limit of infinite size, a slab. Each body warms tissue alone here, and
metabolic heat is part of the resting temperature.
"""

from __future__ import annotations

import math

from edgebci.firmware_sim.design import Design
from edgebci.firmware_sim.power import POWER
from edgebci.firmware_sim.uncertainty import Pick
from edgebci.hardware import HeatSource


def spread_length_m(k: float, w: float) -> float:
    """Distance over which the rise falls by e in one dimension, in m."""
    return math.sqrt(k / w)


def sphere_c_per_w(radius_m: float, k: float, w: float) -> float:
    """Rise at the surface of a sphere in tissue per watt."""
    return 1.0 / (4.0 * math.pi * k * radius_m * (1.0 + radius_m / spread_length_m(k, w)))


def slab_c_per_w_per_m2(k: float, w: float) -> float:
    """Rise of the face of deep tissue per W/m2 that enters it evenly."""
    return 1.0 / math.sqrt(k * w)


def disc_c_per_w(radius_m: float, k: float, w: float) -> float:
    """Rise at the centre of a disc on deep tissue per watt, flux even and back insulated."""
    area_m2 = math.pi * radius_m**2
    return slab_c_per_w_per_m2(k, w) / area_m2 * -math.expm1(-radius_m / spread_length_m(k, w))


def rise_c_per_mw(design: Design, source: HeatSource, pick: Pick) -> float:
    """Rise at a heat source's surface per milliwatt: as a sphere of its area, or as a disc if its back insulates."""
    tissue = design.tissues[source.tissue]
    k, w = pick(tissue.conductivity_w_per_m_k), pick(tissue.perfusion_w_per_m3_k)
    area_m2 = pick(source.contact_area_cm2) * 1e-4
    if source.back_side == "insulated":
        return disc_c_per_w(math.sqrt(area_m2 / math.pi), k, w) * 1e-3
    return sphere_c_per_w(math.sqrt(area_m2 / (4.0 * math.pi)), k, w) * 1e-3


def dissipated_uw(design: Design, source: HeatSource, pick: Pick) -> float:
    """Power of the parts inside a heat source; what the antenna radiates is counted as heat too."""
    return sum(POWER[part](design, pick) for part in source.parts)


def rise_c(design: Design, source: HeatSource, pick: Pick) -> float:
    """Temperature rise at the surface of a heat source, in C."""
    return dissipated_uw(design, source, pick) * 1e-3 * rise_c_per_mw(design, source, pick)
