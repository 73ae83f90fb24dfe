"""The decoder inside implants: loads from the emulated run, costs from the profiles."""

from __future__ import annotations

from edgebci.decoder_spec import DecoderSpec
from edgebci.features.front_end import FrontEnd
from edgebci.features.specification import FeatureSpec
from edgebci.firmware_sim.design import DecoderLoad
from edgebci.firmware_sim.implant import place
from edgebci.firmware_sim.implant_report import ImplantReport
from edgebci.firmware_sim.uncertainty import Estimate
from edgebci.hardware import ComputePart, Core, Implant, Radio, load_profile
from edgebci.pipeline.configuration import PlacementConfig
from edgebci.reporting.schema import AssumedInput, FirmwareSection, ImplantSection, MemorySection, PowerPart, Span
from edgebci.reporting.sections import TornadoBar
from edgebci.workload import workload

# What leaves the implant: one float32 for each decoded axis, and the features at the width of the decoder's int8 input.
OUTPUT_BITS, FEATURE_BITS = 32, 8
MOST_INFLUENCES = 10
"""Of the inputs of an implant's power, so many stand in the report's picture."""


def decoder_load(core: Core, firmware: FirmwareSection, front_end: FrontEnd, n_outputs: int) -> DecoderLoad:
    """What the decoder asks of an implant."""
    return DecoderLoad(
        core=core,
        cycles_per_frame=firmware.cycles_per_step.typical,
        worst_cycles_per_frame=firmware.worst_step_cycles,
        front_end_cycles_per_frame=firmware.front_end_cycles_per_step,
        frame_rate_hz=front_end.spec.frame_rate_hz,
        n_channels=front_end.n_channels,
        rate_hz=front_end.spec.rate_hz,
        flash_bytes=firmware.flash_bytes,
        ram_bytes=firmware.ram_bytes,
        feature_bits_per_frame=FEATURE_BITS * front_end.n_features,
        output_bits_per_frame=OUTPUT_BITS * n_outputs,
    )


def check_placements(
    placements: tuple[PlacementConfig, ...], core: Core, front_end: FrontEnd, spec: DecoderSpec
) -> None:
    """Refuse, before anything is trained, what can't fit: profiles, core, channels, rate, and the weights alone.

    Raises:
        InputError, CapacityError: as `put_into`.
    """
    least = least_load(core, front_end.spec, front_end.n_channels, spec)
    for placement in placements:
        put_into(placement, least)


def least_load(core: Core, features: FeatureSpec, n_channels: int, spec: DecoderSpec) -> DecoderLoad:
    """What a decoder asks of any implant before it exists: channels, rate, and room for its weights and states."""
    weights = workload(spec)
    return DecoderLoad(
        core=core,
        cycles_per_frame=0,
        worst_cycles_per_frame=0,
        front_end_cycles_per_frame=0,
        frame_rate_hz=features.frame_rate_hz,
        n_channels=n_channels,
        rate_hz=features.rate_hz,
        flash_bytes=weights.weight_bytes,
        ram_bytes=weights.state_bytes,
        feature_bits_per_frame=0,
        output_bits_per_frame=1,
    )


def put_into(placement: PlacementConfig, load: DecoderLoad) -> ImplantSection:
    """Place the decoder into one implant.

    Raises:
        InputError: an unknown profile, too few channels, another core. CapacityError: too little flash or RAM.
    """
    report = place(
        load_profile(Implant, placement.implant),
        load_profile(ComputePart, placement.compute),
        load_profile(Radio, placement.radio),
        load,
    )
    hottest = max(report.warming, key=lambda warming: warming.rise_c.typical / warming.limit_c)
    return ImplantSection(
        implant=report.implant,
        compute=report.compute,
        radio=report.radio,
        parts=tuple(PowerPart(name=part.part.replace("_", " "), power_uw=_span(part.power)) for part in report.power),
        total_uw=_span(report.total),
        radio_bit_s=_span(report.radio_use.on_air_bits_per_s),
        radio_capacity_bit_s=report.radio_use.carries_bits_per_s.typical,
        latency_us=_span(report.step.worst_step_ms).scaled(1e3),
        deadline_us=report.step.deadline_ms * 1e3,
        meets_deadline=report.step.meets_deadline,
        battery_h=_span(report.battery_life_h) if report.battery_life_h else None,
        temperature_rise_c=_span(hottest.rise_c),
        temperature_limit_c=hottest.limit_c,
        dominant=_dominant(report),
        findings=report.findings,
        assumed=tuple(
            AssumedInput(name=a.name, value=f"{a.typical:g} {a.unit} ({a.low:g} to {a.high:g})", source=a.source)
            for a in report.assumed_inputs
        ),
        memory=MemorySection(**report.memory.model_dump()),
        tornado=tuple(
            TornadoBar(input=one.input, at_low=one.at_low, at_high=one.at_high)
            for one in report.total.inputs[:MOST_INFLUENCES]
            if one.share > 0
        ),
        details=report.model_dump(mode="json"),
    )


def _span(estimate: Estimate) -> Span:
    return Span(low=estimate.low, typical=estimate.typical, high=estimate.high)


def _dominant(report: ImplantReport) -> str:
    influence = report.total.dominated_by
    return f"{influence.input} ({influence.share:.0%} of the spread)" if influence else "no input has a range"
