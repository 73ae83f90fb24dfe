"""A detector from recording to gate, with the commands that a user gives: the same passes, a damaged one fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgebci.bundle import open_bundle
from edgebci.detection_score import DetectionScore
from edgebci.pipeline.run_comparison import compare_runs
from edgebci.reporting import load_report
from tests.gating.commands import accepted, gate_of_damaged, given


@pytest.fixture(scope="module")
def place(detector_toml: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run of the detector, accepted as the baseline."""
    return accepted(tmp_path_factory.mktemp("detector"), "detector", detector_toml)


def test_a_run_scores_every_form_of_a_detector_by_auroc_delay_and_false_alarms(place: Path) -> None:
    report = load_report(place / "runs" / "detector")
    assert (report.task, report.metric, report.baseline.name) == ("detection", "AUROC", "logistic")
    scores = [form.detection for form in report.forms]
    assert len(scores) == 4
    for score in scores:
        assert score is not None
        assert 0.6 < score.auroc.low < score.auroc.value < 1  # bursts are three times as large as what is between
        assert score.thresholds == scores[0].thresholds  # type: ignore[union-attr] # a device has torch's
        assert score.n_events > 40
        assert score.false_alarms_per_hour.value > 0
    assert report.bit_exactness.host_equals_target
    assert report.quantization is not None
    assert report.quantization.metric == "AUROC"
    # The quantized form of that section is the reference that the device equals bit for bit.
    assert report.quantization.r2_quantized == pytest.approx(report.forms[-1].main.value, abs=1e-12)
    accuracy = open_bundle(place / "runs" / "detector" / "export" / "bundle").manifest.accuracy
    assert [one.auroc for one in accuracy] == [form.main.value for form in report.forms]


def test_the_page_of_a_detector_shows_what_it_finds_and_no_r2(place: Path) -> None:
    page = (place / "runs" / "detector" / "report.html").read_text()
    assert "detects bursts with AUROC" in page
    assert "Found against false, at every threshold" in page
    assert "false alarms/h" in page
    assert "R²" not in page.split("<h3>The same decoder everywhere</h3>")[0]  # there an agreement is told in it


def test_two_runs_of_a_detector_are_compared_by_auroc(place: Path) -> None:
    run = place / "runs" / "detector"
    pair = compare_runs(run, run)
    assert pair.paired is not None
    assert pair.paired.difference.value == 0.0
    assert isinstance(pair.first.baseline.score, DetectionScore)


def test_the_same_detector_passes_the_gate_on_auroc(place: Path) -> None:
    same = given(place, "gate", "--pipeline", "detector.toml", "--as-built", "--reports", "same")
    assert same.code == 0, same.out
    result = json.loads((place / "same" / "gate.json").read_text())
    checks = [check for check in result["checks"] if check["group"] == "accuracy"]
    assert [check["name"] for check in checks] == [
        "ONNX float, bursts", "ONNX int8, bursts", "device (host twin), bursts",
    ]  # fmt: skip
    assert {(check["accuracy"]["metric"], check["accuracy"]["margin"]) for check in checks} == {("AUROC", 0.01)}


@pytest.mark.usefixtures("few_evaluator_steps", "blank_page")
def test_a_detector_with_wrong_scales_fails_the_gate_on_auroc_and_the_gate_says_why(place: Path) -> None:
    answer = gate_of_damaged(place)
    assert answer.code == 1, answer.out
    result = json.loads((place / "reports" / "gate.json").read_text())
    assert result["notes"][0] == "weights are those of the baseline"
    failed = {check["name"]: check for check in result["checks"] if check["outcome"] == "fail"}
    # The float graph holds no scale: it passes, and tells where to look.
    assert {"ONNX int8, bursts", "device (host twin), bursts"} <= failed.keys()
    assert "ONNX float, bursts" not in failed
    device = failed["device (host twin), bursts"]
    assert device["accuracy"]["loss"] > 0.02
    assert device["sentence"].startswith("loss +0.")
    assert "AUROC, at most" in device["sentence"]
    assert "margin 0.01: worse (p = " in device["sentence"]
    assert "FAIL: " in answer.out
    assert "device (host twin), bursts" in answer.out


def test_the_self_test_refuses_a_detector_whose_losses_it_cannot_simulate(place: Path) -> None:
    answer = given(place, "gate", "--pipeline", "detector.toml", "--as-built", "--self-test")
    assert answer.code == 2
    assert "give it a regression" in answer.out
