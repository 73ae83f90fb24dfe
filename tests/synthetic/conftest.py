"""Worlds and one recording that several tests look at."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgebci.synthetic import SyntheticSpec, synthesize
from edgebci.synthetic.generator import World, draw_world


@pytest.fixture(scope="session")
def long_world() -> World:
    """Ten minutes of behaviour, latents and spikes; no LFP is made of it."""
    return draw_world(SyntheticSpec(seed=11, duration_s=600.0, n_channels=16))


@pytest.fixture(scope="session")
def quiet_spec() -> SyntheticSpec:
    """Eight seconds on eight channels without mains."""
    return SyntheticSpec(seed=12, duration_s=8.0, n_channels=8).model_copy(
        update={"electrodes": SyntheticSpec().electrodes.model_copy(update={"mains_uv": (0.0, 0.0)})}
    )


@pytest.fixture(scope="session")
def recording_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of 24 s on 64 channels."""
    path = tmp_path_factory.mktemp("synthetic") / "recording.h5"
    synthesize(SyntheticSpec(seed=13, duration_s=24.0, n_channels=64), path)
    return path
