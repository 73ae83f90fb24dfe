"""`edgebci profiles`: assumed numbers first, a user's own file, the schema for editors."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from edgebci.cli.profiles import profiles_app
from edgebci.cli.validation_tables import validation_tables
from edgebci.errors import InputError
from edgebci.firmware_sim.validation.report import ValidationReport
from edgebci.hardware import MODELS, profile_folder
from edgebci.hardware_schema import profile_schema

RUN = CliRunner()


def _run(*words: str) -> str:
    result = RUN.invoke(profiles_app, list(words), env={"COLUMNS": "400"})
    assert result.exit_code == 0, result.output
    return result.output


def test_list_says_how_many_numbers_are_assumed() -> None:
    lines = [line for line in _run("list").splitlines() if "compute/stm32l4r5" in line]
    assert len(lines) == 1
    assert "of 23 numbers assumed]" in lines[0]


def test_show_puts_assumed_numbers_first() -> None:
    shown = _run("show", "radio", "ble-2m")
    classes = [line.split("[")[1].split("]")[0] for line in shown.splitlines() if " … " in line]
    assert "assumed" in classes
    assert "primary" in classes
    first_sourced = next(k for k, name in enumerate(classes) if name != "assumed")
    assert "assumed" not in classes[first_sourced:]


def test_show_takes_the_path_of_one_s_own_profile(tmp_path: Path) -> None:
    own = tmp_path / "mine.toml"
    text = (profile_folder() / "radios" / "optical.toml").read_text(encoding="utf-8")
    own.write_text(text.replace('"optical"', '"mine"'), encoding="utf-8")
    assert json.loads(_run("show", "radio", str(own), "--json"))["name"] == "mine"
    assert "is a complete profile" in _run("check", str(own))


def test_check_without_a_file_checks_what_is_shipped() -> None:
    assert _run("check").strip() == f"all {len(list(profile_folder().rglob('*.toml')))} shipped profiles are complete"


def test_the_schema_is_written_to_a_file(tmp_path: Path) -> None:
    out = tmp_path / "radio.schema.json"
    _run("schema", "radio", "--out", str(out))
    assert json.loads(out.read_text(encoding="utf-8")) == json.loads(_run("schema", "radio"))


def test_the_schema_of_no_kind_names_the_nearest() -> None:
    with pytest.raises(InputError, match="no kind of profile 'radios'; did you mean 'radio'"):
        profile_schema("radios")


def _faults(document: dict[str, Any], schema: dict[str, Any]) -> list[str]:
    validator = pytest.importorskip("jsonschema").Draft202012Validator(schema)
    return [fault.message for fault in validator.iter_errors(document)]


def test_the_schemas_accept_every_shipped_file() -> None:
    files = sorted(profile_folder().rglob("*.toml"))
    assert len(files) > 60
    schemas = {kind: profile_schema(kind) for kind in MODELS}
    for path in files:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        assert _faults(document, schemas[document["kind"]]) == [], path


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('unit = "Hz"', 'unit = "kHz"'),
        ("value = 96,", "value = -96,"),
        ("value = 96,", "value = 96, low = 90,"),
        ("channels =", "chanels ="),
        ('class = "paper", source', 'klass = "paper", source'),
    ],
)
def test_the_schema_refuses_what_reading_refuses(old: str, new: str) -> None:
    text = (profile_folder() / "implants" / "utah96-lfp.toml").read_text(encoding="utf-8")
    assert old in text
    assert _faults(tomllib.loads(text.replace(old, new, 1)), profile_schema("implant"))


def test_validate_shows_missed_bounds_as_missed() -> None:
    report = json.loads(_run("validate", "--json"))
    missed = [bound["name"] for bound in report["bounds"] if not bound["met"]]
    assert "forward_inside" in missed
    tables = dict(validation_tables(ValidationReport.model_validate(report)))
    shown = dict(tables["bounds"])
    assert [name for name, words in shown.items() if "MISSED by" in words] == missed
    assert dict(tables["left out, and why"]) == report["left_out"]


def test_a_step_on_a_board_is_an_estimate_and_called_so() -> None:
    shown = json.loads(_run("step", "raspberry-pi-5", "--macs", "117000", "--bytes", "150000", "--json"))
    assert (shown["basis"], shown["mode"], shown["step_us"]["unit"]) == ("estimate", "2.4GHz", "us")
    assert RUN.invoke(profiles_app, ["step", "raspberry-pi-5", "--macs", "0", "--bytes", "1"]).exit_code == 2
