"""Faults that lie between the numbers of a profile, or between two profiles: one sentence each."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgebci.errors import InputError
from edgebci.hardware import ComputePart, Implant, Profile, Radio, check_profile, load_profile, profile_folder


def _shipped(kind: str, name: str) -> str:
    return (profile_folder() / kind / f"{name}.toml").read_text(encoding="utf-8")


def _changed(text: str, old: str, new: str) -> str:
    assert old in text, f"{old!r} is not in the profile that the test changes"
    return text.replace(old, new, 1)


BLE, MED = _shipped("radios", "ble-1m"), _shipped("radios", "medradio")
L4R5, UTAH = _shipped("compute", "stm32l4r5"), _shipped("implants", "utah96-lfp")
CASES: dict[str, tuple[type[Profile], str, str]] = {
    "unlicensed band": (
        Radio,
        _changed(BLE, "low = 2402, typical = 2440, high = 2480", "low = 1000, typical = 1010, high = 1020"),
        "sends at 1000 to 1020 MHz, ism-2400 .* allows 2400 to 2483.5 MHz; move carrier_mhz or name the band",
    ),
    "no band": (Radio, _changed(BLE, 'band = "ism-2400"\n', ""), "names no band: add band"),
    "unknown band": (
        Radio,
        _changed(BLE, '"ism-2400"', '"ism-2450"'),
        "no profile 'ism-2450' in bands .*; did you mean 'ism-2400'",
    ),
    "too much power": (
        Radio,
        _changed(
            MED, "tx_power_dbm = { low = -17.0, typical = -5.0", "tx_power_dbm = { low = -17.0, typical = 30.0"
        ).replace("high = -1.0", "high = 30.0"),
        r"radiates -1 dBm, medradio-402 .* allows -16 dBm; lower air.tx_power_dbm",
    ),
    "a limit of its own making": (
        Radio,
        _changed(MED, "eirp_limit_dbm = { value = -16.02", "eirp_limit_dbm = { value = 10.0"),
        "sets itself air.eirp_limit_dbm 10, medradio-402 .* allows -16.02 dBm",
    ),
    "more often than the rule allows": (
        Radio,
        MED.replace('"medradio-402"', '"medradio-403-beacon"')
        .replace("low = 402.15, typical = 403.65, high = 404.85", "value = 403.65")
        .replace("low = -17.0, typical = -5.0", "low = -27.0, typical = -15.0")
        .replace("eirp_limit_dbm = { value = -16.02", "eirp_limit_dbm = { value = -40.0"),
        "may send for any share of the time, medradio-403-beacon .* allows 0.0001; set air.duty_limit",
    ),
    "more payload than the air carries": (
        Radio,
        _changed(BLE, "air_bits_per_s = { value = 1_000_000", "air_bits_per_s = { value = 500_000"),
        "payload_bits_per_s 791000 exceeds air_bits_per_s 500000",
    ),
    "typo in a field of a table": (
        Radio,
        _changed(BLE, "turn_around_us", "turnaround_us"),
        "unknown key 'air.turnaround_us', did you mean 'turn_around_us'",
    ),
    "a clock that the chip does not have": (
        ComputePart,
        _changed(L4R5, "clock_mhz = { value = 120", "clock_mhz = { value = 240"),
        "stm32l4r5 has no clock of 240 MHz; choose from 26, 80, 120 MHz",
    ),
    "a source without words": (
        ComputePart,
        _changed(
            L4R5, 'source = "mlcommons/tiny_results_v1.2, closed systems JSON of the NUCLEO-L4R5ZI"', 'source = ""'
        ),
        "'clock_mhz.source' is ''",
    ),
    "more effective bits than bits": (
        Implant,
        _changed(UTAH, "high = 11.5, unit", "high = 14.0, unit"),
        "enob_bits 14 exceeds bits 12",
    ),
    "a band upside down": (
        Implant,
        _changed(UTAH, "band_low_hz = { value = 1,", "band_low_hz = { value = 500,"),
        "band_low_hz 500 is not below band_high_hz 450",
    ),
    "heat into what no blood cools": (
        Implant,
        _changed(UTAH, 'tissue = "grey-matter"', 'tissue = "csf"'),
        "the heat source 'array' lies in csf, which no blood cools",
    ),
}


@pytest.mark.parametrize(("model", "text", "sentence"), CASES.values(), ids=CASES.keys())
def test_a_faulty_profile_is_refused_in_one_sentence(
    model: type[Profile], text: str, sentence: str, tmp_path: Path
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=sentence) as caught:
        load_profile(model, str(path))
    assert "\n" not in str(caught.value)


def test_the_unchanged_profiles_are_accepted(tmp_path: Path) -> None:
    for name, text in (("ble-1m", BLE), ("medradio", MED), ("stm32l4r5", L4R5), ("utah96-lfp", UTAH)):
        path = tmp_path / f"{name}.toml"
        path.write_text(text, encoding="utf-8")
        assert check_profile(path).name == name
