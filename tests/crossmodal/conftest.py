"""Sessions whose spikes and LFP share slow latents, and sizes with which everything trains in seconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgebci.decoding_data import DecodingData
from edgebci.session import Session, SpikeEvents
from edgebci.training.crossmodal.recipe import CausalBody, CrossModalRecipe, StudentRecipe, TeacherRecipe
from edgebci.training.crossmodal.spec import EncoderSpec, TokenSpec, TransformerSpec
from edgebci.training.crossmodal.spike_teacher import pretrain
from edgebci.training.crossmodal.student import distill
from edgebci.training.recipe import Optimiser

FRAMES = 1600
TINY = TransformerSpec(d_model=16, n_layers=1, n_heads=2, mlp_ratio=2, dropout=0.0)
FAST = Optimiser(
    learning_rate=1e-2,
    warm_up_epochs=1,
    average_decay=0.0,
    epochs=12,
    batch_windows=4,
    window_frames=50,
    save_every_epochs=100,
)


def new_session(name: str, seed: int, n_channels: int = 6, n_units: int = 10, distractors: int = 0) -> Session:
    """Two slow latents: spikes follow both at 0.3 per frame; LFP holds them under noise of its own, and under slow
    distractors of twice their size that no spike follows."""
    rng, mixing = np.random.default_rng(seed), np.random.default_rng(5)
    everything = np.zeros((FRAMES, 2 + distractors))
    for t in range(1, FRAMES):
        everything[t] = 0.95 * everything[t - 1] + 0.31 * rng.standard_normal(2 + distractors)
    latents, size = everything[:, :2], np.r_[1.0, 1.0, np.full(distractors, 2.0)]
    frames = (everything * size) @ mixing.standard_normal((2 + distractors, n_channels))
    frames += 1.0 * rng.standard_normal((FRAMES, n_channels))
    counts = rng.poisson(np.exp(latents @ mixing.standard_normal((2, n_units)) * 0.7 - 1.2))
    times_s = (np.arange(FRAMES) + 1) / 100.0
    frame, unit = np.repeat(np.indices(counts.shape).reshape(2, -1), counts.ravel(), axis=1)
    data = DecodingData(
        frames=frames.astype(np.float32),
        targets=(20 + 5 * latents).astype(np.float32),
        valid=np.arange(FRAMES) >= 10,
        times_s=times_s,
        train=((0, 1000),),
        validation=((1010, 1250),),
        test=((1260, FRAMES),),
        target_names=("vx", "vy"),
        target_unit="cm/s",
    )
    return Session(name, "subject", data, SpikeEvents(times_s[frame] - 0.005, unit.astype(np.int64), n_units))


@pytest.fixture(scope="session")
def recipe() -> CrossModalRecipe:
    return CrossModalRecipe(
        schema="edgebci.crossmodal/1",
        threads=1,
        teacher=TeacherRecipe(
            encoder=EncoderSpec(tokens=TokenSpec(kind="spikes", patch=8), transformer=TINY),
            predictor=TINY,
            rate_width=8,
            optimiser=FAST,
            fine_tuning=FAST.model_copy(update={"epochs": 2}),
        ),
        student=StudentRecipe(
            body=CausalBody(d_model=16, n_layers=1, d_state=4, headdim=8, dropout=0.0),
            burn_in_frames=10,
            optimiser=FAST,
        ),
    )


@pytest.fixture(scope="session")
def sessions() -> list[Session]:
    return [new_session("first", 1), new_session("second.b", 2, n_units=6)]


@pytest.fixture(scope="session")
def make_session() -> Callable[..., Session]:
    return new_session


@pytest.fixture(scope="session")
def changed(recipe: CrossModalRecipe) -> Callable[..., CrossModalRecipe]:
    """The recipe with other values of its student."""

    def change(**student: object) -> CrossModalRecipe:
        stage = StudentRecipe.model_validate(recipe.student.model_dump() | student)
        return recipe.model_copy(update={"student": stage})

    return change


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("crossmodal")


@pytest.fixture(scope="session")
def teacher(sessions: list[Session], recipe: CrossModalRecipe, folder: Path) -> Path:
    pretrain(sessions, recipe, folder / "teacher.safetensors")
    return folder / "teacher.safetensors"


@pytest.fixture(scope="session")
def student(sessions: list[Session], recipe: CrossModalRecipe, teacher: Path, folder: Path) -> Path:
    """Distilled on both sessions, without labels."""
    distill(sessions, teacher, recipe, folder / "student.safetensors")
    return folder / "student.safetensors"


@pytest.fixture(scope="session")
def alone(sessions: list[Session], changed: Callable[..., CrossModalRecipe], folder: Path) -> Path:
    """The same student without a teacher."""
    distill(sessions, None, changed(alignment_weight=0.0), folder / "alone.safetensors")
    return folder / "alone.safetensors"


@pytest.fixture(scope="session")
def supervised(sessions: list[Session], changed: Callable[..., CrossModalRecipe], teacher: Path, folder: Path) -> Path:
    """Distilled on the first session alone, with labels."""
    distill(sessions[:1], teacher, changed(task="behaviour"), folder / "supervised.safetensors")
    return folder / "supervised.safetensors"
