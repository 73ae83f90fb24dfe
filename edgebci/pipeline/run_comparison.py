"""Two finished runs side by side: `edgebci report A B`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edgebci.comparison import Comparison
from edgebci.errors import InputError
from edgebci.metrics import F64
from edgebci.pipeline.device import load_device
from edgebci.pipeline.preparation import load_prepared
from edgebci.pipeline.scoring import TestPart
from edgebci.reporting.loading import load_report
from edgebci.reporting.schema import Report


@dataclass(frozen=True)
class RunPair:
    """Two reports, and the paired difference in R² or AUROC (second minus first), or why there is none."""

    first: Report
    second: Report
    paired: Comparison | None
    not_paired: str


def compare_runs(first: Path, second: Path) -> RunPair:
    """Read both runs and, where both decoded the same test frames, compare them frame by frame.

    Raises:
        InputError: one of them is no finished run of a version that is read here.
    """
    reports = load_report(first), load_report(second)
    reason = _differ(*reports)
    if reason:
        return RunPair(*reports, None, reason)
    margin = float(reports[0].baseline.device_against_torch.margin)
    try:
        both, ours, theirs = _decoded(first, second)
    except InputError as error:
        return RunPair(*reports, None, f"what they decoded is not at hand ({error})")
    return RunPair(*reports, both.compared([theirs], [ours], margin, seed=0), "")


def _differ(first: Report, second: Report) -> str:
    """Why the test frames of both are not the same; empty where they are."""
    a, b = first.data, second.data
    if a.sha256 != b.sha256:
        return "they decode different recordings"
    if (a.target, a.axes, a.frame_rate_hz) != (b.target, b.axes, b.frame_rate_hz):
        return "they decode different targets"
    if (a.split.test_s, a.n_test_frames) != (b.split.test_s, b.n_test_frames):
        return "their test parts are not the same time"
    return ""


def _decoded(first: Path, second: Path) -> tuple[TestPart, F64, F64]:
    """The test part with the frames that count in both, and what both device programs decoded (T, D)."""
    parts, outputs = [], []
    for run in (first, second):
        folder = run if run.is_dir() else run.parent
        prepared = load_prepared(folder / "features")
        parts.append(TestPart.of(prepared.data, prepared.usable))
        outputs.append(load_device(folder / "device").outputs.astype(np.float64))
    return replace(parts[0], scored=parts[0].scored & parts[1].scored), outputs[0], outputs[1]
