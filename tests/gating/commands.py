"""The gate's commands in a folder of one's own, as a user gives them."""

from __future__ import annotations

import io
import shutil
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from edgebci import comparison
from edgebci.cli.main import main
from tests.exporting import few_steps

# Every activation is cut off at the 60th percentile of what it takes: a scale that is far too small.
DAMAGE = '[quantization]\nobserver = "percentile"\npercentile = 60.0\n'


@dataclass(frozen=True)
class Answer:
    """Of a command: exit code and all that it printed."""

    code: int
    out: str


def given(folder: Path, *arguments: str) -> Answer:
    """What a command answers in that folder."""
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as stop:
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["edgebci", *arguments])
        patch.setenv("COLUMNS", "200")
        with redirect_stdout(printed), redirect_stderr(printed):
            main()
    return Answer(int(stop.value.code or 0), printed.getvalue())


def accepted(folder: Path, pipeline: str, toml: str) -> Path:
    """The folder, with a finished run that is the baseline, and beside it the same pipeline with wrong scales."""
    (folder / f"{pipeline}.toml").write_text(toml)
    (folder / "damaged.toml").write_text(toml.replace("[student]", f"{DAMAGE}[student]"))
    with pytest.MonkeyPatch.context() as patch, few_steps():
        patch.setattr(comparison, "REPLICATES", 200)
        # Without the bundle, times are not gated: a test may not depend on how busy the machine is.
        accept = ("gate", "accept", "--pipeline", f"{pipeline}.toml", "--why", "a start", "--no-bundle")
        answer = given(folder, *accept)
    assert answer.code == 0, answer.out
    return folder


def gate_of_damaged(place: Path) -> Answer:
    """What the gate says of wrong scales; its reports are in `reports`."""
    # A folder of its own: a process that has loaded a host twin does not load what replaced it under the same path.
    shutil.copytree(place / "runs", place / "other")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparison, "REPLICATES", 200)
        return given(place, "gate", "--pipeline", "damaged.toml", "--out", "other", "--reports", "reports")
