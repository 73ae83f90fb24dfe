"""Steady temperature rise of tissue around an implant: what a design warms, and closed forms of the Pennes equation.

What is said of a design comes from the layers around it (`edgebci.firmware_sim.heat`), everywhere. The closed forms are
what that solver is held to.

    k       conductivity, W/m/K                 w      perfusion w * rho_b * c_b, W/m3/K
    L       sqrt(k / w), how far heat spreads   a      radius, m

The formulas are exact for their geometry: a sphere inside tissue, a disc of even flux on tissue with an insulated back
(its hottest point, the centre), and the disc's limit of infinite size, a slab. Each body warms tissue alone here, and
metabolic heat is part of the resting temperature.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from edgebci.firmware_sim.design import Design
from edgebci.firmware_sim.heat.slope import slopes
from edgebci.firmware_sim.power import POWER
from edgebci.firmware_sim.uncertainty import Pick
from edgebci.hardware import HeatSource
from edgebci.quantity import Quantity


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


@dataclass(frozen=True)
class Warmed:
    """Tissue whose rise is held against its limit: around one heat source, at its hottest point or in a layer that is
    allowed less than that.
    """

    source_name: str
    source: HeatSource
    tissue: str
    inner: bool
    c_per_mw: Quantity
    limit_c: float

    @property
    def where(self) -> str:
        """The heat source, and the layer where that is not what the source touches."""
        return f"{self.source_name} in {self.tissue}" if self.inner else self.source_name

    def rise_c(self, design: Design, pick: Pick) -> float:
        """Temperature rise there, in C."""
        return dissipated_uw(design, self.source, pick) * 1e-3 * pick(self.c_per_mw)


def warmed(design: Design) -> Iterator[Warmed]:
    """All tissue that a design must not warm too much.

    The limit at the hottest point is the lower one of the tissue that the profile names and of the layers that touch
    the source. A layer farther inside may be allowed less still: the brain under a can on the skull.
    """
    for name, source in design.implant.heat_sources.items():
        found, own = slopes(source), design.tissues[source.tissue].rise_limit_c.low
        limit_c = min(own, found.hottest.limit_c)
        yield Warmed(name, source, source.tissue, False, found.hottest.c_per_mw, limit_c)
        inner = found.stricter(limit_c)
        if inner is not None:
            yield Warmed(name, source, inner.layer, True, inner.c_per_mw, inner.limit_c)


def dissipated_uw(design: Design, source: HeatSource, pick: Pick) -> float:
    """Power of the parts inside a heat source; what the antenna radiates is counted as heat too."""
    return sum(POWER[part](design, pick) for part in source.parts)


def rise_c(design: Design, source: HeatSource, pick: Pick) -> float:
    """Temperature rise at the hottest point of a heat source, in C."""
    return dissipated_uw(design, source, pick) * 1e-3 * pick(slopes(source).hottest.c_per_mw)
