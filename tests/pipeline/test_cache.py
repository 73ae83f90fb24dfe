from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from edgebci.errors import InputError
from edgebci.pipeline.cache import run_stage, share


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


def test_a_grid_that_two_processes_share_leaves_the_stage_that_the_other_is_at(tmp_path: Path) -> None:
    calls: list[str] = []

    def task(name: str) -> tuple[Path, str, Callable[[], object]]:
        return tmp_path, name, lambda: run_stage(tmp_path, name, ["x"], counted(calls, name))

    with FileLock(tmp_path / ".second.lock"):
        share([task("first"), task("second"), task("third")])
    assert calls == ["first", "third"]
    share([task("first"), task("second"), task("third")])
    assert calls == ["first", "third", "second"]


def test_who_needs_a_stage_that_another_process_is_at_waits_and_takes_what_it_made(tmp_path: Path) -> None:
    calls: list[str] = []
    begun, finish = threading.Event(), threading.Event()

    def slow(folder: Path) -> None:
        begun.set()
        finish.wait()
        counted(calls, "theirs")(folder)

    other = threading.Thread(target=run_stage, args=(tmp_path, "train", ["x"], slow))
    other.start()
    begun.wait()
    threading.Timer(0.05, finish.set).start()
    stage = run_stage(tmp_path, "train", ["x"], counted(calls, "ours"))
    other.join()
    assert calls == ["theirs"]
    assert stage.was_kept
