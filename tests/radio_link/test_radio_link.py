"""The link: timing by the frame format, what the standard allows, path loss and bit errors by their closed forms."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebci.errors import InputError
from edgebci.firmware_sim.design import Design, Work
from edgebci.firmware_sim.radio_link import (
    agreement,
    link_carries_bits_per_s,
    link_channel,
    link_figures,
    link_timing,
    link_trace,
    link_uw,
    on_air_share,
    path_layers,
)
from edgebci.firmware_sim.radio_link_connection import agree
from edgebci.firmware_sim.radio_link_findings import link_findings
from edgebci.firmware_sim.radio_link_loss import (
    absorbed_db,
    ber_at_margin,
    bit_error_rate,
    energy_to_noise,
    free_space_db,
    packet_error_rate,
    reflected_db,
    spectrum,
    tissue_db,
)
from edgebci.firmware_sim.radio_link_timing import exchange_us, mean_uw
from edgebci.firmware_sim.uncertainty import typical
from edgebci.hardware import Radio, load_profile, profile_names
from edgebci.hardware_radios import Modulation
from edgebci.quantity import Quantity

DesignWith = Callable[[str], Design]
BLE = load_profile(Radio, "ble-1m")


@pytest.mark.parametrize(
    ("radio", "spacing_us"), [("ble-1m", 2088 + 150 + 80 + 150), ("ble-2m", 1048 + 150 + 44 + 150)]
)
def test_a_full_ble_packet_and_its_talk_take_what_the_frame_format_says(radio: str, spacing_us: float) -> None:
    link = link_timing(load_profile(Radio, radio), typical)
    assert exchange_us(link, link.most_payload_bits) == pytest.approx(spacing_us, abs=0.01)


@pytest.mark.parametrize("radio", ["ble-1m", "ble-2m"])
def test_what_ble_carries_by_its_packets_lies_in_the_range_that_its_profile_states(
    design_with: DesignWith, radio: str
) -> None:
    design = design_with(radio)
    stated = design.radio.payload_bits_per_s
    for interval_ms in (15.0, 50.0, 400.0):
        carried = link_carries_bits_per_s(design, typical, interval_ms)
        # 1 % above: the range was rounded to thousands.
        assert stated.low <= carried <= 1.01 * stated.high


@pytest.mark.parametrize("radio", ["medradio", "broadband-fsk", "ir-uwb"])
def test_links_with_codes_carry_the_payload_that_is_stated(design_with: DesignWith, radio: str) -> None:
    design = design_with(radio)
    # 2 %: where the stated rate is the raw one, packets' headers come off it.
    assert link_carries_bits_per_s(design, typical) == pytest.approx(design.radio.payload_bits_per_s.typical, rel=0.02)


@pytest.mark.parametrize(
    ("interval_ms", "skipped", "supervision_ms", "said"),
    [
        (8.0, 0, None, "take 7.5"),
        (5.0, 0, None, "take 7.5"),
        (9000.0, 0, None, "take 4000"),
        (7.5, 600, None, "0 to 499"),
        (100.0, 4, 900.0, "lengthen|choose"),
        (4000.0, 10, None, "skip fewer"),
    ],
)
def test_a_connection_that_the_standard_forbids_is_refused(
    design_with: DesignWith, interval_ms: float, skipped: int, supervision_ms: float | None, said: str
) -> None:
    limits = design_with("ble-2m").radio.connection
    assert limits is not None
    with pytest.raises(InputError, match=said):
        agree(limits, interval_ms, skipped, supervision_ms)


@given(st.integers(6, 3200), st.integers(0, 20), st.floats(-30.0, 30.0))
def test_a_timeout_is_agreed_where_it_is_longer_than_twice_the_longest_silence(
    steps: int, skipped: int, more_ms: float
) -> None:
    limits = BLE.connection
    assert limits is not None
    interval_ms = 1.25 * steps
    silence_ms = 2 * (1 + skipped) * interval_ms
    supervision_ms = 10.0 * round((silence_ms + more_ms) / 10.0)
    if max(100.0, silence_ms + 1e-9) <= supervision_ms <= 32_000:
        assert agree(limits, interval_ms, skipped, supervision_ms).supervision_ms == supervision_ms
    else:
        with pytest.raises(InputError, match="supervision timeout"):
            agree(limits, interval_ms, skipped, supervision_ms)


def test_frames_skip_the_events_between_them(design_with: DesignWith) -> None:
    design = design_with("ble-2m")
    agreed = agreement(design)
    assert agreed is not None
    assert (agreed.interval_ms, agreed.skipped_events) == (7.5, 2)
    # All 133 events a second against the 50 that carry a frame.
    assert link_uw(design, typical, skipped_events=0) > 2.0 * link_uw(design, typical)
    assert agreement(design_with("medradio")) is None


def test_mean_power_is_the_sum_of_its_parts(design_with: DesignWith) -> None:
    # By hand, for one 8 byte frame 50 times a second on BLE 1M with every idle event skipped.
    link = link_timing(design_with("ble-1m").radio, typical)
    agreed = agreement(design_with("ble-1m"))
    heard_uj, sent_uj = 80e-6 * 18_780, (64 + 136) * 1e-6 * 19_200
    ramps_uj, window_uj = 2 * 140e-6 * 10_000, 20e-3 * 100e-6 * 18_780
    expected = 50 + 50 * (heard_uj + sent_uj + ramps_uj + window_uj + 10)
    assert mean_uw(link, agreed, 64, 50) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("radio", profile_names(Radio))
def test_more_payload_never_takes_less_power_or_air(design_with: DesignWith, radio: str) -> None:
    designs = [design_with(radio).doing(Work(0.0, bits)) for bits in (64, 2_000, 20_000)]
    assert sorted(link_uw(design, typical) for design in designs) == [link_uw(d, typical) for d in designs]
    assert sorted(on_air_share(design, typical) for design in designs) == [on_air_share(d, typical) for d in designs]


@pytest.mark.parametrize(
    ("tissue", "permittivity", "conductivity"), [("skin", 37.95, 1.49), ("muscle", 52.67, 1.77), ("fat", 5.27, 0.11)]
)
def test_tissues_at_2_45_ghz_are_as_published(tissue: str, permittivity: float, conductivity: float) -> None:
    # Table 8 of s41598-025-27963-1, whose frequency is some tens of MHz higher: 5 %.
    found = spectrum(tissue)
    assert found.permittivity(2.45e9).real == pytest.approx(permittivity, rel=0.01)
    assert found.conductivity_s_per_m(2.45e9) == pytest.approx(conductivity, rel=0.05)


def test_a_good_dielectric_absorbs_as_its_low_loss_form_says() -> None:
    # alpha = sigma / 2 sqrt(mu / eps) where the loss is small: 5 % of the square of the loss tangent here.
    found, frequency_hz = spectrum("fat"), 2.45e9
    eps = found.permittivity(frequency_hz)
    per_m = 0.5 * found.conductivity_s_per_m(frequency_hz) * 376.73 / math.sqrt(eps.real)
    assert absorbed_db(eps, 1.0, frequency_hz) == pytest.approx(8.686 * per_m, rel=0.01)


def test_depth_adds_up_and_borders_reflect() -> None:
    one, two = (tissue_db([("skin", depth_m)], 2.44e9) for depth_m in (1e-3, 2e-3))
    border = reflected_db(spectrum("skin").permittivity(2.44e9), 1.0 + 0.0j)
    assert two - border == pytest.approx(2 * (one - border), rel=1e-12)
    assert reflected_db(4.0 + 0.0j, 1.0 + 0.0j) == pytest.approx(-10 * math.log10(1 - 1 / 9))
    assert reflected_db(3.0 + 0.0j, 3.0 + 0.0j) == 0.0
    assert tissue_db([], 2.44e9) == 0.0


def test_an_unknown_tissue_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="known are csf"):
        tissue_db([("cheese", 1e-3)], 1e9)


def test_free_space_takes_40_db_over_a_metre_at_2_45_ghz_and_6_db_each_doubling() -> None:
    assert free_space_db(1.0, 2.45e9) == pytest.approx(40.2, abs=0.05)
    assert free_space_db(2.0, 2.45e9) - free_space_db(1.0, 2.45e9) == pytest.approx(6.02, abs=0.01)
    assert free_space_db(1e-3, 400e6) == 0.0


@pytest.mark.parametrize("modulation", ["fsk", "ook", "ppm", "bpsk"])
@given(st.floats(1e-12, 0.4))
def test_bit_errors_and_signal_to_noise_are_inverse(modulation: Modulation, ber: float) -> None:
    assert bit_error_rate(modulation, energy_to_noise(modulation, ber)) == pytest.approx(ber, rel=1e-6)
    assert ber_at_margin(modulation, ber, 0.0) == pytest.approx(ber, rel=1e-6)


def test_bit_errors_are_those_of_the_textbook() -> None:
    assert bit_error_rate("bpsk", 10 ** (9.6 / 10)) == pytest.approx(1e-5, rel=0.05)
    assert bit_error_rate("fsk", 10 ** (13.35 / 10)) == pytest.approx(1e-5, rel=0.05)


@given(st.floats(0.0, 0.4), st.floats(1.0, 4000.0))
def test_a_packet_is_lost_more_often_than_a_bit_and_less_than_all_its_bits(ber: float, bits: float) -> None:
    loss = packet_error_rate(ber, bits)
    assert ber * (1 - 1e-9) <= loss <= min(1.0, bits * ber) * (1 + 1e-9)


def _moved(design: Design, location: str, depth_mm: float | None) -> Design:
    """The same design elsewhere, its antenna as deep as its location or as stated."""
    moved = design.implant.heat_sources["array"].model_copy(update={"location": location})
    depth = None if depth_mm is None else _fixed(depth_mm, "mm")
    changes = {"heat_sources": {"array": moved}, "antenna_depth_mm": depth}
    return replace(design, implant=design.implant.model_copy(update=changes))


def _fixed(value: float, unit: str) -> Quantity:
    return Quantity.model_validate({"value": value, "unit": unit, "source": "chosen", "class": "assumed"})


def test_a_deeper_or_farther_implant_has_less_margin(design_with: DesignWith) -> None:
    design = design_with("ble-2m")
    air = design.radio.air
    assert air is not None

    def at(location: str, depth_mm: float | None = None) -> float:
        return link_figures(_moved(design, location, depth_mm), air, typical).margin_db

    assert at("cortex") < at("epidural") < at("subgaleal") < at("external")
    assert at("cortex", 20.0) < at("cortex", 10.0) < at("cortex", 2.0) < at("cortex", 0.0) == at("external")
    near = air.model_copy(update={"distance_m": _fixed(0.25, "m")})
    assert link_figures(design, near, typical).margin_db > link_figures(design, air, typical).margin_db


def test_a_stated_depth_takes_the_outermost_layers(design_with: DesignWith) -> None:
    layers = [
        (name, round(depth_m, 6))
        for name, depth_m in path_layers(_moved(design_with("ble-2m"), "cortex", 8.0), typical)
    ]
    assert layers == [("skull", 0.003), ("skin", 0.005)]
    deep = path_layers(_moved(design_with("ble-2m"), "cortex", 30.0), typical)
    assert sum(depth_m for _, depth_m in deep) == pytest.approx(0.030)
    assert [name for name, _ in deep] == ["csf", "skull", "skin"]


@pytest.mark.parametrize("radio", [name for name in profile_names(Radio) if load_profile(Radio, name).air])
def test_every_shipped_radio_reaches_its_receiver_somewhere_in_its_range(design_with: DesignWith, radio: str) -> None:
    design = design_with(radio)
    air = design.radio.air
    assert air is not None
    # The ends that help: strong, near, low in the band, shallow.
    helps = {id(q) for q in (air.tx_power_dbm, air.implant_antenna_dbi, air.receiver_antenna_dbi)}
    shallow = _moved(design, "subgaleal", None)
    best = link_figures(shallow, air, lambda q: q.high if id(q) in helps else q.low)
    assert best.margin_db > 0


def test_bad_times_lose_more_and_a_trace_shows_it(design_with: DesignWith) -> None:
    design = design_with("ble-2m").doing(Work(0.0, 1952))
    air = design.radio.air
    assert air is not None
    shadowed = air.model_copy(update={"bad_loss_db": _fixed(40.0, "dB"), "bad_share": _fixed(0.05, "1")})
    design = replace(design, radio=design.radio.model_copy(update={"air": shadowed}))
    channel = link_channel(design)
    assert channel.bad_loss > channel.good_loss
    trace = link_trace(design, 20_000, 0.02, seed=1)
    assert trace.lost[trace.bad].mean() > trace.lost[~trace.bad].mean()
    assert not link_trace(design_with("optical"), 100, 0.02, seed=1).lost.any()


def test_a_sound_link_has_no_findings_and_each_fault_has_its_sentence(design_with: DesignWith) -> None:
    design = design_with("ble-1m")
    air = design.radio.air
    assert air is not None
    assert link_findings(design) == ()

    def said_of(work_bits: float = 64, **changes: Quantity) -> str:
        changed = design.radio.model_copy(update={"air": air.model_copy(update=changes)})
        return " ".join(link_findings(replace(design, radio=changed).doing(Work(0.0, work_bits))))

    assert "bit/s" in said_of(work_bits=20_000)
    assert "nearer" in said_of(distance_m=_fixed(100.0, "m"))
    assert "less power" in said_of(eirp_limit_dbm=_fixed(-60.0, "dBm"))
    assert "less often" in said_of(duty_limit=_fixed(0.011, "1"), work_bits=1_000)
    assert said_of(duty_limit=_fixed(0.5, "1"), work_bits=1_000) == ""


def test_a_forbidden_interval_is_refused_when_findings_are_asked_for(design_with: DesignWith) -> None:
    with pytest.raises(InputError, match=r"take 7\.5"):
        link_findings(design_with("ble-1m"), interval_ms=3.0)
