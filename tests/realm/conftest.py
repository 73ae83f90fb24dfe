"""Small sessions and sizes with which REALM trains in seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgebci.decoding_data import DecodingData
from edgebci.session import Session
from edgebci.training.realm.distill import distill
from edgebci.training.realm.pretrain import pretrain
from edgebci.training.realm.recipe import (
    DistillationRecipe,
    FineTuningRecipe,
    LabelFreeRecipe,
    PretrainingRecipe,
    RealmRecipe,
)
from edgebci.training.realm.spec import EncoderSpec
from edgebci.training.recipe import Optimiser

FAST = Optimiser(
    learning_rate=5e-3,
    warm_up_epochs=1,
    average_decay=0.0,
    epochs=4,
    batch_windows=4,
    window_frames=64,
    save_every_epochs=1,
)
SMALL = EncoderSpec(
    n_channels=6, channel_features=2, attention_taps=3, d_model=16, n_layers=2, expand=1, headdim=8, d_state=4
)


def make_session(name: str, seed: int) -> Session:
    """Two slow latents seen by six noisy channels through one mixture for all sessions; targets are the latents."""
    rng, mixture = np.random.default_rng(seed), np.random.default_rng(99).standard_normal((2, 6))
    latents = np.zeros((1200, 2))
    for t in range(1, 1200):
        latents[t] = 0.95 * latents[t - 1] + 0.31 * rng.standard_normal(2)
    frames = latents @ mixture + 0.3 * rng.standard_normal((1200, 6))
    data = DecodingData(
        frames=frames.astype(np.float32),
        targets=(20 + 5 * latents).astype(np.float32),
        valid=np.arange(1200) >= 10,
        times_s=np.arange(1200) / 100.0,
        train=((0, 700),),
        validation=((720, 920),),
        test=((940, 1200),),
        target_names=("vx", "vy"),
        target_unit="cm/s",
    )
    return Session(name, "subject", data)


@pytest.fixture(scope="session")
def recipe() -> RealmRecipe:
    return RealmRecipe(
        schema="edgebci.realm/1",
        threads=1,
        teacher=SMALL.model_copy(update={"both_ways": True}),
        student=SMALL,
        pretraining=PretrainingRecipe(mask_block_frames=(4, 10), predictor_hidden=32, optimiser=FAST),
        distillation=DistillationRecipe(optimiser=FAST, validation_sessions=0.0),
        label_free=LabelFreeRecipe(lags=4),
        fine_tuning=FineTuningRecipe(optimiser=FAST.model_copy(update={"epochs": 16, "learning_rate": 1e-2})),
    )


@pytest.fixture(scope="session")
def brief(recipe: RealmRecipe) -> RealmRecipe:
    """The recipe with few epochs of fine-tuning, for what does not depend on how well it decodes."""
    return recipe.model_copy(update={"fine_tuning": recipe.fine_tuning.model_copy(update={"optimiser": FAST})})


@pytest.fixture(scope="session")
def sessions() -> list[Session]:
    return [make_session(f"session {i}", i) for i in range(3)]


@pytest.fixture(scope="session")
def teacher(sessions: list[Session], recipe: RealmRecipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("realm teacher") / "teacher.safetensors"
    pretrain(sessions, recipe, path)
    return path


@pytest.fixture(scope="session")
def student(
    sessions: list[Session], teacher: Path, recipe: RealmRecipe, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    path = tmp_path_factory.mktemp("realm student") / "student.safetensors"
    distill(sessions, teacher, recipe, path)
    return path
