"""What a checkpoint says about its own making."""

from __future__ import annotations

import hashlib
import platform
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgebci.checkpoint import TrainingRecord
from edgebci.decoder_spec import DecoderSpec
from edgebci.decoding_data import DecodingData, Part
from edgebci.training.loop import Fitted
from edgebci.training.recipe import TrainingRecipe


def identity_of(
    data: DecodingData, parts: tuple[Part, ...], recipe: TrainingRecipe, spec: DecoderSpec, teacher_sha256: str = ""
) -> str:
    """Hash of all that a training result depends on, the libraries' versions included."""
    channels = b"" if data.feature_channels is None else data.feature_channels.tobytes()
    texts = [data.fingerprint(*parts), recipe.model_dump_json(), spec.model_dump_json(), teacher_sha256]
    return hashlib.sha256("\n".join([*texts, str(_versions())]).encode() + channels).hexdigest()


def partial_path(out: Path) -> Path:
    """Where the unfinished run that will write `out` is kept."""
    return out.with_name(f"{out.stem}.partial.safetensors")


def record_of(
    data: DecodingData,
    parts: tuple[Part, ...],
    recipe: TrainingRecipe,
    fitted: Fitted[Any],
    validation_r2: float | None,
    teacher_sha256: str | None = None,
) -> TrainingRecord:
    """Describe a finished run."""
    return TrainingRecord(
        recipe=recipe.model_dump(mode="json"),
        data_sha256={part: data.fingerprint(part) for part in parts},
        teacher_sha256=teacher_sha256,
        frame_rate_hz=data.frame_rate_hz,
        epochs_run=len(fitted.history),
        best_epoch=fitted.best_epoch,
        validation_r2=validation_r2,
        versions=_versions(),
    )


def _versions() -> dict[str, str]:
    return {"python": platform.python_version(), "numpy": np.__version__, "torch": torch.__version__}
