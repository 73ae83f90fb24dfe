"""A detector that takes seconds: bursts of noise in two channels, and a pipeline that finds them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.signal import butter, sosfilt

from edgebci.recordings import RecordingWriter
from tests.small_pipeline import IMPLANT, SIZES, training

RATE_HZ, SECONDS = 100.0, 300
DETECTOR = """
schema = "edgebci.pipeline/1"
name = "detector"
[recording]
path = "{recording}"
target = "bursts"
task = "detection"
[split]
train = 0.3
validation = 0.1
test = 0.6
[features]
rate_hz = 100
frame_rate_hz = 10
power_tau_s = 0.1
bands = [{{ low_hz = 14, high_hz = 30, order = 1 }}]
startup_s = 0.5
[student]
"""
LEARNING = SIZES + training(teacher_epochs=1, student_epochs=8, student_learning_rate=2e-2, ridge_lags=2) + IMPLANT


@pytest.fixture(scope="session")
def detector_toml(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The text of the pipeline, its recording written."""
    path = tmp_path_factory.mktemp("bursts") / "bursts.h5"
    _write(path)
    return DETECTOR.format(recording=path) + LEARNING


def _write(path: Path) -> None:
    random = np.random.default_rng(0)
    n = int(RATE_HZ * SECONDS)
    beta = sosfilt(butter(2, (15, 28), "bandpass", fs=RATE_HZ, output="sos"), random.standard_normal((n, 2)), axis=0)
    starts = np.arange(2.0, SECONDS - 2, 2.5) + random.uniform(0, 1, len(np.arange(2.0, SECONDS - 2, 2.5)))
    bursts = np.stack([starts, starts + random.uniform(0.3, 0.8, len(starts))], axis=1)
    times_s = np.arange(n) / RATE_HZ
    inside = np.searchsorted(bursts.ravel(), times_s) % 2 == 1
    lfp_uv = 20 * random.standard_normal((n, 2)) + np.where(inside, 60.0, 20.0)[:, None] * beta
    with RecordingWriter(path, subject_id="s", session_id="1", lfp_rate_hz=RATE_HZ, channel_names=("a", "b")) as writer:
        writer.append_lfp(lfp_uv)
        writer.set_intervals("bursts", bursts)
