"""Placing a decoder into the shipped implants: sums, fits, refusals and verdicts."""

from __future__ import annotations

import pytest

from edgebci.errors import CapacityError, InputError
from edgebci.firmware_sim.battery import runtime_h
from edgebci.firmware_sim.design import DecoderLoad, Work, assemble
from edgebci.firmware_sim.heat.implant import layered_rise_c_per_mw, warmth
from edgebci.firmware_sim.implant import place
from edgebci.firmware_sim.implant_report import ImplantReport
from edgebci.firmware_sim.power import LOADS, POWER, front_end_uw, standing_uw, total_uw
from edgebci.firmware_sim.thermal import dissipated_uw
from edgebci.firmware_sim.uncertainty import typical
from edgebci.hardware import PARTS, ComputePart, Implant, Radio, load_profile, profile_names
from edgebci.quantity import quantities

OTHER_CORES = [
    part.name
    for part in (load_profile(ComputePart, name) for name in profile_names(ComputePart))
    if part.core != "cortex-m4f"
]


def _place(load: DecoderLoad, implant: str, compute: str = "stm32l4r5", radio: str = "ble-1m") -> ImplantReport:
    return place(load_profile(Implant, implant), load_profile(ComputePart, compute), load_profile(Radio, radio), load)


def _scaled(load: DecoderLoad, factor: float) -> DecoderLoad:
    names = ("cycles_per_frame", "worst_cycles_per_frame", "front_end_cycles_per_frame")
    return load.model_copy(update={name: getattr(load, name) * factor for name in names})


def test_the_published_parts_of_engini_sum_to_its_published_total(load: DecoderLoad) -> None:
    implant = load_profile(Implant, "engini-lfp-soc")
    alone = load.model_copy(update={"n_channels": 8})
    design = assemble(implant, load_profile(ComputePart, "stm32l4r5"), load_profile(Radio, "ir-uwb"), alone)
    own_uw = front_end_uw(design, typical) + standing_uw(design, typical)
    assert implant.published is not None
    # 5 %: what bookkeeping of published parts has to reach.
    assert own_uw * 1e-3 == pytest.approx(implant.published.total_mw.typical, rel=0.05)


@pytest.mark.parametrize("name", ["borton-2013", "brown-wireless-device"])
def test_the_published_power_drains_the_battery_in_the_published_time(name: str) -> None:
    implant = load_profile(Implant, name)
    assert implant.published is not None
    assert implant.published.runtime_h is not None
    assert implant.battery is not None
    hours = runtime_h(implant.battery, implant.published.total_mw.typical * 1e3, typical)
    assert hours == pytest.approx(implant.published.runtime_h.typical, rel=0.05)


@pytest.mark.parametrize("name", profile_names(Implant))
def test_the_parts_of_every_implant_sum_to_its_total(name: str, load: DecoderLoad) -> None:
    front_end = load_profile(Implant, name).front_end
    channels, rate_hz = int(front_end.channels.typical), min(load.rate_hz, front_end.max_rate_hz.typical)
    report = _place(load.model_copy(update={"n_channels": min(channels, 96), "rate_hz": rate_hz}), name)
    assert {part.part for part in report.power} == set(PARTS)
    assert sum(part.power.typical for part in report.power) == pytest.approx(report.total.typical, rel=1e-12)
    assert report.total.low <= report.total.typical <= report.total.high


def test_a_battery_implant_gives_hours_and_a_wireless_one_gives_degrees(load: DecoderLoad) -> None:
    worn, wireless = _place(load, "borton-2013"), _place(load, "utah96-lfp")
    assert worn.battery_life_h is not None
    assert worn.battery_life_h.unit == "h"
    assert 1 < worn.battery_life_h.low < worn.battery_life_h.typical < worn.battery_life_h.high
    assert wireless.battery_life_h is None
    assert [warming.rise_c.unit for warming in wireless.warming] == ["C"]
    assert wireless.warming[0].location == "cortex"


def test_all_dissipated_power_warms_something(load: DecoderLoad) -> None:
    report = _place(load, "utah96-lfp")
    warming = report.warming[0]
    rise_c = report.total.typical * 1e-3 * warming.rise_c_per_mw.typical
    assert warming.rise_c.typical == pytest.approx(rise_c, rel=1e-12)


def test_the_untuned_utah_array_is_within_a_factor_of_four_of_the_published_slope(load: DecoderLoad) -> None:
    warming = _place(load, "utah96-lfp").warming[0]
    assert warming.published_rise_c_per_mw == 0.029
    # A thin disc of the array's area in layers of tissue, nothing fitted: an order of magnitude, and on the warm side.
    assert warming.rise_c_per_mw.low / 0.029 > 1.0
    assert warming.rise_c_per_mw.typical / 0.029 < 4.0
    # The smallest area with the least perfusion and conductivity: its ratio is reported, not promised.
    assert warming.rise_c_per_mw.high / 0.029 < 5.0


def test_the_step_takes_its_cycles_at_the_clock(load: DecoderLoad) -> None:
    step = _place(load, "utah96-lfp").step
    # 760,000 modelled cycles at 120 MHz; real cycles are 0.95, 1.2 and 1.41 times that.
    assert step.worst_step_ms.low == pytest.approx(0.95 * 760 / 120)
    assert step.worst_step_ms.typical == pytest.approx(1.2 * 760 / 120)
    assert step.worst_step_ms.high == pytest.approx(1.41 * 760 / 120)
    assert step.deadline_ms == 20.0
    assert step.meets_deadline == "yes"


def test_a_missed_deadline_is_a_finding_and_not_an_error(load: DecoderLoad) -> None:
    slow, doubtful = _place(_scaled(load, 5), "utah96-lfp"), _place(_scaled(load, 2.4), "utah96-lfp")
    assert slow.step.meets_deadline == "no"
    assert any("does not end in its frame of 20 ms" in sentence for sentence in slow.findings)
    assert doubtful.step.meets_deadline == "depends"
    assert any("may not end in its frame of 20 ms" in sentence for sentence in doubtful.findings)


def test_heat_beyond_the_limit_is_a_finding(load: DecoderLoad) -> None:
    report = _place(load, "utah96-lfp")
    assert report.warming[0].within_limit == "depends"
    assert any("stay within 1 C of rise in grey-matter" in sentence for sentence in report.findings)


def test_the_first_finding_is_the_power_with_its_range_and_cause(load: DecoderLoad) -> None:
    report = _place(load, "borton-2013")
    assert report.findings[0].startswith(f"The implant takes a modelled {report.total.typical * 1e-3:.3g} (")
    assert "mW; implant.front_end.amplifier_uw_per_channel makes" in report.findings[0]


def test_flash_and_ram_that_overflow_are_refused_by_how_much(load: DecoderLoad) -> None:
    huge = load.model_copy(update={"flash_bytes": 1_048_576 + 24, "ram_bytes": 262_144 + 1000})
    with pytest.raises(CapacityError, match=r"flash 1,048,600 bytes of 1,048,576, 24 too many; RAM .*, 1,000 too many"):
        _place(huge, "utah96-lfp", "nrf52840")
    exactly = load.model_copy(update={"flash_bytes": 1_048_576, "ram_bytes": 262_144})
    assert _place(exactly, "utah96-lfp", "nrf52840").memory.ram_available_bytes == 262_144


@pytest.mark.parametrize("name", OTHER_CORES)
def test_a_core_that_was_not_modelled_is_refused(name: str, load: DecoderLoad) -> None:
    with pytest.raises(InputError, match=f"{name} has a (cortex-m|rv32).*, the cycles were modelled for a cortex-m4f"):
        _place(load, "utah96-lfp", name)


def test_more_channels_or_a_higher_rate_than_the_implant_has_are_refused(load: DecoderLoad) -> None:
    with pytest.raises(InputError, match="the decoder reads 96 channels, engini-lfp-soc has 8"):
        _place(load, "engini-lfp-soc")
    with pytest.raises(InputError, match="needs 30000 Hz a channel, utah96-lfp samples at up to 2000 Hz"):
        _place(load.model_copy(update={"rate_hz": 30_000}), "utah96-lfp")


def test_only_12_bit_lfp_of_96_channels_fits_one_ble_2m_link(load: DecoderLoad) -> None:
    raw = {name: _place(load, "utah96-lfp", radio=name).partitions[0] for name in ("ble-1m", "ble-2m", "medradio")}
    assert raw["ble-2m"].name == "raw_lfp"
    assert raw["ble-2m"].payload_bits_per_s == 96 * 1000 * 12
    assert {name: partition.carried for name, partition in raw.items()} == {
        "ble-1m": "no",
        "ble-2m": "yes",
        "medradio": "no",
    }
    assert raw["ble-1m"].total is None
    assert raw["ble-2m"].total is not None


def test_partitions_are_compared_without_a_winner(load: DecoderLoad) -> None:
    report = _place(load, "borton-2013", radio="ble-2m")
    raw, features, decoded = report.partitions
    assert raw.payload_bits_per_s > features.payload_bits_per_s > decoded.payload_bits_per_s
    assert raw.radio.typical > features.radio.typical > decoded.radio.typical
    assert raw.compute.typical < features.compute.typical < decoded.compute.typical
    assert decoded.total == report.total
    assert "no partition is said to win" in report.partitions_note


def test_the_link_counts_overhead_of_every_packet(load: DecoderLoad) -> None:
    use = _place(load, "utah96-lfp", radio="ble-1m").radio_use
    assert use.payload_bits_per_s == 50 * 64
    # One packet a frame: 8 + 32 + 16 + 24 + 32 + 24 bits around the 64 of payload.
    assert use.on_air_bits_per_s.typical == 50 * (64 + 136)
    assert use.carried == "yes"


def test_frames_larger_than_a_packet_take_several(load: DecoderLoad) -> None:
    implant, compute = load_profile(Implant, "utah96-lfp"), load_profile(ComputePart, "stm32l4r5")
    design = assemble(implant, compute, load_profile(Radio, "ble-1m"), load)
    one, two = design.doing(Work(0, 244 * 8)), design.doing(Work(0, 244 * 8 + 1))
    per_packet = LOADS["radio"](two, typical) - LOADS["radio"](one, typical)
    # 6.5 uJ a packet and 137 bits of 19.2 nJ, 50 times a second.
    assert per_packet == pytest.approx(50 * (6.5 + 137 * 19.2e-3))


def test_assumed_inputs_are_first_and_are_exactly_the_assumed_ones_in_use(load: DecoderLoad) -> None:
    report = _place(load, "utah96-lfp")
    assert next(iter(report.model_dump())) == "assumed_inputs"
    named = {item.name for item in report.assumed_inputs}
    assert {"implant.standing_uw", "compute.sleep_uw", "radio.idle_uw"} <= named
    assert "compute.active_pj_per_cycle" not in named  # derived from benchmark logs
    assert "implant.front_end.bits" not in named  # assumed, but no result used it
    implant = quantities(load_profile(Implant, "utah96-lfp"))
    for item in report.assumed_inputs:
        owner, path = item.name.split(".", 1)
        if owner == "implant":
            assert implant[path].evidence_class == "assumed"


def test_the_report_is_labelled_modelled_and_survives_json(load: DecoderLoad) -> None:
    report = _place(load, "brown-wireless-device", "nrf52840", "ble-2m")
    assert report.basis == "modelled"
    assert ImplantReport.model_validate_json(report.model_dump_json()) == report
    assert report.published_total_mw == 51


def test_an_idle_link_powered_design_loses_in_conversion_what_its_efficiencies_say(load: DecoderLoad) -> None:
    implant = load_profile(Implant, "utah96-lfp")
    design = assemble(implant, load_profile(ComputePart, "stm32l4r5"), load_profile(Radio, "ir-uwb"), load)
    loads_uw = sum(formula(design, typical) for formula in LOADS.values())
    # Efficiency 0.85 and 2 uW of the regulator's own; 0.8 of the rectifier, a tenth lost in the coil.
    taken_uw = (loads_uw / 0.85 + 2.0) / (0.8 * 0.9)
    assert total_uw(design, typical) == pytest.approx(taken_uw)
    assert POWER["conversion"](design, typical) == pytest.approx(taken_uw - loads_uw)


@pytest.mark.parametrize("name", ["utah96-lfp", "borton-2013", "neuralink-class-1024", "neuraltree"])
def test_every_rise_of_a_report_is_that_of_the_layers_around_its_source(name: str, load: DecoderLoad) -> None:
    implant, few = load_profile(Implant, name), load.model_copy(update={"n_channels": 96})
    design = assemble(implant, load_profile(ComputePart, "stm32l4r5"), load_profile(Radio, "ble-1m"), few)
    for warming in _place(few, name).warming:
        source = implant.heat_sources[warming.source]
        layers = {layer.layer: layer.c_per_mw for layer in warmth(source, typical).layers}
        slope = layers.get(warming.tissue, layered_rise_c_per_mw(source, typical))
        assert warming.rise_c_per_mw.typical == pytest.approx(slope)
        assert warming.rise_c.typical == pytest.approx(dissipated_uw(design, source, typical) * 1e-3 * slope)
        assert warming.rise_c.low <= warming.rise_c.typical <= warming.rise_c.high


def test_the_brain_under_a_can_has_a_limit_of_its_own(load: DecoderLoad) -> None:
    at_skin, in_brain = _place(load, "borton-2013").warming
    assert (at_skin.tissue, at_skin.limit_c) == ("skin", 2.0)
    assert (in_brain.tissue, in_brain.limit_c) == ("csf", 1.0)
    assert in_brain.rise_c.typical < at_skin.rise_c.typical
    assert in_brain.published_rise_c_per_mw is None
    # In cortex the hottest point has the brain's limit, and nothing farther inside is stricter.
    assert [warming.limit_c for warming in _place(load, "utah96-lfp").warming] == [1.0]


def test_what_layers_of_tissue_assume_is_among_the_assumed_inputs(load: DecoderLoad) -> None:
    named = {item.name for item in _place(load, "utah96-lfp").assumed_inputs}
    assert "implant.heat_sources.array.contact_area_cm2" in named
    assert any(name.startswith("body.") for name in named)
