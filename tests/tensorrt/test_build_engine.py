"""build_engine.py, called with a recording stand-in for TensorRT: what it asks for, and what its lock holds fast."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgebci.export.tensorrt import build_engine
from edgebci.export.tensorrt.build_engine import CACHE, LOCK, ONNX, PLAN, BuildError, Lock, build, main, read_lock
from edgebci.export.tensorrt.typed_graph import typed_step
from tests.tensorrt.conftest import make_case
from tests.tensorrt.fake_tensorrt import FakeTensorRT, MemoryPoolType, ProfilingVerbosity, TellingTimingCache

TEN, ELEVEN = "10.3.0.30", "11.4.1.12"
BOARD = {"model": "NVIDIA Jetson Orin Nano Developer Kit", "release": "# R36 (release), REVISION: 4.3"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    case = make_case("mamba2")
    model = typed_step(case.step, "int8", case.integers).model
    (tmp_path / ONNX).write_bytes(model.SerializeToString(deterministic=True))
    monkeypatch.setattr(build_engine, "identity", lambda: dict(BOARD))
    return tmp_path


def flags_of(trt: FakeTensorRT, number: int = -1) -> set[str]:
    return {flag.name for flag in trt.configs[number].flags}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("version", [TEN, ELEVEN])
def test_the_network_is_strongly_typed_and_no_weak_type_is_asked_for(folder: Path, version: str) -> None:
    trt = FakeTensorRT(version)
    build(folder, trt, "fail", None)
    assert trt.networks[0].flags == (2 if version == TEN else 0)
    assert len(trt.networks[0].layers) > 50
    assert flags_of(trt) == {"DISABLE_COMPILATION_CACHE"} | ({"EDITABLE_TIMING_CACHE"} if version == ELEVEN else set())
    config = trt.configs[0]
    assert config.pools == {MemoryPoolType.WORKSPACE: 256 << 20}
    assert (config.builder_optimization_level, config.profiling_verbosity) == (3, ProfilingVerbosity.DETAILED)


@pytest.mark.parametrize("version", [TEN, ELEVEN])
def test_the_same_build_comes_from_the_locked_cache_byte_for_byte(folder: Path, version: str) -> None:
    trt = FakeTensorRT(version)
    build(folder, trt, "fail", None)
    before, measured = contents(folder), trt.measured
    again, changes = build(folder, trt, "fail", read_lock(folder))
    assert trt.measured == measured > 50
    assert contents(folder) == before
    assert changes == []
    assert "ERROR_ON_TIMING_CACHE_MISS" in flags_of(trt)
    assert again == read_lock(folder)


def test_without_the_lock_other_tactics_would_be_chosen(folder: Path) -> None:
    trt = FakeTensorRT(ELEVEN)
    first, _ = build(folder, trt, "fail", None)
    second, _ = build(folder, trt, "fail", None)
    assert first.changes_of_inputs(second) == []
    assert len(first.changes_of_tactics(second)) == len(first.tactics)


def test_the_lock_names_graph_files_versions_board_and_tactics(folder: Path) -> None:
    build(folder, FakeTensorRT(ELEVEN), "fail", None)
    lock = json.loads((folder / LOCK).read_text())
    assert lock["schema_version"] == "edgebci.engine_lock/1"
    assert (lock["tensorrt"], lock["board"], lock["release"]) == (ELEVEN, BOARD["model"], BOARD["release"])
    files = {"onnx_sha256": ONNX, "plan_sha256": PLAN, "timing_cache_sha256": CACHE}
    for key, name in files.items():
        assert lock[key] == build_engine._sha256((folder / name).read_bytes())
    assert len(lock["tactics"]) > 50


def test_a_version_that_does_not_tell_tactics_still_locks_the_cache(folder: Path) -> None:
    made, _ = build(folder, FakeTensorRT(TEN), "fail", None)
    assert made.tactics == {}
    assert made.timing_cache_sha256 == build_engine._sha256((folder / CACHE).read_bytes())


def test_keys_that_show_no_more_than_an_address_lock_no_tactics(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TellingTimingCache, "tells_addresses", True)
    trt = FakeTensorRT(ELEVEN)
    lock, _ = build(folder, trt, "fail", None)
    assert lock.tactics == {}
    assert build(folder, trt, "fail", lock)[1] == []


CHANGES = ("tensorrt", "board", "release", "onnx_sha256")


def change(what: str, folder: Path, patch: pytest.MonkeyPatch) -> FakeTensorRT:
    """Change one input of the build; returns the TensorRT that is there then."""
    others = {"board": {"model": "Jetson AGX Orin"}, "release": {"release": "# R38 (release)"}}
    if what in others:
        patch.setattr(build_engine, "identity", lambda: BOARD | others[what])
    if what == "onnx_sha256":
        (folder / ONNX).write_bytes(typed_step(make_case("gru").step, "fp16").model.SerializeToString())
    return FakeTensorRT("10.4.0.26" if what == "tensorrt" else TEN)


@pytest.mark.parametrize("what", CHANGES)
def test_a_changed_input_fails_and_touches_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    build(folder, FakeTensorRT(TEN), "fail", None)
    trt = change(what, folder, monkeypatch)
    before = contents(folder)
    with pytest.raises(BuildError, match=f"not the locked one: {what} is .*, locked was .*; nothing was written"):
        build(folder, trt, "fail", read_lock(folder))
    assert contents(folder) == before
    assert trt.networks == []


@pytest.mark.parametrize("what", CHANGES)
def test_or_warns_and_locks_the_new_build(folder: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    old, _ = build(folder, FakeTensorRT(TEN), "fail", None)
    trt = change(what, folder, monkeypatch)
    made, changes = build(folder, trt, "warn", old)
    assert [one.partition(" is ")[0] for one in changes] == [what]
    assert read_lock(folder) == made != old
    assert "ERROR_ON_TIMING_CACHE_MISS" not in flags_of(trt)  # the cache of another build says nothing about this one


def test_other_tactics_in_spite_of_the_cache_fail_or_warn(folder: Path) -> None:
    trt = FakeTensorRT(ELEVEN)
    lock, _ = build(folder, trt, "fail", None)
    before, trt.ignores_cache = contents(folder), True
    with pytest.raises(BuildError, match=r"not the locked one: tactic of "):
        build(folder, trt, "fail", lock)
    assert contents(folder) == before
    made, changes = build(folder, trt, "warn", lock)
    assert len(changes) == len(made.tactics)
    assert read_lock(folder) == made


def test_a_cache_that_lacks_a_layer_fails_closed_or_is_measured_anew(folder: Path) -> None:
    trt = FakeTensorRT(ELEVEN)
    build(folder, trt, "fail", None)
    entries = json.loads((folder / CACHE).read_bytes())
    entries.popitem()
    (folder / CACHE).write_bytes(json.dumps(entries).encode())
    stored = json.loads((folder / LOCK).read_text())
    stored["timing_cache_sha256"] = build_engine._sha256((folder / CACHE).read_bytes())
    (folder / LOCK).write_text(json.dumps(stored))
    with pytest.raises(BuildError, match=r"built no engine; .* --renew measures every layer anew"):
        build(folder, trt, "fail", read_lock(folder))
    _, changes = build(folder, trt, "warn", read_lock(folder))
    assert changes == ["the timing cache lacks a layer"]


def test_a_timing_cache_that_is_not_the_locked_one_is_refused(folder: Path) -> None:
    build(folder, FakeTensorRT(ELEVEN), "fail", None)
    (folder / CACHE).write_bytes(b"{}")
    with pytest.raises(BuildError, match=r"decoder\.timing_cache is not the file that decoder\.lock\.json names"):
        read_lock(folder)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"a": 1}',
        json.dumps(
            {
                **dict.fromkeys(("onnx_sha256", "tensorrt", "board", "release"), ""),
                "schema_version": "edgebci.engine_lock/9",
            }
        ),
    ],
)
def test_a_damaged_lock_is_refused_in_a_sentence(folder: Path, text: str) -> None:
    (folder / LOCK).write_text(text)
    with pytest.raises(BuildError, match=r"decoder\.lock\.json is .*; build with --renew"):
        read_lock(folder)


@pytest.mark.parametrize(
    ("version", "sentence"),
    [
        ("8.6.2", "TensorRT 8.6.2 is here, allowed are 10 and 11"),
        ("12.0.0", "TensorRT 12.0.0 is here, allowed are 10 and 11"),
        ("11.3.0", r"TensorRT 11.3.0 is not supported on Jetson, allowed are 10 and 11.4.1 or later"),
    ],
)
def test_versions_that_do_not_belong_here_are_refused(folder: Path, version: str, sentence: str) -> None:
    with pytest.raises(BuildError, match=sentence):
        build(folder, FakeTensorRT(version), "fail", None)
    assert list(contents(folder)) == [ONNX]


@pytest.mark.parametrize(
    ("version", "board", "n_warnings"),
    [
        ("11.4.1", "NVIDIA Jetson Orin Nano Developer Kit", 1),
        ("11.4.1", "NVIDIA Jetson AGX Orin Developer Kit", 0),
        ("11.4.1", "NVIDIA Jetson AGX Thor Developer Kit", 0),
        ("11.4.1", "Some GPU, 9.0, 570.1", 0),
        ("10.3.0", "NVIDIA Jetson Orin Nano Developer Kit", 0),
    ],
)
def test_boards_on_which_nvidia_does_not_support_11_are_warned(version: str, board: str, n_warnings: int) -> None:
    assert len(build_engine.unsupported_board(version, board)) == n_warnings


def test_all_that_the_parser_refuses_is_said_and_nothing_written(folder: Path) -> None:
    trt = FakeTensorRT(TEN)
    trt.parser_errors = ["no importer for Foo", "Bar needs a constant"]
    with pytest.raises(BuildError, match=r"refuses the graph: no importer for Foo; Bar needs a constant; export"):
        build(folder, trt, "fail", None)
    assert list(contents(folder)) == [ONNX]


def test_without_tensorrt_it_says_so_and_writes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--folder", str(folder)]) == 1
    assert "no engine was built: TensorRT's Python binding is absent" in capsys.readouterr().err
    assert list(contents(folder)) == [ONNX]


def test_the_command_line_builds_locks_and_warns(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trt = FakeTensorRT(ELEVEN)
    monkeypatch.setattr(build_engine, "load_tensorrt", lambda: trt)
    assert main(["--folder", str(folder)]) == 0
    assert "built anew" in capsys.readouterr().out
    assert main(["--folder", str(folder)]) == 0
    assert "built from the locked timing cache" in capsys.readouterr().out
    trt.ignores_cache = True
    assert main(["--folder", str(folder)]) == 1
    assert "nothing was written" in capsys.readouterr().err
    assert main(["--folder", str(folder), "--on-change", "warn"]) == 0
    assert "warning: tactic of" in capsys.readouterr().err
    trt.ignores_cache = False
    assert main(["--folder", str(folder), "--renew"]) == 0
    assert isinstance(read_lock(folder), Lock)
