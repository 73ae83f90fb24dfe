"""A run small enough for a test: ten channels, a minute, a tiny decoder."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgebci.pipeline.configuration import PipelineConfig, load_pipeline
from tests.small_pipeline import IMPLANT, SIZES, training

SMALL = """
schema = "edgebci.pipeline/1"
name = "small"
[recording]
target = "velocity"
[recording.synthetic]
seed = 9100
duration_s = 60
n_channels = 10
rate_hz = 500
population = { grid_mm = 0.4 }
[split]
train = 0.5
validation = 0.25
test = 0.25
[features]
rate_hz = 500
frame_rate_hz = 25
bands = [{ low_hz = 8, high_hz = 30, order = 1 }, { low_hz = 70, high_hz = 200, order = 1 }]
startup_s = 0.5
[student]
seeds = [1]
"""
TOML = SMALL + SIZES + training(teacher_epochs=2, student_epochs=3) + IMPLANT


@pytest.fixture(autouse=True)
def _quick(few_evaluator_steps: None, blank_page: None) -> None:
    """Runs of tests; the one that tests share takes as many steps as everyone's, and its page is drawn."""


@pytest.fixture(scope="session")
def small_toml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pipeline") / "small.toml"
    path.write_text(TOML)
    return path


@pytest.fixture(scope="session")
def small_config(small_toml: Path) -> PipelineConfig:
    return load_pipeline(small_toml)
