"""Two slow latents that several noisy features see; the target is the latents, or the time in which one is high."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgebci import comparison
from edgebci.decoding_data import DecodingData
from edgebci.training.recipe import Optimiser, RidgeRecipe, StudentRecipe, TrainingRecipe
from tests.small_pipeline import SIZES, training

RATE_HZ = 50.0


def make_data(n_frames: int = 2400, n_features: int = 8, seed: int = 0) -> DecodingData:
    rng = np.random.default_rng(seed)
    latents = np.zeros((n_frames, 2))
    for t in range(1, n_frames):
        latents[t] = 0.95 * latents[t - 1] + 0.31 * rng.standard_normal(2)
    frames = latents @ rng.standard_normal((2, n_features)) + rng.standard_normal((n_frames, n_features))
    resets = np.zeros(n_frames, dtype=bool)
    resets[n_frames // 5] = True
    cut = [int(n_frames * share) for share in (0.55, 0.6, 0.72, 0.75)]
    return DecodingData(
        frames=frames.astype(np.float32),
        targets=(20 + 5 * latents).astype(np.float32),
        valid=np.arange(n_frames) >= 10,
        times_s=np.arange(n_frames) / RATE_HZ,
        train=((0, cut[0]),),
        validation=((cut[1], cut[2]),),
        test=((cut[3], n_frames),),
        target_names=("x", "y"),
        target_unit="cm/s",
        reset_before=resets,
    )


@pytest.fixture(scope="session")
def following() -> DecodingData:
    return make_data()


@pytest.fixture(scope="session")
def detecting(following: DecodingData) -> DecodingData:
    high = (following.targets[:, :1] > 25).astype(np.float32)
    return replace(following, targets=high, target_names=("high",), target_unit="log odds", task="detection")


@pytest.fixture(scope="session")
def quick_recipe() -> TrainingRecipe:
    optimiser = Optimiser(
        learning_rate=1e-2, epochs=8, batch_windows=4, window_frames=64, save_every_epochs=2, warm_up_epochs=1
    )
    return TrainingRecipe(
        threads=1,
        student=StudentRecipe(burn_in_s=0.2, alignment_weight=0.0, optimiser=optimiser),
        ridge=RidgeRecipe(lags=4, lag_s=0.04, gap_s=0.5),
    )


SMALL = """
schema = "edgebci.evaluation/1"
name = "small"
[recording]
target = "{target}"
task = "{task}"
[recording.synthetic]
seed = 9400
duration_s = 120
n_channels = 8
rate_hz = 500
population = {{ grid_mm = 0.4 }}
beta = {{ burst_rate_hz = 0.4, burst_s = [0.3, 0.8] }}
[split]
train = 0.5
validation = 0.2
test = 0.3
[features]
rate_hz = 500
frame_rate_hz = 25
bands = [{{ low_hz = 12, high_hz = 30, order = 1 }}, {{ low_hz = 70, high_hz = 200, order = 1 }}]
startup_s = 0.5
[baselines]
transformer = {{ context_s = 0.4, n_heads = 2 }}
[student]
seeds = [1, 2]
"""
LEARNING = SIZES + training(teacher_epochs=2, student_epochs=2)


@pytest.fixture(scope="session")
def following_toml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("evaluation") / "following.toml"
    path.write_text(SMALL.format(target="velocity", task="regression") + LEARNING)
    return path


@pytest.fixture(scope="session")
def detecting_toml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("evaluation") / "detecting.toml"
    path.write_text(SMALL.format(target="beta_bursts", task="detection") + LEARNING)
    return path


@pytest.fixture(autouse=True)
def few_replicates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "REPLICATES", 300)
