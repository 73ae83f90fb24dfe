"""Every example does what it says, is short, and needs no network."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from edgebci import load_report
from edgebci.foreign.bundle import open_foreign_bundle
from edgebci.pipeline.configuration import load_pipeline
from edgebci.pipeline.run_comparison import compare_runs
from tests.examples.conftest import EXAMPLES, run_example

PROGRAMS = sorted(p.name for p in EXAMPLES.iterdir() if p.suffix in (".py", ".ipynb", ".yml"))


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("an example asked for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.mark.parametrize("name", PROGRAMS)
def test_an_example_is_under_eighty_lines(name: str) -> None:
    assert len((EXAMPLES / name).read_text().splitlines()) < 80


def test_your_own_nwb_leaves_a_pipeline_and_a_report(own_run: Path) -> None:
    config = load_pipeline(own_run / "session.toml")
    assert (config.recording.target, config.features.rate_hz) == ("speed", 100.0)
    report = load_report(own_run / "session")
    assert report.bit_exactness.n_frames > 500
    assert report.pictures is not None
    assert (own_run / "session" / "report.html").exists()


def test_two_runs_that_decoded_the_same_frames_are_compared_frame_by_frame(own_run: Path) -> None:
    pair = compare_runs(own_run / "session", own_run / "session")
    assert pair.not_paired == ""
    assert pair.paired is not None
    assert pair.paired.difference.value == 0.0


def test_a_notebook_runs_cell_by_cell(own_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEBCI_RUN", str(own_run / "session"))
    monkeypatch.setenv("MPLBACKEND", "Agg")
    notebook = json.loads((EXAMPLES / "from_a_notebook.ipynb").read_text())
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] for cell in notebook["cells"] if cell["cell_type"] == "code")
    names: dict[str, Any] = {}
    for cell in cells:
        exec(compile(cell, "from_a_notebook.ipynb", "exec"), names)  # noqa: S102 (that is what a notebook does)
    assert len(cells) == 4
    assert names["decoded"].shape == (50, 1)
    names["plt"].close("all")


def test_your_own_onnx_decoder_becomes_a_bundle_for_the_core(
    tmp_path: Path, few_evaluator_steps: None, capsys: pytest.CaptureFixture[str]
) -> None:
    run_example("your_own_onnx_decoder.py", "--out", tmp_path)
    bundle = open_foreign_bundle(tmp_path / "bundle")
    assert bundle.manifest.target == "cortex-m4f"
    assert "firmware/decoder.c" in capsys.readouterr().out


def test_a_budget_names_every_place_its_range_and_what_is_assumed(capsys: pytest.CaptureFixture[str]) -> None:
    run_example("implant_budget.py")
    shown = capsys.readouterr().out
    assert shown.count("does it fit?") == shown.count("assumed numbers:") == 3
    assert shown.count("warmer by") >= 3
