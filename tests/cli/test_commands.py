from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py

from edgebci.hardware import Implant, profile_names

HEAVY = {
    "torch",
    "numpy",
    "scipy",
    "h5py",
    "onnx",
    "onnxruntime",
    "matplotlib",
    "pydantic",
    "unicorn",
    "pynwb",
    "sklearn",
}


def test_help_imports_nothing_heavy() -> None:
    # What makes --help quick; its seconds are measured by `edgebci proof`, not asserted here.
    code = "import sys, edgebci.cli.main; print(' '.join(m.split('.')[0] for m in sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "typer" in loaded
    assert set(loaded) & HEAVY == set()


def test_help_names_every_command(edgebci: Any) -> None:
    shown = edgebci("--help")
    assert shown.code == 0
    assert all(name in shown.out for name in ("run", "data", "profiles", "proof"))


def test_the_version_is_the_package_s(edgebci: Any) -> None:
    import edgebci as package

    assert edgebci("--version").out.strip() == f"edgebci {package.__version__}"


def test_synth_info_and_profiles_speak_json(edgebci: Any, tmp_path: Path) -> None:
    recording = tmp_path / "synthetic.h5"
    made = edgebci("data", "synth", recording, "--duration-s", 3, "--channels", 4, "--seed", 9200, "--json")
    info = edgebci("data", "info", recording, "--json")
    assert json.loads(made.out) == json.loads(info.out)
    assert json.loads(info.out)["n_channels"] == 4
    listed = json.loads(edgebci("profiles", "list", "--json").out)
    assert {name for folder, name, _ in listed if folder == "implants"} == set(profile_names(Implant))


def test_info_shows_a_table_for_people(edgebci: Any, tmp_path: Path) -> None:
    recording = tmp_path / "synthetic.h5"
    edgebci("data", "synth", recording, "--duration-s", 3, "--channels", 4, "--seed", 9200)
    shown = edgebci("data", "info", recording)
    assert "4 channels" in shown.out
    assert "behaviour velocity" in shown.out


def test_a_converted_rat_recording_opens_and_is_described(edgebci: Any, shared_data: Path, tmp_path: Path) -> None:
    out = tmp_path / "rat.h5"
    made = edgebci("data", "convert", shared_data / "rat_r1838_open_field.nwb", out, "--json")
    assert json.loads(made.out)["n_channels"] == 3
    with h5py.File(out) as file:
        assert file.attrs["object"] == "Data"


def test_a_profile_of_one_s_own_is_checked(edgebci: Any, tmp_path: Path) -> None:
    own = tmp_path / "mine.toml"
    own.write_text('kind = "radio"\nname = "mine"\ntitle = "Mine"\nlegal_basis = "none"\npayload_bits_per_s = 3\n')
    refused = edgebci("profiles", "check", own)
    assert refused.code == 2
    assert "payload_bits_per_s" in refused.err
