"""How warm an implant makes the tissue around it, layer by layer, and what it may draw at its location.

A body of the implant is taken as a thin disc of its contact area in the layers of its location: half of the area each
way where its back touches tissue, all of it downwards where its back is insulated. The limit is the rise of each tissue
that it warms (1 C in the brain, 2 C at a surface elsewhere); flux follows from power and area and limits nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from edgebci.documents import Document
from edgebci.errors import InputError
from edgebci.firmware_sim.heat.body import BodyLayer, surroundings
from edgebci.firmware_sim.heat.disc import Place, Rises, disc_in_time, disc_rises
from edgebci.firmware_sim.heat.layers import Layer
from edgebci.firmware_sim.uncertainty import Pick, typical
from edgebci.hardware import HeatSource

UNTUNED = (
    "Kim 2007 computed an integrated Utah array by finite elements, its geometry, blood and metabolism varied, and "
    "measured it in vitro and in vivo; here a flat disc of the contact area gives heat off evenly between the layers "
    "of an intact head: no needles, no chip that conducts, no opening in skull and dura, no cable. Nothing was fitted."
)


@dataclass(frozen=True)
class LayerRise:
    """The highest rise in a layer around a heat source, and the rise that its tissue is allowed."""

    layer: str
    c_per_mw: float
    limit_c: float

    @property
    def allowed_mw(self) -> float:
        """Power at which the layer reaches its limit."""
        return self.limit_c / self.c_per_mw if self.c_per_mw > 0 else math.inf


@dataclass(frozen=True)
class Warmth:
    """Rises by a heat source per milliwatt: at its hottest point, and in each layer from the outermost inwards."""

    source_c_per_mw: float
    layers: tuple[LayerRise, ...]

    @property
    def surface_limit_c(self) -> float:
        """Rise that the tissue at the hottest point is allowed: the lowest limit of the layers that touch it."""
        return min(layer.limit_c for layer in self.layers if math.isclose(layer.c_per_mw, self.source_c_per_mw))

    @property
    def binding(self) -> LayerRise:
        """The layer that reaches its limit first."""
        return min(self.layers, key=lambda layer: layer.allowed_mw)


class PublishedRise(Document):
    """A published rise per power over the modelled one; never used to correct it."""

    published_c_per_mw: float
    modelled_c_per_mw: float
    published_over_modelled: float
    differs: str


def warmth(source: HeatSource, pick: Pick) -> Warmth:
    """Steady rises around a heat source."""
    radius_m, place = _disc(source, pick)
    rises = _steady(radius_m, place)
    return Warmth(rises.disc * 1e-3, tuple(_layer_rises(source, rises, pick)))


def layered_rise_c_per_mw(source: HeatSource, pick: Pick) -> float:
    """Steady rise at the hottest point of a heat source per milliwatt, in C/mW."""
    return _steady(*_disc(source, pick)).disc * 1e-3


def allowed_mw(source: HeatSource, pick: Pick) -> float:
    """Power at which the first layer around a heat source reaches its limit, in mW."""
    return warmth(source, pick).binding.allowed_mw


def flux_mw_per_cm2(source: HeatSource, power_mw: float, pick: Pick) -> float:
    """Mean flux out of the contact area: a figure for comparison, not a limit."""
    return power_mw / pick(source.contact_area_cm2)


def rise_after_c_per_mw(source: HeatSource, duration_s: float, pick: Pick) -> float:
    """Rise at the hottest point of a heat source `duration_s` after a milliwatt was switched on, in C/mW.

    Raises:
        InputError: a tissue's profile does not say what warming it up takes.
    """
    radius_m, place = _disc(source, pick, in_time=True)
    return _after(radius_m, place, duration_s) * 1e-3


def published_rise(source: HeatSource) -> PublishedRise | None:
    """The published rise of a heat source beside the modelled one, at typical inputs; None if none is published."""
    if source.published_rise_c_per_mw is None:
        return None
    modelled = layered_rise_c_per_mw(source, typical)
    published = source.published_rise_c_per_mw.typical
    return PublishedRise(
        published_c_per_mw=published,
        modelled_c_per_mw=modelled,
        published_over_modelled=published / modelled,
        differs=UNTUNED,
    )


def _disc(source: HeatSource, pick: Pick, in_time: bool = False) -> tuple[float, Place]:
    around = surroundings(source.location)
    insulated = source.back_side == "insulated" or not around.over
    face_m2 = pick(source.contact_area_cm2) * 1e-4 * (1.0 if insulated else 0.5)
    place = Place(
        below=tuple(_layer(layer, pick, in_time) for layer in around.under),
        above=tuple(_layer(layer, pick, in_time) for layer in around.over),
        air_w_per_m2_k=pick(around.air_w_per_m2_k) if around.over else 0.0,
        insulated_back=insulated,
    )
    return math.sqrt(face_m2 / math.pi), place


def _layer(layer: BodyLayer, pick: Pick, in_time: bool) -> Layer:
    return Layer(
        thickness_m=math.inf if layer.thickness_mm is None else pick(layer.thickness_mm) * 1e-3,
        conductivity=pick(layer.tissue.conductivity_w_per_m_k),
        perfusion=pick(layer.tissue.perfusion_w_per_m3_k),
        capacity=_capacity(layer, pick) if in_time else 1.0,
    )


def _capacity(layer: BodyLayer, pick: Pick) -> float:
    density, per_kg = layer.tissue.density_kg_per_m3, layer.tissue.heat_capacity_j_per_kg_k
    if density is None or per_kg is None:
        raise InputError(
            f"the profile of {layer.tissue.name} gives no density_kg_per_m3 and heat_capacity_j_per_kg_k; "
            "add both to follow a rise in time"
        )
    return pick(density) * pick(per_kg)


def _layer_rises(source: HeatSource, rises: Rises, pick: Pick) -> Iterator[LayerRise]:
    around = surroundings(source.location)
    for layer, rise in [
        *zip(around.over[::-1], rises.above[::-1], strict=True),
        *zip(around.under, rises.below, strict=True),
    ]:
        yield LayerRise(layer.name, rise * 1e-3, pick(layer.tissue.rise_limit_c))


@lru_cache(maxsize=1024)
def _steady(radius_m: float, place: Place) -> Rises:
    return disc_rises(radius_m, place)


@lru_cache(maxsize=256)
def _after(radius_m: float, place: Place, duration_s: float) -> float:
    return float(disc_in_time(radius_m, place, duration_s, min(1.0, duration_s / 16))[1][-1])
