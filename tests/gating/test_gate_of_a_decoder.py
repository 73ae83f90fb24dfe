"""A regression decoder from recording to gate, with the commands that a user gives: a damaged one fails on R2."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgebci.reporting import load_report
from tests.gating.commands import accepted, gate_of_damaged, given


@pytest.fixture(scope="module")
def place(follower_toml: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run that follows the strength of bursts, accepted as the baseline."""
    return accepted(tmp_path_factory.mktemp("follower"), "follower", follower_toml)


@pytest.mark.usefixtures("few_evaluator_steps", "blank_page")
def test_a_decoder_with_wrong_scales_fails_the_gate_on_r2_and_the_gate_says_why(place: Path) -> None:
    before = load_report(place / "runs" / "follower")
    assert before.forms[-1].main.value > 0.3, "a decoder that finds nothing has nothing to lose"
    same = given(place, "gate", "--pipeline", "follower.toml", "--as-built", "--reports", "same")
    assert same.code == 0, same.out
    answer = gate_of_damaged(place)
    assert answer.code == 1, answer.out
    result = json.loads((place / "reports" / "gate.json").read_text())
    assert result["notes"][0] == "weights are those of the baseline"
    failed = {check["name"]: check for check in result["checks"] if check["outcome"] == "fail"}
    device = failed["device (host twin), strength"]
    assert device["accuracy"]["metric"] == "R²"
    assert device["accuracy"]["loss"] > 0.02
    assert "R², at most" in device["sentence"]
    assert "margin 0.01: worse (p = " in device["sentence"]
    assert "ONNX int8, strength" in failed
    assert "ONNX float, strength" not in failed, "the float graph holds no scale, and tells where to look"
    assert "FAIL: " in answer.out
