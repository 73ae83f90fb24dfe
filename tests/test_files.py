from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from edgebci.errors import InputError
from edgebci.files import make_folder, replacing, sha256, write_text


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), replacing(path) as temporary:
        temporary.write_text("ne")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["report.json"]


def test_a_full_disk_is_one_sentence_and_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("old")
    with pytest.raises(InputError, match="no space left"), replacing(path):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert path.read_text() == "old"


def test_a_file_in_the_place_of_the_folder_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("I am a file")
    with pytest.raises(InputError, match="cannot write"):
        write_text(tmp_path / "runs" / "report.json", "x")
    # Where the system makes no folders at all, it says that there is none.
    with pytest.raises(InputError, match="cannot write"):
        write_text(Path("/proc/none/report.json"), "x")


def test_a_folder_that_cannot_be_made_or_written_into_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "runs").write_text("I am a file")
    for folder in (tmp_path / "runs", tmp_path / "runs" / "first"):
        with pytest.raises(InputError, match="cannot make the folder"):
            make_folder(folder)
    make_folder(tmp_path / "new" / "first")
    # The tests may run as root, for whom no mode makes a folder read-only.
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(InputError, match="is read-only"):
        make_folder(tmp_path / "new" / "first")


def test_missing_folders_are_made_and_the_hash_is_of_the_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.txt"
    write_text(path, "abc")
    assert sha256(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_new_file_may_be_read_by_whom_the_umask_allows(tmp_path: Path) -> None:
    plain, ours = tmp_path / "plain", tmp_path / "ours"
    plain.touch()
    write_text(ours, "content")
    assert ours.stat().st_mode == plain.stat().st_mode
