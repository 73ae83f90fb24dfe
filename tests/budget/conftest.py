"""What the tests of budgets share: the order of the reference decoder, and its answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgebci.edge_student import lfp_like_counts, load_edge_student
from edgebci.pipeline.budget.answer import budget
from edgebci.pipeline.budget.order import BudgetOrder
from edgebci.pipeline.budget.report import BudgetReport
from edgebci.recordings import RecordingWriter

EDGE_STUDENT = Path(__file__).parents[2] / "examples" / "edge_student.toml"


@pytest.fixture(scope="session")
def order() -> BudgetOrder:
    return BudgetOrder(implant="utah96-lfp", compute="stm32u385", radio="ble-2m", decoder=EDGE_STUDENT)


@pytest.fixture(scope="session")
def answered(order: BudgetOrder) -> BudgetReport:
    return budget(order)


def _recording(path: Path, rate_hz: float, seconds: float = 2.0) -> Path:
    """Noise like LFP of four channels, as a recording."""
    student = load_edge_student(EDGE_STUDENT).model_copy(update={"n_channels": 4})
    counts = lfp_like_counts(student, round(seconds * 50), seed=3)
    names = tuple(f"ch{k}" for k in range(4))
    with RecordingWriter(path, subject_id="s", session_id="1", lfp_rate_hz=rate_hz, channel_names=names) as writer:
        writer.append_lfp((counts * 0.195).astype(np.float32))
    return path


@pytest.fixture(scope="session")
def lfp_recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _recording(tmp_path_factory.mktemp("budget") / "noise.h5", 1000.0)


@pytest.fixture(scope="session")
def slow_recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _recording(tmp_path_factory.mktemp("budget") / "rat.h5", 250.0)
