"""A run small enough for a test: 16 channels, 100 s, a tiny decoder."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgebci.pipeline.configuration import PipelineConfig, load_pipeline

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
d_model = 8
n_layers = 1
d_state = 4
headdim = 8
seeds = [1]
[training]
threads = 1
[training.teacher]
d_model = 8
n_layers = 1
d_state = 4
headdim = 8
optimiser = { learning_rate = 2e-3, epochs = 2, window_frames = 64, save_every_epochs = 1 }
[training.student]
burn_in_s = 0.5
optimiser = { learning_rate = 2e-3, epochs = 3, window_frames = 64, save_every_epochs = 1 }
[training.ridge]
lags = 4
folds = 2
gap_s = 1.0
[[implants]]
implant = "utah96-lfp"
compute = "stm32l4r5"
radio = "ble-2m"
"""


@pytest.fixture(autouse=True)
def _quick(few_evaluator_steps: None) -> None:
    """Runs of tests; the one that tests share takes as many steps as everyone's."""


@pytest.fixture(scope="session")
def small_toml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pipeline") / "small.toml"
    path.write_text(SMALL)
    return path


@pytest.fixture(scope="session")
def small_config(small_toml: Path) -> PipelineConfig:
    return load_pipeline(small_toml)
