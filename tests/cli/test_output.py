from __future__ import annotations

import pytest

from edgebci.cli.output import progress_bar


def test_a_log_shows_each_stage_once(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("run") as progress:
        for fraction, note in ((0.0, "teacher: epoch 1"), (0.1, "teacher: epoch 2"), (0.5, "student: epoch 1")):
            progress(fraction, note)
    shown = capsys.readouterr()
    assert shown.err.splitlines() == ["run   0% teacher", "run  50% student"]
    assert shown.out == ""


def test_a_counting_note_is_shown_once(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("convert") as progress:
        progress(0.1, "10.5 s of LFP")
        progress(0.2, "20 s of LFP")
    assert capsys.readouterr().err.splitlines() == ["convert  10% 10.5 s of LFP"]
