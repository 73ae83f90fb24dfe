"""The claim of the quickstart, on a run small enough for a test."""

from __future__ import annotations

import shutil
from pathlib import Path

from edgebci.pipeline.proof.claim import Place
from edgebci.pipeline.proof.pipeline_claims import TRACE_PICTURE, measure_quickstart
from edgebci.progress import silent


def test_a_run_becomes_figures_and_a_picture(small_toml: Path, tmp_path: Path) -> None:
    (tmp_path / "examples").mkdir()
    shutil.copy(small_toml, tmp_path / "examples" / "quickstart.toml")
    place = Place(tmp_path / "folder", tmp_path)
    figures = {figure.name: figure for figure in measure_quickstart(place, silent)}
    for form in ("torch", "onnx_float", "onnx_int8", "device_host_twin", "ridge"):
        assert figures[f"r2_{form}"].unit == "R²"
    assert int(figures["bit_exact_frames"].value) > 200
    assert figures["seconds"].evidence == "measured"
    stages = sum(float(figure.value) for name, figure in figures.items() if name.startswith("seconds_"))
    assert 0 < stages < float(figures["seconds"].value)
    picture = (tmp_path / TRACE_PICTURE).read_text()
    assert picture.startswith("<svg")
    assert "device (host twin)" in picture
    assert "currentColor" not in picture
    again = {figure.name: figure for figure in measure_quickstart(place, silent)}
    assert again["r2_torch"] == figures["r2_torch"]
    assert "sum of its stages" in again["seconds"].note
