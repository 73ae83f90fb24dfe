"""Heat by location, ready for JSON: each body of an implant and each layer of tissue around it, with ranges."""

from __future__ import annotations

from edgebci.documents import Document
from edgebci.firmware_sim.design import Design
from edgebci.firmware_sim.heat.charging import Recharge, recharge_warmth
from edgebci.firmware_sim.heat.implant import PublishedRise, flux_mw_per_cm2, published_rise, warmth
from edgebci.firmware_sim.heat.slope import LayerSlope, slopes
from edgebci.firmware_sim.implant_report import Verdict
from edgebci.firmware_sim.thermal import dissipated_uw, rise_c
from edgebci.firmware_sim.uncertainty import Estimate, Pick, estimate, typical
from edgebci.firmware_sim.verdicts import below
from edgebci.hardware import HeatSource, Location


class LayerHeat(Document):
    """The highest rise in a layer, and the rise that its tissue is allowed, in C."""

    layer: str
    rise_c: Estimate
    limit_c: float
    within_limit: Verdict


class RechargeHeat(Document):
    """Recharging from empty to full while the implant works on: hours, mW lost in the charger, and rises in C at the
    hottest point, with the limit of the tissue that touches it. At typical inputs.
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
        binding_layer, allowed_mw: the layer that reaches its limit first, and the power at which it surely does not.
        published: a published rise per power over the modelled one, if there is one.
        recharge: if this body holds the charger.
    """

    source: str
    location: Location
    power_mw: Estimate
    flux_mw_per_cm2: Estimate
    rise_c: Estimate
    layers: tuple[LayerHeat, ...]
    binding_layer: str
    allowed_mw: float
    published: PublishedRise | None
    recharge: RechargeHeat | None


def heat_by_location(design: Design) -> tuple[SourceHeat, ...]:
    """The heat of each body of the implant, all of it modelled."""
    charged = recharge_warmth(design, typical)
    return tuple(
        _source_heat(design, name, source, charged if charged and charged.source == name else None)
        for name, source in design.implant.heat_sources.items()
    )


def _source_heat(design: Design, name: str, source: HeatSource, charged: Recharge | None) -> SourceHeat:
    names, layers = design.input_names(), slopes(source).layers
    binding = min(layers, key=lambda layer: layer.limit_c / layer.c_per_mw.high)

    def power_mw(pick: Pick) -> float:
        return dissipated_uw(design, source, pick) * 1e-3

    def flux(pick: Pick) -> float:
        return flux_mw_per_cm2(source, power_mw(pick), pick)

    return SourceHeat(
        source=name,
        location=source.location,
        power_mw=estimate(power_mw, "mW", names),
        flux_mw_per_cm2=estimate(flux, "mW/cm2", names),
        rise_c=estimate(lambda pick: rise_c(design, source, pick), "C", names),
        layers=tuple(_layer_heat(design, source, layer) for layer in layers),
        binding_layer=binding.layer,
        allowed_mw=binding.limit_c / binding.c_per_mw.high,
        published=published_rise(source),
        recharge=charged and _recharge_heat(charged, warmth(source, typical).surface_limit_c),
    )


def _layer_heat(design: Design, source: HeatSource, layer: LayerSlope) -> LayerHeat:
    def rise(pick: Pick) -> float:
        return dissipated_uw(design, source, pick) * 1e-3 * pick(layer.c_per_mw)

    found = estimate(rise, "C", design.input_names())
    return LayerHeat(layer=layer.layer, rise_c=found, limit_c=layer.limit_c, within_limit=below(found, layer.limit_c))


def _recharge_heat(charged: Recharge, limit_c: float) -> RechargeHeat:
    return RechargeHeat(
        hours=charged.hours,
        lost_mw=charged.lost_mw,
        working_c=charged.working_c,
        charging_c=charged.charging_c,
        limit_c=limit_c,
    )
