"""Placing a decoder into an implant: power, radio rate, step latency, battery life and heat, each with its range.

    place(implant, compute, radio, load) -> ImplantReport

Counts (cycles, bytes, bits) come from the emulated binary, costs from profiles; nothing here is measured, and every
result names the inputs that it depends on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from edgebci.firmware_sim.battery import design_runtime_h
from edgebci.firmware_sim.design import DecoderLoad, Design, assemble
from edgebci.firmware_sim.heat.body import body_inputs
from edgebci.firmware_sim.heat.implant import layered_rise_c_per_mw, warmth
from edgebci.firmware_sim.implant_report import (
    ImplantReport,
    MemoryUse,
    PartPower,
    RadioUse,
    ReportedInput,
    StepTiming,
    Warming,
)
from edgebci.firmware_sim.latency import deadline_ms, step_ms
from edgebci.firmware_sim.partitions import NOTE, partitions
from edgebci.firmware_sim.power import POWER, duty, total_uw
from edgebci.firmware_sim.radio import on_air_bits_per_s, payload_bits_per_s, utilization
from edgebci.firmware_sim.thermal import Warmed, warmed
from edgebci.firmware_sim.uncertainty import Estimate, Pick, estimate
from edgebci.firmware_sim.verdicts import below, findings
from edgebci.hardware import ComputePart, Implant, Radio
from edgebci.quantity import quantities

DesignFormula = Callable[[Design, Pick], float]


def place(implant: Implant, compute: ComputePart, radio: Radio, load: DecoderLoad) -> ImplantReport:
    """Put a decoder into an implant and account for it.

    Raises:
        InputError: the cycles were modelled for another core, or the implant has too few channels or too low a rate.
        CapacityError: flash or RAM are too small; says by how much. A missed deadline is a finding, not an error.
    """
    return place_design(assemble(implant, compute, radio, load))


def place_design(design: Design) -> ImplantReport:
    """Account for a design with the work that it does."""
    implant, compute, radio, load = design.implant, design.compute, design.radio, design.load
    report = ImplantReport(
        assumed_inputs=(),
        implant=implant.name,
        implant_scope=implant.scope,
        implant_evidence=implant.evidence,
        compute=compute.name,
        core=compute.core,
        radio=radio.name,
        legal_basis=radio.legal_basis,
        frame_rate_hz=load.frame_rate_hz,
        power=tuple(PartPower(part=part, power=_over(design, formula, "uW")) for part, formula in POWER.items()),
        total=_over(design, total_uw, "uW"),
        published_use=implant.published.use if implant.published else None,
        published_total_mw=implant.published.total_mw.typical if implant.published else None,
        radio_use=_radio_use(design),
        step=_step_timing(design),
        memory=_memory_use(design),
        battery_life_h=_battery_life(design),
        warming=tuple(_warming(design, place) for place in warmed(design)),
        partitions=partitions(design),
        partitions_note=NOTE,
        findings=(),
    )
    return report.model_copy(update={"assumed_inputs": _assumed(design, report), "findings": findings(report)})


def _over(design: Design, formula: DesignFormula, unit: str) -> Estimate:
    return estimate(lambda pick: formula(design, pick), unit, design.input_names())


def _radio_use(design: Design) -> RadioUse:
    use = _over(design, utilization, "1")
    return RadioUse(
        payload_bits_per_s=payload_bits_per_s(design),
        on_air_bits_per_s=_over(design, on_air_bits_per_s, "bit/s"),
        carries_bits_per_s=_over(design, lambda d, pick: pick(d.radio.payload_bits_per_s), "bit/s"),
        utilization=use,
        carried=below(use, 1.0),
    )


def _step_timing(design: Design) -> StepTiming:
    worst = _over(design, step_ms, "ms")
    return StepTiming(
        worst_step_ms=worst,
        deadline_ms=deadline_ms(design),
        meets_deadline=below(worst, deadline_ms(design)),
        duty=_over(design, duty, "1"),
    )


def _memory_use(design: Design) -> MemoryUse:
    return MemoryUse(
        flash_bytes=design.load.flash_bytes,
        flash_available_bytes=int(design.compute.flash_bytes.low),
        ram_bytes=design.load.ram_bytes,
        ram_available_bytes=int(design.compute.ram_bytes.low),
    )


def _battery_life(design: Design) -> Estimate | None:
    battery = design.implant.battery
    if battery is None:
        return None
    return _over(design, lambda d, pick: design_runtime_h(d, battery, pick), "h")


def _warming(design: Design, place: Warmed) -> Warming:
    rise, published = _over(design, place.rise_c, "C"), place.source.published_rise_c_per_mw
    return Warming(
        source=place.source_name,
        location=place.source.location,
        tissue=place.tissue,
        rise_c=rise,
        limit_c=place.limit_c,
        within_limit=below(rise, place.limit_c),
        rise_c_per_mw=_slope(design, place),
        published_rise_c_per_mw=published.typical if published and not place.inner else None,
    )


def _slope(design: Design, place: Warmed) -> Estimate:
    """The range of a rise per milliwatt, with what spreads it."""
    if not place.inner:
        return _over(design, lambda _, pick: layered_rise_c_per_mw(place.source, pick), "C/mW")

    def of_layer(_: Design, pick: Pick) -> float:
        layers = warmth(place.source, pick).layers
        return next(layer.c_per_mw for layer in layers if layer.layer == place.tissue)

    return _over(design, of_layer, "C/mW")


def _assumed(design: Design, report: ImplantReport) -> tuple[ReportedInput, ...]:
    """The assumed inputs that some result used, those that spread the total most first."""
    order = {influence.input: rank for rank, influence in enumerate(report.total.inputs)}
    used = {influence.input for result in _estimates(report) for influence in result.inputs}
    names = design.input_names()
    profiles = (design.implant, design.compute, design.radio, *design.tissues.values())
    own = {names[id(q)]: q for profile in profiles for q in quantities(profile).values()}
    found = [
        ReportedInput(name=name, low=q.low, typical=q.typical, high=q.high, unit=q.unit, source=q.source)
        for name, q in (own | body_inputs()).items()
        if q.evidence_class == "assumed" and name in used
    ]
    return tuple(sorted(found, key=lambda item: order.get(item.name, len(order))))


def _estimates(report: ImplantReport) -> Iterator[Estimate]:
    yield from (part.power for part in report.power)
    yield from (report.total, report.radio_use.on_air_bits_per_s, report.radio_use.utilization)
    yield from (report.step.worst_step_ms, report.step.duty)
    for warming in report.warming:
        yield from (warming.rise_c, warming.rise_c_per_mw)
    if report.battery_life_h is not None:
        yield report.battery_life_h
