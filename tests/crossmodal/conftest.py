"""Sessions whose spikes and LFP share slow latents, and sizes with which everything trains in seconds."""

from __future__ import annotations

import numpy as np
import pytest

from edgebci.decoding_data import DecodingData
from edgebci.session import Session, SpikeEvents
from edgebci.training.crossmodal.recipe import CausalBody, CrossModalRecipe, StudentRecipe, TeacherRecipe
from edgebci.training.crossmodal.spec import EncoderSpec, TokenSpec, TransformerSpec
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


def make_session(name: str, seed: int, n_channels: int = 6, n_units: int = 10) -> Session:
    """Two slow latents: spikes follow both at 0.3 per frame; LFP holds them weakly under noise of its own."""
    rng, mixing = np.random.default_rng(seed), np.random.default_rng(5)
    latents = np.zeros((FRAMES, 2))
    for t in range(1, FRAMES):
        latents[t] = 0.95 * latents[t - 1] + 0.31 * rng.standard_normal(2)
    frames = latents @ mixing.standard_normal((2, n_channels)) + 1.0 * rng.standard_normal((FRAMES, n_channels))
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
    return [make_session("first", 1), make_session("second.b", 2, n_units=6)]
