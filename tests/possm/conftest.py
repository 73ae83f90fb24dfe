"""Sessions of spiking units that follow slow latents, and sizes with which POSSM trains in seconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from edgebci.decoding_data import DecodingData
from edgebci.possm_spec import PossmSpec
from edgebci.session import Session, SpikeEvents
from edgebci.training.possm.learning import train
from edgebci.training.possm.model import INITIAL_SD, Possm, PossmRegularisation
from edgebci.training.possm.recipe import PossmRecipe, Stage
from edgebci.training.possm.vocabulary import vocabulary_of
from edgebci.training.recipe import Optimiser

FRAME_HZ, FRAMES = 50.0, 1500
NONE = PossmRegularisation(feed_forward_dropout=0.0, backbone_dropout=0.0)
SMALL = PossmSpec(dim=8, head_dim=8, hidden=16, d_state=4, headdim=8, max_tokens=40, within_chunk="strict")
SMALL_EDGE = SMALL.model_copy(
    update={
        "feed_forward": "silu",
        "feed_forward_expand": 2,
        "norm": "rms",
        "rotate_values": False,
        "time_step_s": 1e-3,
        "shortest_period_s": 4e-3,
        "longest_period_s": 1.0,
    }
)


@pytest.fixture(autouse=True)
def _quick(few_evaluator_steps: None) -> None:
    """Bundles of tests; that everyone's take more steps is claimed in test_export_command."""


def new_session(name: str, seed: int, n_units: int = 12, names: tuple[str, ...] = ("vx", "vy")) -> Session:
    """Slow latents, one for each target; every unit fires as exp of its own mixture of them, about 14 times a second.

    Units differ between sessions, so that a model must find out what each says.
    """
    rng = np.random.default_rng(seed)
    latents = np.zeros((FRAMES, len(names)))
    for t in range(1, FRAMES):
        latents[t] = 0.97 * latents[t - 1] + 0.24 * rng.standard_normal(len(names))
    rates_hz = 10 * np.exp(0.8 * latents @ rng.standard_normal((len(names), n_units)))
    counts = rng.poisson(rates_hz / FRAME_HZ)
    times_s = 3.0 + (np.arange(FRAMES) + 1) / FRAME_HZ
    frame, unit = np.repeat(np.indices(counts.shape).reshape(2, -1), counts.ravel(), axis=1)
    spike_s = times_s[frame] - rng.uniform(0, 1 / FRAME_HZ, len(frame))
    order = np.argsort(spike_s)
    data = DecodingData(
        frames=np.zeros((FRAMES, 1), dtype=np.float32),
        targets=(20 + 5 * latents).astype(np.float32),
        valid=np.arange(FRAMES) >= 10,
        times_s=times_s,
        train=((0, 1000),),
        validation=((1000, 1200),),
        test=((1200, FRAMES),),
        target_names=names,
        target_unit="cm/s",
    )
    return Session(name, "subject", data, SpikeEvents(spike_s[order], unit[order].astype(np.int64), n_units))


def random_model(spec: PossmSpec, sessions: list[Session]) -> Possm:
    """Random weights, with embeddings as large as training makes them."""
    torch.manual_seed(3)
    model = Possm(spec, vocabulary_of(sessions)).eval()
    with torch.no_grad():
        for small in (model.units, model.sessions, model.core.blank, model.core.latent, model.core.tasks):
            small.mul_(1 / INITIAL_SD)
    return model


def stage(epochs: int, learning_rate: float = 1e-2) -> Stage:
    """Training for seconds."""
    optimiser = Optimiser(
        learning_rate=learning_rate,
        schedule="one_cycle",
        warm_up_epochs=0,
        weight_decay=1e-4,
        average_decay=0.0,
        epochs=epochs,
        batch_windows=5,
        window_frames=50,
        save_every_epochs=1,
    )
    return Stage(optimiser=optimiser)


@pytest.fixture(scope="session")
def specs() -> dict[str, PossmSpec]:
    """The published form and the edge form, small."""
    return {"published": SMALL, "edge": SMALL_EDGE}


@pytest.fixture(scope="session")
def make_model() -> Callable[[PossmSpec, list[Session]], Possm]:
    return random_model


@pytest.fixture(scope="session")
def make_session() -> Callable[..., Session]:
    return new_session


@pytest.fixture(scope="session")
def session() -> Session:
    return new_session("first", 1)


@pytest.fixture(scope="session")
def recipe() -> PossmRecipe:
    return PossmRecipe(
        schema="edgebci.possm/1",
        threads=1,
        model=SMALL_EDGE,
        regularisation=NONE,
        unit_dropout=None,
        training=stage(12),
        unit_identification=stage(12, 3e-2),
        identification_before_tuning=stage(4, 3e-2),
        fine_tuning=stage(6),
    )


@pytest.fixture(scope="session")
def pretrained(recipe: PossmRecipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained on three sessions of different units."""
    out = tmp_path_factory.mktemp("pretrained") / "possm.safetensors"
    train([new_session(f"session{seed}", seed) for seed in (1, 2, 3)], recipe, out)
    return out
