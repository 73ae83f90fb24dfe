"""Every hyper-parameter of training, as one document."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from edgebci.documents import Document

Misalignment = Literal["cosine", "squared"]
"""How far a student's view is from its teacher's. cosine: 1 - mean cosine, as published: only the direction of what the
teacher says is taught. squared: the mean squared error, which teaches how much of it there is as well; for views whose
coordinates have a scale that means something."""


class Augmentation(Document):
    """Random changes of the input frames during training."""

    channel_dropout: float = Field(default=0.15, ge=0, lt=1)
    """Probability that a channel is zero for a whole window."""
    gain_spread: float = Field(default=0.15, ge=0, lt=1)
    """Each channel is scaled by a factor from 1 - spread to 1 + spread."""
    noise_sd: float = Field(default=0.05, ge=0)
    """White noise, in standard deviations of a feature."""


class Optimiser(Document):
    """AdamW or LAMB with linear warm-up, a schedule, clipping, and an exponential average of the weights."""

    algorithm: Literal["adamw", "lamb"] = "adamw"
    learning_rate: float = Field(gt=0)
    schedule: Literal["cosine", "exponential", "one_cycle"] = "cosine"
    warm_up_start_ratio: float = Field(default=0.0, ge=0, le=1)
    """Of the rate at the first update; 0: one part of as many as there are epochs to the top."""
    decay_per_epoch: float = Field(default=0.995, gt=0, le=1)
    """Of the exponential schedule."""
    precision: Literal["float32", "bf16"] = "float32"
    """bf16: matrix products in bfloat16 by autocast; weights, and what is scored and saved, stay float32."""
    final_rate_ratio: float = Field(default=0.01, gt=0, le=1)
    weight_decay: float = Field(default=0.01, ge=0)
    final_weight_decay: Annotated[float, Field(ge=0)] | Literal["constant"] = "constant"
    """Reached at the end of the last epoch, along a line from `weight_decay`; constant: it stays."""
    warm_up_epochs: int = Field(default=5, ge=0)
    clip_norm: float = Field(default=1.0, gt=0)
    average_decay: float = Field(default=0.99, ge=0, lt=1)
    """Of the averaged weights, per update; they are what is scored and saved. 0 keeps the last weights."""
    epochs: int = Field(gt=0)
    batch_windows: int = Field(default=8, gt=0)
    window_frames: int = Field(default=256, ge=16)
    save_every_epochs: int = Field(default=10, gt=0)


class TeacherRecipe(Document):
    """Bidirectional Mamba-2, trained by masked autoencoding on the training intervals."""

    d_model: int = Field(default=64, gt=0)
    n_layers: int = Field(default=2, gt=0)
    d_state: int = Field(default=16, gt=0)
    headdim: int = Field(default=32, gt=0)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    time_constants_s: tuple[float, float] = (0.02, 4.0)
    mask_fraction: float = Field(default=0.6, gt=0, lt=1)
    mask_block_s: tuple[float, float] = (0.1, 0.5)
    """Shortest and longest masked block."""
    augmentation: Augmentation = Augmentation()
    optimiser: Optimiser = Optimiser(learning_rate=2e-3, epochs=40)


class StudentRecipe(Document):
    """Causal Mamba-2, trained on the task and towards the teacher's last layer."""

    alignment_weight: float = Field(default=1.0, ge=0)
    """Of 1 - cosine to the teacher's last layer; 0 trains without a teacher."""
    task_weight: float = Field(default=0.5, ge=0)
    """Of the squared error of the standardised target."""
    ridge_weight: float = Field(default=0.5, ge=0)
    """Of the squared error to what the ridge baseline decodes on the training frames; 0 does without it."""
    reconstruction_weight: float = Field(default=0.0, ge=0)
    """Of the squared error of the frame, rebuilt from the last layer."""
    dropout: float = Field(default=0.1, ge=0, lt=1)
    time_constants_s: tuple[float, float] = (0.02, 4.0)
    burn_in_s: float = Field(default=1.0, ge=0)
    """Start of each window without loss: the state has not seen its past yet."""
    patience_epochs: int = Field(default=10, gt=0)
    augmentation: Augmentation = Augmentation()
    optimiser: Optimiser = Optimiser(learning_rate=2e-3, epochs=25)


class RidgeRecipe(Document):
    """Ridge regression on lagged frames."""

    lags: int = Field(default=12, gt=0)
    lag_s: float = Field(default=0.1, gt=0)
    lambdas: tuple[float, ...] = tuple(10.0**k for k in range(-3, 4))
    """Penalties to choose from, per training frame."""
    folds: int = Field(default=5, ge=2)
    gap_s: float = Field(default=2.0, ge=0)


class TrainingRecipe(Document):
    """The whole training stage."""

    seed: int = Field(default=0, ge=0)
    threads: int = Field(default=2, gt=0)
    """Of torch; sums are split by it, so the result's last bits depend on it."""
    teacher: TeacherRecipe = TeacherRecipe()
    student: StudentRecipe = StudentRecipe()
    ridge: RidgeRecipe = RidgeRecipe()
