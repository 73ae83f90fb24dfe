"""`edgebci run-on-target` runs the binary of a bundle over a recording and says what it took."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from edgebci.cli.run_on_target import run_on_target
from edgebci.errors import InputError, MissingToolError
from edgebci.firmware_sim.cores import CORES
from edgebci.firmware_sim.user_program import runner
from edgebci.pipeline.configuration import RecordingConfig
from edgebci.pipeline.run_on_target import PlainReport, TargetOrder, TargetReport, run_bundle_on_target
from edgebci.pipeline.source import obtain, recording_path
from edgebci.progress import silent
from edgebci.synthetic.specification import SyntheticSpec


@pytest.fixture(scope="module")
def document(for_a_core: Any, finished_run: Any) -> dict[str, Any]:
    """What --json gives for 2 s on a Cortex-M33 with the flash of a board."""
    app = typer.Typer()
    app.command()(run_on_target)
    options = ["--core", "cortex-m33", "--recording", str(finished_run.recording), "--seconds", "2"]
    result = CliRunner().invoke(app, [str(for_a_core.bundle), *options, "--board", "stm32u575", "--json"])
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


def test_outputs_are_those_of_the_host_and_one_for_each_step(document: dict[str, Any]) -> None:
    assert document["equals_host_twin"] is document["equals_reference"] is True
    mean = {step["name"]: step["mean_cycles"] for step in document["step_cycles"]}
    assert document["device_cycles_per_s"] == pytest.approx(25 * mean["step"])
    assert (document["arithmetic"], document["front_end"]) == ("int8", "float32")
    assert len(document["outputs"]) == document["steps"] == 50
    assert 0 < document["valid_steps"] < 50  # the front end starts up for half a second
    assert len({tuple(row) for row in document["outputs"]}) > 30


def test_cycles_add_up_by_function_and_by_line(document: dict[str, Any]) -> None:
    assert sum(f["cycles"] for f in document["functions"]) == document["cycles"]
    assert sum(f["instructions"] for f in document["functions"]) == document["instructions"]
    assert sum(line["cycles"] for line in document["lines"]) == pytest.approx(document["cycles"], rel=1e-3)
    assert sum(line["instructions"] for line in document["lines"]) == document["instructions"]
    most = document["lines"][0]["name"]
    assert most.startswith("edgebci_"), most  # a kernel's file
    assert {s["name"] for s in document["step_cycles"]} == {"step", "front end", "decoder"}


def test_every_figure_has_its_band_and_flash_is_told_apart(document: dict[str, Any]) -> None:
    assert "±8% (±10% on branchy code), zero wait states" in document["band"]
    flash = document["flash"]
    assert flash["board"] == "stm32u575"
    assert flash["fetch_misses"] > 0
    assert flash["cycles_with_flash"] == document["cycles"] + flash["fetch_stalls"] + flash["load_stalls"]
    assert document["ram_bytes"] > document["stack_bytes"] > 0


def order(bundle: Path, recording: Path, core: str = "cortex-m33") -> TargetOrder:
    return TargetOrder(bundle=bundle, core=core, recording=recording)


def test_what_cannot_be_run_is_told_in_one_sentence(for_a_core: Any, finished_run: Any, in_float: Path) -> None:
    recording = finished_run.recording
    for one, message in (
        (order(for_a_core.bundle, recording, "cortex-m3"), "unknown core 'cortex-m3', did you mean"),
        (order(in_float, recording), "holds no C; export it for a core"),
        (order(for_a_core.bundle, recording.with_name("none.h5")), "none.h5"),
        (order(recording.parent, recording), "holds no manifest.json"),
    ):
        with pytest.raises(InputError, match=message):
            run_bundle_on_target(one)


@pytest.mark.parametrize("core", ["aarch64", "riscv32"])
def test_a_core_without_a_cycle_model_gives_the_outputs_of_one_that_has(
    core: str, document: dict[str, Any], for_a_core: Any, finished_run: Any
) -> None:
    try:
        runner(CORES[core])
    except MissingToolError as absent:
        pytest.skip(f"not run on {core}: {absent}")
    plain = order(for_a_core.bundle, finished_run.recording, core).model_copy(update={"seconds": 2})
    report = run_bundle_on_target(plain)
    assert isinstance(report, PlainReport)
    assert [list(row) for row in report.outputs] == document["outputs"]
    assert report.equals_reference
    assert report.instructions is not None
    assert report.instructions > 1000 * report.steps


def test_cycles_of_a_cortex_m55_are_an_estimate(document: dict[str, Any], for_a_core: Any, finished_run: Any) -> None:
    try:
        runner(CORES["cortex-m55"])
    except MissingToolError as absent:
        pytest.skip(f"not run on cortex-m55: {absent}")
    wanted = order(for_a_core.bundle, finished_run.recording, "cortex-m55").model_copy(update={"seconds": 2})
    report = run_bundle_on_target(wanted)
    assert isinstance(report, TargetReport)
    assert [list(row) for row in report.outputs] == document["outputs"]
    assert (report.evidence, report.parts) == ("estimate", ())
    assert report.band.startswith("an estimate, never held against silicon, ±20%")
    assert sum(f.instructions for f in report.functions) == report.instructions
    assert sum(line.instructions for line in report.lines) == report.instructions
    step, front_end, decoder = (one.mean_cycles for one in report.step_cycles)
    assert 0.8 * step < front_end + decoder < step
    assert 0 < report.stack_bytes < document["stack_bytes"] * 2


def test_an_absent_emulator_is_named_with_its_package(
    for_a_core: Any, finished_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(MissingToolError, match=r"qemu-system-arm is not installed; install it .*apt-get install"):
        run_bundle_on_target(order(for_a_core.bundle, finished_run.recording, "cortex-m55"))


def test_a_recording_of_another_array_is_refused(for_a_core: Any, tmp_path: Path) -> None:
    spec = SyntheticSpec(seed=9200, duration_s=5, n_channels=8, rate_hz=500)
    source = RecordingConfig(synthetic=spec, target="velocity")
    obtain(source, tmp_path, silent)
    with pytest.raises(InputError, match="has 8 channels at 500 Hz, the bundle decodes 10 at 500 Hz"):
        run_bundle_on_target(order(for_a_core.bundle, recording_path(source, tmp_path)))
