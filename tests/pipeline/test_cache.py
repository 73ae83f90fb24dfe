from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgebci.errors import InputError
from edgebci.pipeline.cache import run_stage


def counted(calls: list[str], name: str = "a.txt") -> Callable[[Path], None]:
    def work(folder: Path) -> None:
        calls.append(name)
        (folder / name).write_text(str(len(calls)))

    return work


def test_a_finished_stage_is_not_done_again(tmp_path: Path) -> None:
    calls: list[str] = []
    first = run_stage(tmp_path, "train", ["x"], counted(calls))
    second = run_stage(tmp_path, "train", ["x"], counted(calls))
    assert len(calls) == 1
    assert (first.was_kept, second.was_kept) == (False, True)
    assert first.fingerprint == second.fingerprint


def test_a_changed_input_starts_from_an_empty_folder(tmp_path: Path) -> None:
    calls: list[str] = []
    run_stage(tmp_path, "train", ["x"], counted(calls, "old.txt"))
    run_stage(tmp_path, "train", ["y"], counted(calls, "new.txt"))
    assert not (tmp_path / "train" / "old.txt").exists()
    assert (tmp_path / "train" / "new.txt").exists()


def test_an_interrupted_stage_finds_what_it_had_written(tmp_path: Path) -> None:
    def interrupted(folder: Path) -> None:
        (folder / "half.txt").write_text("half")
        raise KeyboardInterrupt

    def resumed(folder: Path) -> None:
        assert (folder / "half.txt").read_text() == "half"
        (folder / "half.txt").write_text("whole")

    with pytest.raises(KeyboardInterrupt):
        run_stage(tmp_path, "train", ["x"], interrupted)
    stage = run_stage(tmp_path, "train", ["x"], resumed)
    assert (stage.folder / "half.txt").read_text() == "whole"


def test_someone_elses_folder_is_never_removed(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "thesis.txt").write_text("precious")
    with pytest.raises(InputError, match="was not made by edgebci"):
        run_stage(tmp_path, "train", ["x"], counted([]))
    assert (tmp_path / "train" / "thesis.txt").read_text() == "precious"
