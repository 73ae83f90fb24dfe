"""Heat by location, ready for JSON: each body of an implant in the layers around it, at typical inputs or at an end."""

from __future__ import annotations

from edgebci.documents import Document
from edgebci.firmware_sim.design import Design
from edgebci.firmware_sim.heat.charging import Recharge, recharge_warmth
from edgebci.firmware_sim.heat.implant import PublishedRise, flux_mw_per_cm2, published_rise, warmth
from edgebci.firmware_sim.thermal import dissipated_uw
from edgebci.firmware_sim.uncertainty import Pick, typical
from edgebci.hardware import HeatSource, Location


class LayerHeat(Document):
    """The highest rise in a layer, and the rise that its tissue is allowed, in C."""

    layer: str
    rise_c: float
    limit_c: float


class RechargeHeat(Document):
    """Recharging from empty to full while the implant works on: hours, mW lost in the charger, and rises in C at the
    hottest point, with the limit of the tissue that touches it.
    """

    hours: float
    lost_mw: float
    working_c: float
    charging_c: float
    limit_c: float


class SourceHeat(Document):
    """One body of an implant.

    Fields:
        power_mw: that it gives off. flux_mw_per_cm2: over its contact area, for comparison; it limits nothing.
        rise_c: at its hottest point. layers: from the outermost inwards.
        binding_layer, allowed_mw: the layer that reaches its limit first, and the power at which it does.
        within_limit: no layer is over its limit.
        published: a published rise per power over the modelled one, if there is one.
        recharge: if this body holds the charger.
    """

    source: str
    location: Location
    power_mw: float
    flux_mw_per_cm2: float
    rise_c: float
    layers: tuple[LayerHeat, ...]
    binding_layer: str
    allowed_mw: float
    within_limit: bool
    published: PublishedRise | None
    recharge: RechargeHeat | None


def heat_by_location(design: Design, pick: Pick = typical) -> tuple[SourceHeat, ...]:
    """The heat of each body of the implant, all of it modelled."""
    charged = recharge_warmth(design, pick)
    return tuple(
        _source_heat(design, name, source, pick, charged if charged and charged.source == name else None)
        for name, source in design.implant.heat_sources.items()
    )


def _source_heat(design: Design, name: str, source: HeatSource, pick: Pick, charged: Recharge | None) -> SourceHeat:
    power_mw, found = dissipated_uw(design, source, pick) * 1e-3, warmth(source, pick)
    binding = found.binding
    return SourceHeat(
        source=name,
        location=source.location,
        power_mw=power_mw,
        flux_mw_per_cm2=flux_mw_per_cm2(source, power_mw, pick),
        rise_c=power_mw * found.source_c_per_mw,
        layers=tuple(
            LayerHeat(layer=one.layer, rise_c=power_mw * one.c_per_mw, limit_c=one.limit_c) for one in found.layers
        ),
        binding_layer=binding.layer,
        allowed_mw=binding.allowed_mw,
        within_limit=power_mw <= binding.allowed_mw,
        published=published_rise(source),
        recharge=charged and _recharge_heat(charged, found.surface_limit_c),
    )


def _recharge_heat(charged: Recharge, limit_c: float) -> RechargeHeat:
    return RechargeHeat(
        hours=charged.hours,
        lost_mw=charged.lost_mw,
        working_c=charged.working_c,
        charging_c=charged.charging_c,
        limit_c=limit_c,
    )
