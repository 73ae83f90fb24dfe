"""edgebci report writes one page of one run, or of two."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgebci.cli.main import app
from edgebci.errors import InputError
from edgebci.files import write_text
from edgebci.reporting import Report


@pytest.fixture
def run(report: Report, tmp_path: Path) -> Path:
    write_text(tmp_path / "run" / "report.json", report.model_dump_json())
    return tmp_path / "run"


def test_one_run_is_drawn_beside_its_report_and_two_where_asked(run: Path, tmp_path: Path) -> None:
    assert CliRunner().invoke(app, ["report", str(run)]).exit_code == 0
    assert 'id="decision"' in (run / "report.html").read_text()
    page = tmp_path / "two.html"
    assert CliRunner().invoke(app, ["report", str(run), str(run / "report.json"), "--out", str(page)]).exit_code == 0
    assert "Is the second run" in page.read_text()


def test_a_report_of_another_schema_is_refused_and_nothing_is_written(run: Path) -> None:
    file = run / "report.json"
    file.write_text(file.read_text().replace("edgebci.report/1", "edgebci.report/0"))
    refused = CliRunner().invoke(app, ["report", str(run)])
    assert isinstance(refused.exception, InputError)
    assert "edgebci.report/1" in str(refused.exception)
    assert not (run / "report.html").exists()
