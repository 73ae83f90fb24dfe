"""`edgebci bench bundle` compares outputs before it times anything, and says what it found and what it did not do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from edgebci.cli.bench import bench_app
from edgebci.errors import InputError, VerificationError
from edgebci.export.runtime_bench import LEVELS, ProfiledSteps, empty_step
from edgebci.export.runtime_timing import paced_us
from edgebci.features.cases import front_end_case
from edgebci.firmware_sim.toolchain import compile_host
from edgebci.pipeline import host_bench
from edgebci.pipeline.host_bench import bench_bundle
from edgebci.pipeline.host_bench_result import (
    LIBRARY,
    RUNTIME,
    BareTime,
    BenchTime,
    HostBench,
    best_form,
    int8_note,
    speeds,
)

CASE = front_end_case("clean")


@pytest.fixture(scope="module", autouse=True)
def _compiled_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """All tests bench one bundle, so its two libraries are compiled by the first and loaded again by the others."""
    folder = tmp_path_factory.mktemp("libraries")

    def kept(sources: Path, out: Path, **options: Any) -> Path:
        library = folder / out.name
        return library if library.exists() else compile_host(sources, library, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(host_bench, "compile_host", kept)
        yield


@pytest.fixture(scope="module")
def found(exported: Path) -> HostBench:
    return bench_bundle(exported / "bundle", exported / "student.safetensors", rounds=1, ticks=3)


def run(*arguments: object) -> Any:
    return CliRunner().invoke(bench_app, ["bundle", *map(str, arguments)], env={"COLUMNS": "250"})


def test_every_runtime_and_every_level_is_timed_back_to_back(found: HostBench) -> None:
    timed = {one.name for one in found.times if one.pace == "back to back"}
    levels = {f"ONNX Runtime, {form}, optimisation {level}" for form in ("fp32", "int8") for level in LEVELS}
    assert timed == levels | {"host library, int8", "host library, fp32", "torch, fp32"}
    for one in found.times:
        assert 0 < one.p50_us <= one.p99_us <= one.p999_us
        assert one.steps == (50 if one.pace == "back to back" else 3)


def test_at_the_rate_of_the_stream_each_runtime_shows_its_best(found: HostBench) -> None:
    paced = [one.name for one in found.times if one.pace == "at the rate"]
    assert len(paced) == 5
    assert sum(name.startswith("ONNX Runtime") for name in paced) == 2
    assert found.period_ms == pytest.approx(1e3 / CASE.front_end.spec.frame_rate_hz)


def test_the_host_library_equals_its_references_and_the_others_agree(found: HostBench) -> None:
    assert len(found.agreements) == 13
    errors = {one.name: one.relative_error for one in found.agreements}
    assert errors["host library, int8"] == errors["host library, fp32"] == 0
    assert 0 < errors["torch, fp32"] < 1e-5


def test_without_bindings_the_c_loop_stands_beside_two_measures_of_the_runtime(found: HostBench) -> None:
    hows = [one.how for one in found.bare]
    for how in ("nodes in its profile", "step less one of an empty graph", "loop of 50 in C"):
        assert hows.count(how) == 2


def test_the_command_shows_every_time_and_the_document_as_json(
    exported: Path, found: HostBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_bench, "bench_bundle", lambda *_: found)
    shown = run(exported / "bundle")
    assert shown.exit_code == 0, shown.output
    for text in (*(f"{one.name}, {one.pace}" for one in found.times), "the goal, 15 times", "instructions: "):
        assert text in shown.output
    assert HostBench.model_validate(json.loads(run(exported / "bundle", "--json").stdout)) == found


def test_torch_that_was_left_out_is_said(found: HostBench) -> None:
    assert any(note.startswith("torch was not timed") for note in host_bench.notes_of(found.times, None))
    assert not any(note.startswith("torch was not timed") for note in found.notes)


def test_a_form_further_from_its_reference_than_it_may_be_is_refused(
    exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_bench, "FLOAT_ERROR", 0.0)
    with pytest.raises(VerificationError, match=r"ONNX Runtime, fp32.*outputs differ from the bit-exact reference"):
        bench_bundle(exported / "bundle", None, 1, 1)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [(("nowhere",), "nowhere"), (("bundle", "--checkpoint", "none.safetensors"), "no file none.safetensors")],
)
def test_wrong_paths_are_said_in_a_sentence(
    exported: Path, arguments: tuple[str, ...], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(exported)
    shown = run(*arguments)
    assert isinstance(shown.exception, InputError)
    assert sentence in str(shown.exception)


def test_a_checkpoint_of_another_bundle_is_refused(exported: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    other.write_bytes((exported / "student.safetensors").read_bytes() + b" ")
    with pytest.raises(InputError, match="was not exported from"):
        bench_bundle(exported / "bundle", other, 1, 1)


def time_of(runtime: str, form: str, us: float, pace: str = "back to back") -> BenchTime:
    given = {"runtime": runtime, "form": form, "pace": pace, "steps": 9}
    return BenchTime.model_validate(given | {"p50_us": us, "p99_us": 3 * us, "p999_us": 4 * us})


def test_int8_that_is_slower_is_said_to_be_slower_and_otherwise_nothing_is_said() -> None:
    slower = (time_of(RUNTIME, "fp32, a", 40.0), time_of(RUNTIME, "int8, a", 60.0), time_of(RUNTIME, "int8, b", 50.0))
    assert int8_note(slower, RUNTIME).startswith("int8 is slower than fp32 in ONNX Runtime on this machine, 1.25 times")
    assert int8_note(slower, LIBRARY) == ""
    assert int8_note((*slower[:1], time_of(RUNTIME, "int8, a", 30.0)), RUNTIME) == ""
    assert best_form(slower, "int8") == "int8, b"


def test_speeds_hold_best_against_best_and_say_when_a_goal_is_missed() -> None:
    times = tuple(
        time_of(runtime, form, us, pace)
        for pace in ("back to back", "at the rate")
        for runtime, form, us in (
            (LIBRARY, "int8", 2.0),
            (LIBRARY, "fp32", 3.0),
            (RUNTIME, "x", 40.0),
            (RUNTIME, "y", 28.0),
        )
    )
    bare = (
        BareTime(runtime=LIBRARY, form="int8", how="loop", p50_us=2.0),
        BareTime(runtime=RUNTIME, form="fp32", how="profile", p50_us=30.0),
        BareTime(runtime=RUNTIME, form="fp32", how="less empty", p50_us=20.0),
    )
    found = speeds(times, bare)
    assert [one.times for one in found] == [14.0, 14.0, 14.0, 14.0, 10.0]
    assert found[0].sentence().endswith("the goal, 15 times, is MISSED")
    assert found[-1].sentence().endswith("the goal, 5 times, is reached")


def test_every_form_gets_every_tick_of_the_clock() -> None:
    seen: dict[str, list[float]] = {"a": [], "b": []}
    steps = {name: (lambda frame, own=name: seen[own].append(float(frame[0]))) for name in seen}
    taken = paced_us(steps, np.arange(4.0)[:, None], 1e-4, 23)
    assert {name: len(row) for name, row in taken.items()} == {"a": 23, "b": 23}
    assert seen["a"] == seen["b"] == [float(k % 4) for k in range(23)]


def test_the_runtime_profile_has_a_time_for_every_step_and_an_empty_graph_computes_nothing(exported: Path) -> None:
    path = exported / "bundle" / "decoder_float.onnx"
    profiled, frame = ProfiledSteps(path, "all"), np.ones(CASE.front_end.n_features, np.float32)
    for _ in range(7):
        profiled.step(frame)
    taken = profiled.node_times_us()
    assert taken.shape == (7,)
    assert (taken > 0).all()
    output: Any = empty_step(path)(frame)
    assert output.shape == (2,)
    assert not output.any()
