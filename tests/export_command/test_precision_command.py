"""`edgebci precision` on a run folder: the frontier with its files, the decay report, the losses of each way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from edgebci.checkpoint import load_checkpoint
from edgebci.cli.precision import precision_app
from edgebci.export.decay_report import DecayReport
from edgebci.export.quantization import QuantizationRecipe
from edgebci.export.widths import require_widths
from edgebci.pipeline.precision_frontier import FRONTIER_JSON, FRONTIER_SVG, Frontier


@pytest.fixture(scope="module")
def searched(finished_run: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What the search printed, and its folder. A loss of 0.5: twenty seconds of validation prove little."""
    out = tmp_path_factory.mktemp("precision")
    arguments = ["search", str(finished_run.checkpoint), "--max-loss", "0.5", "--out", str(out)]
    result = CliRunner().invoke(precision_app, arguments)
    assert result.exit_code == 0, result.output
    return result.output, out


def test_the_search_shows_and_writes_its_frontier(finished_run: Any, searched: tuple[str, Path]) -> None:
    printed, out = searched
    frontier = Frontier.model_validate_json((out / FRONTIER_JSON).read_text(encoding="utf-8"))
    assert (out / FRONTIER_SVG).read_text(encoding="utf-8") == frontier.svg()
    assert f"* {frontier.chosen.name}" in " ".join(printed.split())
    assert f"{frontier.chosen.bytes:,} bytes" in " ".join(printed.split())
    require_widths(load_checkpoint(finished_run.checkpoint).spec, frontier.chosen.widths)
    assert QuantizationRecipe(widths=frontier.chosen.widths).model_dump()["widths"] == frontier.chosen.widths


def test_the_search_sees_validation_frames_only(finished_run: Any, searched: tuple[str, Path]) -> None:
    from edgebci.pipeline.preparation import load_prepared

    data = load_prepared(finished_run.features).data
    frontier = Frontier.model_validate_json((searched[1] / FRONTIER_JSON).read_text(encoding="utf-8"))
    assert frontier.frames == len(data.rows("validation")) != len(data.rows("test"))


def test_the_decay_report_comes_as_json(finished_run: Any) -> None:
    result = CliRunner().invoke(precision_app, ["decay", str(finished_run.checkpoint), "--json"])
    assert result.exit_code == 0, result.output
    report = DecayReport.model_validate(json.loads(result.stdout))
    assert [state.name for state in report.states] == ["ssm.0", "ssm.1"]


def test_a_checkpoint_that_is_not_there_is_told_in_a_sentence(tmp_path: Path) -> None:
    result = CliRunner().invoke(precision_app, ["losses", str(tmp_path / "none.safetensors")])
    assert result.exit_code != 0
    assert "none.safetensors" in str(result.exception)
