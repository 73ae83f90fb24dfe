"""Steady rise per milliwatt around a heat source as quantities with ranges: tissue is solved once for all formulas.

The rise of tissue is linear in power, so everything that the layers of a location do to a result is one number for each
layer: its slope. Its range is that of all thicknesses, tissues and the contact area together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from edgebci.firmware_sim.heat.body import body_input_names
from edgebci.firmware_sim.heat.implant import LayerRise, layered_rise_c_per_mw, warmth
from edgebci.firmware_sim.uncertainty import Pick, estimate, typical
from edgebci.hardware import HeatSource
from edgebci.quantity import Quantity

_SOURCE = "a thin disc of the contact area in layered tissue: edgebci.firmware_sim.heat"


@dataclass(frozen=True)
class LayerSlope:
    """The highest rise in one layer per milliwatt, in C/mW, and the rise that its tissue is allowed, in C."""

    layer: str
    c_per_mw: Quantity
    limit_c: float


@dataclass(frozen=True)
class Slopes:
    """Of one heat source: at its hottest point, with the lowest limit of what touches it there, and in each layer from
    the outermost inwards.
    """

    hottest: LayerSlope
    layers: tuple[LayerSlope, ...]

    def stricter(self, limit_c: float) -> LayerSlope | None:
        """Of the layers that are allowed less than `limit_c`, the one that warms most; None where there is none."""
        found = [layer for layer in self.layers if layer.limit_c < limit_c]
        return max(found, key=lambda layer: layer.c_per_mw.typical, default=None)


@cache
def slopes(source: HeatSource) -> Slopes:
    """Solve the layers around a heat source over the ranges of all that they depend on."""
    around = warmth(source, typical)
    return Slopes(
        hottest=LayerSlope(
            source.tissue, _quantity(source, lambda pick: layered_rise_c_per_mw(source, pick)), around.surface_limit_c
        ),
        layers=tuple(_layer(source, k, layer) for k, layer in enumerate(around.layers)),
    )


def _layer(source: HeatSource, k: int, layer: LayerRise) -> LayerSlope:
    slope = _quantity(source, lambda pick: warmth(source, pick).layers[k].c_per_mw)
    return LayerSlope(layer.layer, slope, layer.limit_c)


def _quantity(source: HeatSource, formula: Callable[[Pick], float]) -> Quantity:
    names = body_input_names() | {id(source.contact_area_cm2): "contact_area_cm2"}
    found = estimate(formula, "C/mW", names)
    return Quantity(
        low=found.low,
        typical=found.typical,
        high=found.high,
        unit="C/mW",
        source=_SOURCE,
        evidence_class="derived",
    )
