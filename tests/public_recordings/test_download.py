"""Fetching: it goes on where it was cut, checks what came, and says in one sentence what is wrong."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from edgebci.errors import InputError
from edgebci.public_recordings.download import download
from edgebci.public_recordings.records import MakinRecords, RemoteFile, makin_files, makin_records, record_files
from tests.public_recordings.conftest import CONTENT, Served


def test_a_whole_file_arrives_once_and_is_not_asked_for_again(served: Served, tmp_path: Path) -> None:
    for _ in range(2):
        assert download(served.remote("a.mat"), tmp_path).read_bytes() == CONTENT
    assert served.ranges == [None]


def test_a_cut_connection_is_continued_where_it_broke(served: Served, tmp_path: Path) -> None:
    served.cut_after = [300_000, 200_000]
    assert download(served.remote("a.mat"), tmp_path).read_bytes() == CONTENT
    assert served.ranges == [None, "bytes=300000-", "bytes=500000-"]


def test_a_later_run_continues_what_an_earlier_one_left(served: Served, tmp_path: Path) -> None:
    served.cut_after = [300_000, 0, 0, 0, 0, 0]
    with pytest.raises(InputError, match=r"broke after 0\.3 of 1\.0 MB of a\.mat; run the command again"):
        download(served.remote("a.mat"), tmp_path)
    assert not (tmp_path / "a.mat").exists()
    served.ranges.clear()
    assert download(served.remote("a.mat"), tmp_path).read_bytes() == CONTENT
    assert served.ranges == ["bytes=300000-"]


def test_a_server_without_ranges_is_read_from_the_start(served: Served, tmp_path: Path) -> None:
    served.knows_ranges, served.cut_after = False, [300_000]
    assert download(served.remote("a.mat"), tmp_path).read_bytes() == CONTENT


def test_other_bytes_than_the_records_are_refused_and_removed(served: Served, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="arrived damaged: its MD5 is not"):
        download(served.remote("a.mat", md5="0" * 32), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_on_disk_is_fetched_anew(served: Served, tmp_path: Path) -> None:
    (tmp_path / "a.mat").write_bytes(b"half")
    assert download(served.remote("a.mat"), tmp_path).read_bytes() == CONTENT


def test_no_network_is_one_sentence(tmp_path: Path) -> None:
    nowhere = RemoteFile("a.mat", "http://127.0.0.1:9/a.mat", 10, "0" * 32)
    with pytest.raises(InputError, match=r"cannot reach http://127\.0\.0\.1:9 .*--from"):
        download(nowhere, tmp_path)
    with pytest.raises(InputError, match=r"cannot reach http://127\.0\.0\.1:9"):
        record_files("http://127.0.0.1:9", 1)


class _Usage(NamedTuple):
    free: int


def test_too_little_space_is_said_before_anything_is_fetched(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free: Callable[[object], _Usage] = lambda _: _Usage(1_000)  # noqa: E731
    monkeypatch.setattr(shutil, "disk_usage", free)
    with pytest.raises(InputError, match=r"needs 0\.00 GB more .* has 0\.00 GB free; .*--to"):
        download(served.remote("a.mat"), tmp_path)
    assert served.ranges == []


def _records(served: Served, broadband: tuple[int, ...]) -> MakinRecords:
    table = makin_records().model_dump(by_alias=True) | {
        "server": served.address,
        "behavior_record": 1,
        "broadband_records": broadband,
    }
    return MakinRecords.model_validate(table)


def test_a_session_is_found_by_the_names_that_records_list(served: Served) -> None:
    session = makin_records().sessions[0]
    served.files = {f"{session}.mat": b"behaviour", f"{session}.nwb": b"broadband", "other.nwb": b"x"}
    served.records = {1: [f"{session}.mat"], 7: ["other.nwb"], 8: [f"{session}.nwb"]}
    behavior, broadband = makin_files(_records(served, (7, 8)), session)
    assert (behavior.name, broadband.name) == (f"{session}.mat", f"{session}.nwb")
    assert broadband.md5 == hashlib.md5(b"broadband").hexdigest()


def test_a_missing_session_or_record_is_one_sentence(served: Served) -> None:
    session = makin_records().sessions[0]
    served.files = {f"{session}.mat": b"behaviour"}
    served.records = {1: [f"{session}.mat"], 7: []}
    with pytest.raises(InputError, match=r"none of 1 broadband records has indy_20160622_01\.nwb"):
        makin_files(_records(served, (7,)), session)
    with pytest.raises(InputError, match="did you mean 'indy_20160622_01'"):
        makin_files(_records(served, (7,)), "indy_20160622_02")
    with pytest.raises(InputError, match=r"answered 404 .*/api/records/99"):
        record_files(served.address, 99)


def test_the_table_names_a_record_for_each_of_the_thirty_sessions() -> None:
    table = makin_records()
    assert len(set(table.sessions)) == len(set(table.broadband_records)) == 30
    assert list(table.sessions) == sorted(table.sessions)
