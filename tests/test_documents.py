from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import Field

from edgebci.documents import Document, load_json, load_toml, nearest
from edgebci.errors import InputError


class Chip(Document):
    clock_hz: float = Field(gt=0)
    ram_bytes: int = 1024


class Board(Document):
    name: str
    chips: tuple[Chip, ...] = ()


def refusal(tmp_path: Path, text: str) -> str:
    path = tmp_path / "board.toml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        load_toml(path, Board)
    return str(caught.value)


def test_a_document_that_fits_is_read(tmp_path: Path) -> None:
    path = tmp_path / "board.toml"
    path.write_text('name = "b"\n[[chips]]\nclock_hz = 64e6\n')
    assert load_toml(path, Board) == Board(name="b", chips=(Chip(clock_hz=64e6),))


def test_an_unknown_key_names_the_nearest_valid_one_at_its_own_level(tmp_path: Path) -> None:
    message = refusal(tmp_path, 'name = "b"\n[[chips]]\nclock_hz = 1\nram_byte = 3\n')
    assert "chips.0.ram_byte" in message
    assert "did you mean 'ram_bytes'?" in message


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    message = refusal(tmp_path, "nmae = 'b'\n[[chips]]\nclock_hz = -1\n")
    assert "did you mean 'name'?" in message
    assert "'name' is missing" in message
    assert "greater than 0" in message


def test_a_missing_file_names_the_nearest_one_beside_it(tmp_path: Path) -> None:
    (tmp_path / "quickstart.toml").write_text("")
    with pytest.raises(InputError, match=r"did you mean 'quickstart.toml'\?"):
        load_toml(tmp_path / "quikstart.toml", Board)


def test_text_that_is_not_toml_points_at_the_line(tmp_path: Path) -> None:
    assert "line 2" in refusal(tmp_path, 'name = "b"\nclock = = 3\n')


def test_not_a_number_is_refused(tmp_path: Path) -> None:
    assert "finite" in refusal(tmp_path, 'name = "b"\n[[chips]]\nclock_hz = nan\n')


def test_half_a_json_file_is_refused_as_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "board.json"
    path.write_text('{"name": "b", "chi')
    with pytest.raises(InputError, match="cut short"):
        load_json(path, Board)


def test_a_folder_or_binary_file_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "b.toml").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path, tmp_path / "b.toml"):
        with pytest.raises(InputError, match="cannot read"):
            load_toml(path, Board)


def test_a_far_away_name_lists_what_is_allowed() -> None:
    assert nearest("zzz", ["ble-1m", "ir-uwb"]) == "allowed: ble-1m, ir-uwb"
