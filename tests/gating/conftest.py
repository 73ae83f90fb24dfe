"""Decoders that take seconds: bursts of noise in two channels, pipelines that find them or follow their strength."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.signal import butter, lfilter, sosfilt

from edgebci.recordings import RecordingWriter
from tests.small_pipeline import IMPLANT, SIZES, training

RATE_HZ, SECONDS = 100.0, 300
PIPELINE = """
schema = "edgebci.pipeline/1"
name = "{name}"
[recording]
path = "{recording}"
target = "{target}"
task = "{task}"
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
def bursts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of bursts as intervals, and of their strength as a behaviour."""
    path = tmp_path_factory.mktemp("bursts") / "bursts.h5"
    _write(path)
    return path


@pytest.fixture(scope="session")
def detector_toml(bursts: Path) -> str:
    """The text of a pipeline that finds bursts."""
    return PIPELINE.format(name="detector", recording=bursts, target="bursts", task="detection") + LEARNING


@pytest.fixture(scope="session")
def follower_toml(bursts: Path) -> str:
    """The text of a pipeline that follows their strength."""
    return PIPELINE.format(name="follower", recording=bursts, target="strength", task="regression") + LEARNING


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
        writer.set_behavior("strength", lfilter([0.05], [1, -0.95], inside.astype(float)), unit="1", rate_hz=RATE_HZ)
