"""What a training run's TOML may say: recordings, their roles, and the recipe of a system."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from edgebci.documents import Document, load_toml
from edgebci.errors import InputError
from edgebci.export.quantization import QuantizationRecipe
from edgebci.features.specification import FeatureSpec
from edgebci.pipeline.configuration import (
    ComparisonConfig,
    FirmwareConfig,
    PreparationConfig,
    RecordingConfig,
    SplitConfig,
    check_recording_path,
)
from edgebci.synthetic.specification import SyntheticSpec
from edgebci.training.recipe import RidgeRecipe, TrainingRecipe

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]*$"


class SessionConfig(Document):
    """One recording and what it is for."""

    name: str = Field(pattern=NAME_PATTERN)
    subject: str | None = None
    """Whose it is; as the recording says where nothing is said here."""
    role: Literal["pretraining", "held_out", "both"]
    """pretraining: encoders learn from its training part. held_out: a decoder is made and scored there."""
    path: Path | None = None
    """An NWB file or a recording in temporaldata's layout; relative to the working folder."""
    synthetic: SyntheticSpec | None = None


class TrainingRunConfig(Document):
    """Sessions, features, split, and the recipe."""

    schema_version: Literal["edgebci.training_run/1"] = Field(alias="schema")
    name: str = Field(pattern=NAME_PATTERN)
    recipe: Path
    """TOML of a system; relative to this file."""
    target: str
    """Name of the behaviour series."""
    target_half_smoothing_s: float = Field(default=0.0, ge=0)
    lfp: str | None = None
    """Name of the ElectricalSeries, where NWB files have several."""
    seeds: tuple[int, ...] = Field(default=(1,), min_length=1)
    split: SplitConfig = SplitConfig()
    features: FeatureSpec
    ridge: RidgeRecipe = RidgeRecipe()
    """The baseline of the same run."""
    comparison: ComparisonConfig = ComparisonConfig()
    export: bool = True
    """Whether decoders become bundles for `firmware.core`."""
    quantization: QuantizationRecipe = QuantizationRecipe()
    firmware: FirmwareConfig = FirmwareConfig()
    sessions: tuple[SessionConfig, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _sessions_can_be_used(self) -> TrainingRunConfig:
        names = [session.name for session in self.sessions]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise ValueError(f"two sessions are called {twice!r}; give each a name of its own")
        for role, use in (("pretraining", "to learn from"), ("held_out", "to decode")):
            if not self.with_role(role):
                raise ValueError(f"no session has the role {role!r} {use}; give one that role, or 'both'")
        return self

    def with_role(self, role: str) -> tuple[SessionConfig, ...]:
        """The sessions that are used so."""
        return tuple(session for session in self.sessions if session.role in (role, "both"))

    def preparation(self, session: SessionConfig) -> PreparationConfig:
        """How one session comes about."""
        recording = RecordingConfig(
            path=session.path,
            synthetic=session.synthetic,
            lfp=self.lfp,
            target=self.target,
            target_half_smoothing_s=self.target_half_smoothing_s,
        )
        training = TrainingRecipe(ridge=self.ridge)
        return PreparationConfig(recording=recording, split=self.split, features=self.features, training=training)


def load_training_run(path: Path) -> TrainingRunConfig:
    """Read a training run's TOML; its recipe's path comes back relative to the working folder.

    Raises:
        InputError: the document is wrong, or a recording is not there.
    """
    config = load_toml(path, TrainingRunConfig)
    for session in config.sessions:
        if (session.path is None) == (session.synthetic is None):
            raise InputError(f"{path}: session {session.name!r} needs either path or synthetic; give one of them")
        if session.path is not None:
            check_recording_path(session.path)
    return config.model_copy(update={"recipe": path.parent / config.recipe})
