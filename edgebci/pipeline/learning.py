"""The training stages of a run: teacher, students, ridge; and their predictions for the test part."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgebci.checkpoint import Checkpoint, load_checkpoint, read_tensors, write_tensors
from edgebci.decoder_spec import DecoderSpec
from edgebci.decoding_data import DecodingData
from edgebci.documents import Document
from edgebci.pipeline.configuration import PipelineConfig
from edgebci.progress import Progress, part

F32 = NDArray[np.float32]

RIDGE_NAME = "ridge.safetensors"
TEACHER_NAME = "teacher.safetensors"


class RidgeHeader(Document):
    """What the ridge baseline is."""

    schema_version: Literal["edgebci.ridge/1"] = "edgebci.ridge/1"
    penalty: float
    lag_window_s: float
    n_lags: int


def train_teacher(data: DecodingData, config: PipelineConfig, folder: Path, progress: Progress) -> None:
    """Masked autoencoding on the training part; an interrupted call goes on where it was."""
    from edgebci.training.masked_autoencoding import train_teacher as train

    train(data, config.training, folder / TEACHER_NAME, progress)


def teacher_size(folder: Path) -> int:
    """Parameters of the teacher that was trained into `folder`."""
    from edgebci.training.teacher import load_teacher

    return sum(p.numel() for p in load_teacher(folder / TEACHER_NAME).parameters())


def distill_students(
    data: DecodingData, teacher: Path, config: PipelineConfig, folder: Path, progress: Progress
) -> None:
    """One causal student for each seed; a finished one is kept when an interrupted call is repeated."""
    from edgebci.training.distillation import distill
    from edgebci.training.ridge_lags import with_chosen_lags

    spec, seeds = student_spec(data, config), config.student.seeds
    training = with_chosen_lags(data, config.training)
    for i, seed in enumerate(seeds):
        path = student_path(folder, seed)
        if not path.exists():
            recipe = training.model_copy(update={"seed": seed})
            distill(data, teacher, spec, recipe, path, part(progress, i / len(seeds), (i + 1) / len(seeds)))


def student_spec(data: DecodingData, config: PipelineConfig) -> DecoderSpec:
    """Sizes of the student for these data."""
    return config.student.decoder_spec(data.frames.shape[1], data.target_names, data.target_unit)


def student_path(folder: Path, seed: int) -> Path:
    """Where the student of one seed lies."""
    return folder / f"student_{seed}.safetensors"


def best_seed(folder: Path, config: PipelineConfig) -> int:
    """The seed whose student is best on validation: the one that is exported."""
    return max(config.student.seeds, key=lambda seed: validation_r2(load_checkpoint(student_path(folder, seed))))


def validation_r2(checkpoint: Checkpoint) -> float:
    """R² on validation at the epoch that was kept; minus infinity where it was not looked at."""
    score = checkpoint.training.validation_r2
    return -np.inf if score is None else score


def predict_student(checkpoint: Checkpoint, data: DecodingData) -> F32:
    """The torch form: (K, D) for all frames, each part from zero state."""
    from edgebci.training.causal_decoder import from_checkpoint, predict

    return predict(from_checkpoint(checkpoint), data)


def fit_ridge(data: DecodingData, config: PipelineConfig, folder: Path, progress: Progress) -> None:
    """Fit the baseline and keep what it says about every frame: ridge, or in detection logistic regression."""
    from edgebci.training.baselines.logistic import fit_logistic
    from edgebci.training.ridge_lags import fit_baseline

    progress(0.0, "fitting")
    fitted = fit_logistic if data.task == "detection" else fit_baseline
    ridge = fitted(data, config.training.ridge)
    header = RidgeHeader(penalty=ridge.penalty, lag_window_s=ridge.lag_window_s, n_lags=len(ridge.weight))
    write_tensors(folder / RIDGE_NAME, {"predicted": ridge.predict(data)}, header)


def load_ridge(folder: Path) -> tuple[F32, RidgeHeader]:
    """Predictions (K, D) of the baseline and what it is."""
    arrays, header = read_tensors(folder / RIDGE_NAME, RidgeHeader)
    return arrays["predicted"], header
