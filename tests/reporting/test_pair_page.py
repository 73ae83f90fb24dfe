"""Two runs side by side: what changed, by how much, and whether the data can tell."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edgebci.errors import InputError
from edgebci.files import write_text
from edgebci.pipeline.run_comparison import compare_runs
from edgebci.reporting import Report, load_report
from edgebci.reporting.figures import cycles_svg
from edgebci.reporting.pair_page import pair_page, rows


@pytest.fixture(scope="module")
def smaller(report: Report) -> Report:
    firmware = report.firmware.model_copy(update={"flash_bytes": 80_000, "instructions_per_step": 4e5})
    return report.model_copy(update={"name": "smaller", "firmware": firmware})


def test_counts_say_by_how_much_they_differ(report: Report, smaller: Report) -> None:
    found = {row.name: row for row in rows(report, smaller)}
    assert found["flash (bytes)"].change == "-20,000 (-20.0%)"
    assert found["instructions per step (counted)"].change == "-100,000 (-20.0%)"
    assert found["RAM (bytes)"].change == "+0 (+0.0%)"
    assert {"R² x, device program", "R² y, device program"} <= found.keys()


def test_the_page_holds_both_and_needs_no_network(report: Report, smaller: Report) -> None:
    page = pair_page(report, smaller, report.baseline.device_against_torch, "")
    assert page.count("<svg") == 2 * 4
    assert "first: example &lt;b&gt;" in page
    assert "second: smaller" in page
    assert "http" not in page.replace("http://www.w3.org", "").replace("http://purl.org", "").replace(
        "http://creativecommons.org", ""
    ).replace("https://matplotlib.org", "")


def test_pictures_side_by_side_have_one_scale(report: Report) -> None:
    small = report.firmware
    slower = [f.model_copy(update={"cycles_per_step": 10 * f.cycles_per_step}) for f in small.functions]
    large = small.model_copy(update={"functions": tuple(slower)})
    assert ticks(cycles_svg(small)) != ticks(cycles_svg(large))
    assert ticks(cycles_svg(small, large)) == ticks(cycles_svg(large, small)) == ticks(cycles_svg(large))


def ticks(svg: str) -> list[str]:
    """The numbers along the axis."""
    found = re.findall(r">([\d.]+)</text>", svg)
    assert len(found) > 2
    return found


def test_without_the_same_test_frames_nothing_is_concluded(report: Report, smaller: Report) -> None:
    page = pair_page(report, smaller, None, "they decode different recordings")
    assert "? cannot tell" in page
    assert "they decode different recordings" in page


def test_runs_of_different_recordings_or_without_their_stages_are_not_paired(report: Report, tmp_path: Path) -> None:
    data = report.data.model_copy(update={"sha256": "1" * 64})
    for name, changed in (("a", report), ("b", report.model_copy(update={"data": data})), ("c", report)):
        write_text(tmp_path / name / "report.json", changed.model_dump_json())
    assert "different recordings" in compare_runs(tmp_path / "a", tmp_path / "b").not_paired
    alone = compare_runs(tmp_path / "a", tmp_path / "c")
    assert alone.paired is None
    assert "not at hand" in alone.not_paired


def test_a_folder_without_a_report_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no report\.json"):
        load_report(tmp_path)
