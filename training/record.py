"""What a model's file says about its own making, and what tells one training run from another."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgebci.checkpoint import TrainingRecord
from edgebci.decoder_spec import DecoderSpec
from edgebci.decoding_data import DecodingData, Part
from edgebci.documents import Document
from edgebci.files import sha256
from edgebci.training.loop import Fitted
from edgebci.training.recipe import TrainingRecipe


def versions() -> dict[str, str]:
    """Of the libraries that a result's last bits depend on."""
    return {"python": platform.python_version(), "numpy": np.__version__, "torch": torch.__version__}


def partial_path(out: Path) -> Path:
    """Where the unfinished run that will write `out` is kept."""
    return out.with_name(f"{out.stem}.partial.safetensors")


def stage_identity(stage: str, recipe: Document, data_sha256: Mapping[str, str], source: Path | None) -> str:
    """Hash of all that a stage of a system depends on: recipe, data, the model it starts from, libraries' versions."""
    texts = [stage, recipe.model_dump_json(), *data_sha256.values(), str(versions())]
    return hashlib.sha256("\n".join([*texts, sha256(source) if source else ""]).encode()).hexdigest()


def stage_record(
    recipe: Document,
    data_sha256: Mapping[str, str],
    fitted: Fitted[Any],
    frame_rate_hz: float,
    source: Path | None,
    validation_r2: float | None = None,
) -> TrainingRecord:
    """Describe a finished stage of a system; `source` is the model that it started from or was taught by."""
    return TrainingRecord(
        recipe=recipe.model_dump(mode="json", by_alias=True),
        data_sha256=dict(data_sha256),
        teacher_sha256=sha256(source) if source else None,
        frame_rate_hz=frame_rate_hz,
        epochs_run=len(fitted.history),
        best_epoch=fitted.best_epoch,
        validation_r2=validation_r2,
        validation_scores=tuple(epoch.score for epoch in fitted.history if epoch.score is not None),
        versions=versions(),
    )


def identity_of(
    data: DecodingData, parts: tuple[Part, ...], recipe: TrainingRecipe, spec: DecoderSpec, teacher_sha256: str = ""
) -> str:
    """Hash of all that a training result depends on, the libraries' versions included."""
    channels = b"" if data.feature_channels is None else data.feature_channels.tobytes()
    texts = [data.fingerprint(*parts), recipe.model_dump_json(), spec.model_dump_json(), teacher_sha256]
    return hashlib.sha256("\n".join([*texts, str(versions())]).encode() + channels).hexdigest()


def record_of(
    data: DecodingData,
    parts: tuple[Part, ...],
    recipe: TrainingRecipe,
    fitted: Fitted[Any],
    validation_r2: float | None,
    teacher_sha256: str | None = None,
) -> TrainingRecord:
    """Describe a finished run of one recording."""
    hashes: dict[str, str] = {part: data.fingerprint(part) for part in parts}
    record = stage_record(recipe, hashes, fitted, data.frame_rate_hz, None, validation_r2)
    return record.model_copy(update={"teacher_sha256": teacher_sha256})
