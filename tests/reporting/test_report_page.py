from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from edgebci.documents import load_json
from edgebci.errors import InputError
from edgebci.files import write_text
from edgebci.reporting import Report
from edgebci.reporting.page import render
from edgebci.reporting.sections import TransportSection
from edgebci.reporting.sentences import bit_exact_line, decision


@pytest.fixture(scope="module")
def page(report: Report, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "report.html"
    render(report, path)
    return path.read_text()


def test_the_page_needs_no_network(page: str) -> None:
    # Name spaces of SVG are names, not addresses that a browser fetches.
    addresses = re.findall(r"(?:src|href)\s*=\s*[\"'](?!#)([^\"']*)", page) + re.findall(r"url\((?!#)([^)]*)", page)
    assert addresses == []
    assert "<script" not in page


def test_the_page_shows_every_picture_and_every_implant(page: str, report: Report) -> None:
    # Nine of the run, and limits, tornado, timeline and transport latency of each implant.
    assert page.count("<svg") == 9 + 4 * len(report.implants)
    assert page.count("assumed inputs") == len(report.implants)
    assert "modelled" in page


def test_the_decision_comes_before_everything_else(page: str) -> None:
    parts = ["decision", "accuracy", "quantization", "latency", "power", "provenance"]
    places = [page.index(f'<h2 id="{part}"') for part in parts]
    assert places == sorted(places)
    assert all(f'href="#{part}"' in page for part in parts)


def test_a_report_of_an_older_run_says_what_it_lacks(report: Report, tmp_path: Path) -> None:
    older = report.model_dump(mode="json", exclude={"pictures", "quantization", "versions", "hashes"})
    del older["firmware"]["step_cycles"]
    for implant in older["implants"]:
        for part in ("memory", "tornado", "timeline", "transport"):
            del implant[part]
    write_text(tmp_path / "old.json", json.dumps(older))
    render(load_json(tmp_path / "old.json", Report), tmp_path / "old.html")
    page = (tmp_path / "old.html").read_text()
    assert page.count("older run") == 3
    assert page.count("<svg") == 3 + len(report.implants)


def test_every_figure_of_a_chip_or_of_tissue_is_marked_as_modelled(page: str) -> None:
    for part in ("latency", "power"):
        heading = page[page.index(f'<h2 id="{part}"') :]
        assert "modelled" in heading[: heading.index("</h2>")]


def test_the_moment_of_an_output_and_what_was_lost_are_said(page: str, report: Report) -> None:
    assert page.count(">6.0 ms<") == len(report.implants)
    assert page.count("3 outputs in 60 s: half arrive within 6.5 ms") == len(report.implants)
    assert page.count("; 1 lost.") == len(report.implants)


def test_an_implant_whose_outputs_never_arrive_says_so(report: Report, tmp_path: Path) -> None:
    silent = TransportSection.of(np.zeros(0), n_lost=9, seconds=60, budget_ms=100)
    implants = (report.implants[0].model_copy(update={"transport": silent, "tornado": ()}),)
    short = {"implants": implants, "pictures": None, "quantization": None}
    render(report.model_copy(update=short), tmp_path / "silent.html")
    assert (tmp_path / "silent.html").read_text().count("No output arrived in 60 s.") == 1


def test_hashes_versions_and_assumed_numbers_stand_under_provenance(page: str, report: Report) -> None:
    below = page[page.index('<h2 id="provenance"') :]
    assert all(digest in below for digest in report.hashes.values())
    assert "numpy 2.0" in below
    assert below.count("sleep current") == len(report.implants)


def test_text_from_the_configuration_is_escaped(page: str) -> None:
    assert "<b>&</b>" not in page
    assert "example &lt;b&gt;" in page


def test_tags_are_balanced(page: str) -> None:
    class Balance(HTMLParser):
        void = frozenset({"meta", "br", "path", "use", "img", "rect"})

        def __init__(self) -> None:
            super().__init__()
            self.open: list[str] = []

        def handle_starttag(self, tag: str, attrs: object) -> None:
            if tag not in self.void:
                self.open.append(tag)

        def handle_endtag(self, tag: str) -> None:
            if tag not in self.void:
                assert self.open.pop() == tag

    parser = Balance()
    parser.feed(re.sub(r"<[^>]*/>", "", page))
    assert parser.open == []


def test_the_same_report_gives_the_same_bytes(report: Report, tmp_path: Path, page: str) -> None:
    render(report, tmp_path / "again.html")
    assert (tmp_path / "again.html").read_text() == page


def test_pictures_follow_the_colours_of_the_page(page: str) -> None:
    assert "currentColor" in page
    assert "prefers-color-scheme: dark" in page


def test_the_json_document_is_read_back_equal(report: Report, tmp_path: Path) -> None:
    write_text(tmp_path / "report.json", report.model_dump_json())
    assert load_json(tmp_path / "report.json", Report) == report


def test_a_report_of_another_version_is_refused(report: Report, tmp_path: Path) -> None:
    write_text(tmp_path / "r.json", report.model_dump_json().replace("edgebci.report/1", "edgebci.report/9"))
    with pytest.raises(InputError, match=r"edgebci\.report/1"):
        load_json(tmp_path / "r.json", Report)


def test_a_difference_is_never_called_bit_exact(report: Report) -> None:
    broken = report.bit_exactness.model_copy(update={"host_equals_target": False, "first_difference": "frame 3"})
    assert "NOT bit-exact: frame 3" in bit_exact_line(report.model_copy(update={"bit_exactness": broken}))


def test_the_decision_names_accuracy_verdict_exactness_cost_and_each_implant(report: Report) -> None:
    sentences = decision(report)
    assert len(sentences) == 4 + len(report.implants)
    assert str(report.baseline.student_against_ridge.verdict) in sentences[1]
    assert "meets its deadline" in sentences[4]
