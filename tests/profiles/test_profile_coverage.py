"""What is promised of the shipped profiles: which there are, and what each of them states."""

from __future__ import annotations

import pytest

from edgebci.errors import InputError
from edgebci.hardware import (
    Band,
    Board,
    ComputePart,
    Implant,
    Radio,
    Tissue,
    at_clock,
    clocks,
    compare_scopes,
    load_profile,
    profile_names,
)

IMPLANTS = {name: load_profile(Implant, name) for name in profile_names(Implant)}
RADIOS = {name: load_profile(Radio, name) for name in profile_names(Radio)}
PARTS = {name: load_profile(ComputePart, name) for name in profile_names(ComputePart)}
BOARDS = {name: load_profile(Board, name) for name in profile_names(Board)}
ELECTRONICS = (
    *("full_scale_uv", "enob_bits", "anti_alias_order", "anti_alias_corner_hz", "gain_v_per_v", "offset_range_mv"),
    *("noise_nv_per_rthz", "flicker_corner_hz", "electrode_impedance_kohm", "cmrr_db", "input_impedance_mohm"),
)


def test_the_named_implants_radios_and_parts_are_there() -> None:
    assert set(IMPLANTS) >= {
        *("brown-wireless-device", "borton-2013", "hermesd", "engini-lfp-soc", "rhd2132", "neurad", "mibmi"),
        *("neuraltree", "neuropixels-2", "summit-rcs-class", "rns-class", "neuralink-class-1024", "bisc-class"),
        "utah96-lfp",
    }
    assert set(RADIOS) >= {
        *("ble-1m", "ble-2m", "ir-uwb", "uwb-3-5", "medradio", "ook-2400", "optical", "inductive-backscatter"),
        *("magnetoelectric", "broadband-fsk"),
    }
    assert {part.core for part in PARTS.values()} >= {"cortex-m0+", "cortex-m4f", "cortex-m7", "cortex-m55"}
    assert {"cortex-m33", "cortex-m85", "rv32-gap9"} <= {part.core for part in PARTS.values()}
    assert set(BOARDS) == {"jetson-orin-nano", "jetson-orin-nx", "jetson-agx-orin", "jetson-thor", "raspberry-pi-5"}
    assert len(PARTS) + len(BOARDS) >= 16


@pytest.mark.parametrize("name", IMPLANTS)
def test_every_front_end_states_its_electronics(name: str) -> None:
    front_end = IMPLANTS[name].front_end
    assert [field for field in ELECTRONICS if getattr(front_end, field) is None] == []
    # A step finer than a microvolt's thousandth, or coarser than a millivolt, is a slip of units.
    assert front_end.full_scale_uv is not None
    assert 1e-3 < front_end.full_scale_uv.typical / 2**front_end.bits.typical < 1e3


@pytest.mark.parametrize("name", [name for name in IMPLANTS if IMPLANTS[name].front_end.noise_uvrms is not None])
def test_a_noise_density_agrees_with_the_noise_that_is_stated(name: str) -> None:
    front_end = IMPLANTS[name].front_end
    assert front_end.noise_uvrms is not None
    assert front_end.noise_nv_per_rthz is not None
    width_hz = front_end.band_high_hz.typical - front_end.band_low_hz.typical
    rms_uv = 1e-3 * front_end.noise_nv_per_rthz.typical * width_hz**0.5
    # White noise over the typical band; sources round, and give rms noise for a band of their own.
    assert rms_uv == pytest.approx(front_end.noise_uvrms.typical, rel=0.35)


@pytest.mark.parametrize("name", RADIOS)
def test_every_radio_names_the_rule_by_which_it_sends(name: str) -> None:
    radio = RADIOS[name]
    assert radio.legal_basis
    if radio.air is not None:
        assert radio.band is not None
        band = load_profile(Band, radio.band)
        assert band.low_mhz.typical <= radio.air.carrier_mhz.typical <= band.high_mhz.typical


def test_only_bluetooth_has_connection_events_and_both_rates_the_same() -> None:
    with_events = {name: radio.connection for name, radio in RADIOS.items() if radio.connection is not None}
    assert set(with_events) == {"ble-1m", "ble-2m"}
    assert with_events["ble-1m"] == with_events["ble-2m"]
    assert with_events["ble-1m"].interval_min_ms.typical / with_events["ble-1m"].interval_step_ms.typical == 6


@pytest.mark.parametrize("name", PARTS)
def test_every_part_says_what_it_takes_to_wake_and_to_wait_at_body_temperature(name: str) -> None:
    part = PARTS[name]
    assert part.waking is not None
    assert part.leakage_at_37c is not None
    assert part.waking.wake_up_uw.typical > part.sleep_uw.typical


def test_a_part_is_moved_to_another_of_its_clocks_with_the_energy_of_that_clock() -> None:
    gap9 = PARTS["gap9"]
    assert clocks(gap9) == (240, 370)
    fast = at_clock(gap9, 370)
    assert fast.clock_mhz.typical == 370
    assert fast.active_pj_per_cycle.typical > gap9.active_pj_per_cycle.typical
    assert at_clock(gap9, 240) is gap9


def test_a_clock_that_the_chip_does_not_have_is_refused() -> None:
    with pytest.raises(InputError, match=r"stm32l4r5 has no clock of 200 MHz; choose from 26, 80, 120 MHz"):
        at_clock(PARTS["stm32l4r5"], 200)


def test_unlike_scopes_are_not_compared() -> None:
    compare_scopes(IMPLANTS["hermesd"], IMPLANTS["borton-2013"])
    with pytest.raises(InputError, match="'device' and mibmi of 'asic'; only like scopes are compared"):
        compare_scopes(IMPLANTS["hermesd"], IMPLANTS["mibmi"])


def test_a_board_is_not_taken_for_a_microcontroller() -> None:
    with pytest.raises(InputError, match="jetson-orin-nano is a board, not a compute; choose from apollo4-plus"):
        load_profile(ComputePart, "jetson-orin-nano")


@pytest.mark.parametrize("name", [name for name in BOARDS if name.startswith("jetson")])
def test_a_jetson_s_int8_roof_is_twice_its_fp16_roof(name: str) -> None:
    for mode in BOARDS[name].modes.values():
        # Dense tensor cores: the printed figures are rounded to three digits.
        assert mode.dense_int8_tops.typical / mode.dense_fp16_tflops.typical == pytest.approx(2.0, rel=0.03)


def test_every_tissue_can_be_warmed_in_time() -> None:
    tissues = [load_profile(Tissue, name) for name in profile_names(Tissue)]
    assert {tissue.name for tissue in tissues} >= {"csf", "skull", "skin", "fat", "dura", "grey-matter"}
    assert all(tissue.density_kg_per_m3 and tissue.heat_capacity_j_per_kg_k for tissue in tissues)
