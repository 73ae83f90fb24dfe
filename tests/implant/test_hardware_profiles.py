"""Every shipped profile is complete, and a profile with a fault is refused in one sentence."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from edgebci import hardware
from edgebci.errors import InputError
from edgebci.hardware import (
    MODELS,
    PARTS,
    ComputePart,
    Implant,
    Profile,
    Radio,
    Tissue,
    check_profile,
    check_shipped_profiles,
    load_profile,
    profile_folder,
    profile_names,
)
from edgebci.quantity import quantities

SHIPPED = check_shipped_profiles()
RADIO = (profile_folder() / "radios" / "ble-1m.toml").read_text(encoding="utf-8")
COMPUTE = (profile_folder() / "compute" / "nrf52840.toml").read_text(encoding="utf-8")
IMPLANT = (profile_folder() / "implants" / "utah96-lfp.toml").read_text(encoding="utf-8")


def test_the_promised_profiles_are_shipped() -> None:
    assert set(profile_names(Implant)) >= {"utah96-lfp", "engini-lfp-soc", "brown-wireless-device", "borton-2013"}
    assert set(profile_names(Radio)) >= {"ble-1m", "ble-2m", "ir-uwb", "medradio"}
    assert set(profile_names(ComputePart)) >= {"stm32l4r5", "nrf52840", "stm32u385", "stm32u575", "nrf54l15"}
    assert "grey-matter" in profile_names(Tissue)


def test_every_file_in_the_folder_is_a_profile_of_its_folders_kind() -> None:
    files = sorted(path for path in profile_folder().rglob("*") if path.is_file())
    assert len(files) == len(SHIPPED)
    assert [path.parent.name for path in files] == [
        MODELS[check_profile(path).model_dump()["kind"]].folder for path in files
    ]


@pytest.mark.parametrize("profile", SHIPPED, ids=lambda profile: f"{profile.folder}/{profile.name}")
def test_every_number_has_a_source_that_fits_its_class(profile: Profile) -> None:
    numbers = quantities(profile)
    assert numbers
    for path, quantity in numbers.items():
        assert len(quantity.source) >= 10, path
        # What no public source supports says so, and what says so is never shown as sourced.
        unsourced = "not found in a public source" in quantity.source or "chosen" in quantity.source
        assert unsourced == (quantity.evidence_class == "assumed"), path


@pytest.mark.parametrize("profile", SHIPPED, ids=lambda profile: f"{profile.folder}/{profile.name}")
def test_every_number_of_a_profile_file_is_a_quantity(profile: Profile) -> None:
    def bare_numbers(content: object) -> int:
        if isinstance(content, dict):
            return 0 if "evidence_class" in content else sum(bare_numbers(entry) for entry in content.values())
        return int(isinstance(content, int | float))

    assert bare_numbers(profile.model_dump()) == 0


def _changed(text: str, old: str, new: str) -> str:
    assert old in text, f"{old!r} is not in the profile that the test changes"
    return text.replace(old, new)


NO_SUPPLY = IMPLANT[: IMPLANT.index("[link")] + IMPLANT[IMPLANT.index("[heat_sources.array]") :]
CASES: dict[str, tuple[type[Profile], str, str]] = {
    "wrong unit": (Radio, _changed(RADIO, '"nJ/bit"', '"pJ/bit"'), "'energy_nj_per_bit' .* only 'nJ/bit' is allowed"),
    "milliwatt for microwatt": (ComputePart, _changed(COMPUTE, '"uW"', '"mW"'), "'sleep_uw' .* only 'uW' is allowed"),
    "no source": (ComputePart, _changed(COMPUTE, "source", "note"), "'clock_mhz.source' is missing"),
    "missing number": (Radio, _changed(RADIO, "[idle_uw]", "[standby_uw]"), "'idle_uw' is missing"),
    "unknown key": (
        Radio,
        _changed(RADIO, "legal_basis", "legal_bases"),
        "unknown key 'legal_bases', did you mean 'legal_basis'",
    ),
    "unknown core": (ComputePart, _changed(COMPUTE, "cortex-m4f", "cortex-m4"), "'core' is 'cortex-m4'"),
    "low above high": (ComputePart, _changed(COMPUTE, "low = 80", "low = 800"), "out of order"),
    "asleep costs more than awake": (
        ComputePart,
        _changed(COMPUTE, "high = 15\n", "high = 1500000\n"),
        "sleep_uw .* check the units",
    ),
    "another kind": (Radio, COMPUTE, "'kind' is 'compute': Input should be 'radio'"),
    "no supply": (Implant, NO_SUPPLY, "give either .battery. or .link."),
    "a part that warms nothing": (Implant, _changed(IMPLANT, '"compute", ', ""), "exactly once"),
    "unknown location": (Implant, _changed(IMPLANT, '"cortex"', '"liver"'), "'heat_sources.array.location' is 'liver'"),
    "efficiency above one": (Implant, _changed(IMPLANT, "high = 0.92", "high = 92"), "possible range 0.01 to 1"),
    "cut short": (Implant, IMPLANT[: len(IMPLANT) // 2] + '"', "is not valid TOML"),
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


def test_an_unknown_profile_names_the_nearest() -> None:
    with pytest.raises(InputError, match=r"no profile 'stm32l4r' in compute .*; did you mean 'stm32l4r5'"):
        load_profile(ComputePart, "stm32l4r")


def test_a_missing_file_is_named() -> None:
    with pytest.raises(InputError, match=r"no file .*absent\.toml"):
        load_profile(Radio, "absent.toml")


def test_a_profile_of_the_user_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "my-radio.toml"
    path.write_text(_changed(RADIO, '"ble-1m"', '"my-radio"'), encoding="utf-8")
    assert load_profile(Radio, str(path)).name == "my-radio"
    assert check_profile(path).name == "my-radio"


def test_check_wants_the_name_to_be_the_files(tmp_path: Path) -> None:
    path = tmp_path / "other.toml"
    path.write_text(RADIO, encoding="utf-8")
    with pytest.raises(InputError, match="the name is 'ble-1m'; it must be the file's, 'other'"):
        check_profile(path)


def test_check_wants_a_known_kind(tmp_path: Path) -> None:
    path = tmp_path / "ble-1m.toml"
    path.write_text(_changed(RADIO, 'kind = "radio"', 'kind = "radar"'), encoding="utf-8")
    with pytest.raises(InputError, match="'kind' is 'radar'"):
        check_profile(path)


def test_check_wants_the_tissue_of_an_implant_to_exist(tmp_path: Path) -> None:
    path = tmp_path / "utah96-lfp.toml"
    path.write_text(_changed(IMPLANT, '"grey-matter"', '"gray-matter"'), encoding="utf-8")
    with pytest.raises(InputError, match=r"no profile 'gray-matter' in tissue .*; did you mean 'grey-matter'"):
        check_profile(path)


@pytest.mark.parametrize("layout", ["wheel", "checkout"])
def test_profiles_are_found_inside_the_package_or_beside_it(
    layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "edgebci"
    folder = (package if layout == "wheel" else tmp_path) / "hardware_profiles"
    for name in ("radios/ble-1m.toml", "bands/ism-2400.toml"):
        (folder / name).parent.mkdir(parents=True)
        shutil.copy(profile_folder() / name, folder / name)
    monkeypatch.setattr(hardware, "__file__", str(package / "hardware.py"))
    assert profile_folder() == folder
    assert profile_names(Radio) == ("ble-1m",)
    assert load_profile(Radio, "ble-1m").name == "ble-1m"


def test_the_heat_of_every_part_is_placed_once_in_every_implant() -> None:
    implants = [profile for profile in SHIPPED if isinstance(profile, Implant)]
    assert len(implants) >= 4
    for implant in implants:
        placed = [part for source in implant.heat_sources.values() for part in source.parts]
        assert sorted(placed) == sorted(PARTS)
