"""Every hyper-parameter of REALM's three stages, as one document; the defaults are the published ones."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from edgebci.documents import Document
from edgebci.training.realm.regularisation import Regularisation
from edgebci.training.realm.spec import REALM, REALM_BI_L, EncoderSpec
from edgebci.training.recipe import Augmentation, Optimiser

_UNCHANGED = Augmentation(channel_dropout=0.0, gain_spread=0.0, noise_sd=0.0)


class PretrainingRecipe(Document):
    """The teacher: masked autoencoding over several sessions."""

    mask_fraction: float = Field(default=0.6, gt=0, lt=1)
    mask_block_frames: tuple[int, int] = (10, 50)
    """Shortest and longest masked block."""
    predictor_layers: int = Field(default=1, gt=0)
    predictor_expand: int = Field(default=1, gt=0)
    predictor_hidden: int = Field(default=512, gt=0)
    regularisation: Regularisation = Regularisation()
    augmentation: Augmentation = Augmentation()
    validation_sessions: float = Field(default=0.1, ge=0, lt=1)
    """Share of the sessions, drawn by the seed, whose training intervals only decide when to stop; 0: never stops."""
    patience_epochs: int = Field(default=30, gt=0)
    optimiser: Optimiser = Optimiser(
        learning_rate=1.53e-3,
        schedule="exponential",
        warm_up_epochs=30,
        warm_up_start_ratio=0.3,
        decay_per_epoch=0.995,
        weight_decay=1e-5,
        clip_norm=1.0,
        average_decay=0.0,
        epochs=300,
        batch_windows=384,
        window_frames=500,
    )


class DistillationRecipe(Document):
    """The student: what the teacher sees with hindsight, without it."""

    copy_tokenizer: bool = True
    """Start from the teacher's tokenizer, which then goes on learning."""
    alignment_weight: float = Field(default=1.0, ge=0)
    """Of 1 - cosine between the last layers."""
    reconstruction_weight: float = Field(default=1.0, ge=0)
    """Of the squared error of frames, rebuilt by a head of two layers."""
    reconstruction_fraction: float = Field(default=0.3, gt=0, le=1)
    """Of the frames of a window, drawn at random."""
    task_weight: float = Field(default=0.0, ge=0)
    """Of the squared error of the standardised target; 0 needs no label."""
    regularisation: Regularisation = Regularisation()
    augmentation: Augmentation = _UNCHANGED
    validation_sessions: float = Field(default=0.2, ge=0, lt=1)
    """Share of the sessions, the first by name, that only decide when to stop; 0: every session's validation intervals
    do."""
    patience_epochs: int = Field(default=30, gt=0)
    optimiser: Optimiser = Optimiser(
        learning_rate=5e-4,
        schedule="cosine",
        warm_up_epochs=0,
        final_rate_ratio=0.01,
        weight_decay=1e-5,
        clip_norm=1.0,
        average_decay=0.0,
        epochs=300,
        batch_windows=32,
        window_frames=500,
    )

    @model_validator(mode="after")
    def _something_to_learn(self) -> DistillationRecipe:
        if not self.alignment_weight + self.reconstruction_weight + self.task_weight:
            raise ValueError("all weights are 0; give alignment_weight, reconstruction_weight or task_weight")
        return self


class LabelFreeRecipe(Document):
    """Ridge on the frozen encoder's last frames."""

    lags: int = Field(default=10, ge=0)
    """Frames before the current one that are stacked on it."""
    alphas: tuple[float, ...] = Field(default=tuple(10.0**k for k in range(7)), min_length=1)
    """Penalties to choose from on validation."""
    refit_on_validation: bool = True
    """Fit once more on training and validation together, with the chosen penalty."""


class FineTuningRecipe(Document):
    """The student and a fresh linear head, on one session's labels."""

    freeze_tokenizer: bool = True
    head_start: Literal["random", "ridge"] = "random"
    """Of the head: random as published, or ridge on the current frame's features, so that layers change less."""
    raw_skip: bool = False
    """A linear path from the raw frame to the outputs; the published protocol freezes it at zero."""
    regularisation: Regularisation = Regularisation()
    augmentation: Augmentation = _UNCHANGED
    patience_epochs: int = Field(default=20, gt=0)
    optimiser: Optimiser = Optimiser(
        learning_rate=5e-4,
        schedule="cosine",
        warm_up_epochs=0,
        final_rate_ratio=0.01,
        weight_decay=1e-5,
        clip_norm=1.0,
        average_decay=0.0,
        epochs=100,
        batch_windows=32,
        window_frames=500,
    )


class RealmRecipe(Document):
    """Sizes, stages, seed."""

    schema_version: Literal["edgebci.realm/1"] = Field(default="edgebci.realm/1", alias="schema")
    seed: int = Field(default=0, ge=0)
    threads: int = Field(default=2, gt=0)
    """Of torch; sums are split by it, so the result's last bits depend on it."""
    time_constants_s: Literal["published"] | tuple[float, float] = "published"
    """Shortest and longest memory of a new block's heads; published: A = -1, -2, ... per head, about a frame each."""
    teacher: EncoderSpec = REALM_BI_L
    student: EncoderSpec = REALM
    pretraining: PretrainingRecipe = PretrainingRecipe()
    distillation: DistillationRecipe = DistillationRecipe()
    label_free: LabelFreeRecipe = LabelFreeRecipe()
    fine_tuning: FineTuningRecipe = FineTuningRecipe()

    @model_validator(mode="after")
    def _roles_fit(self) -> RealmRecipe:
        if not self.teacher.both_ways or self.student.both_ways:
            raise ValueError("the teacher must look both ways and the student must not; set both_ways")
        if self.distillation.copy_tokenizer and not self.teacher.same_tokenizer(self.student):
            raise ValueError("the teacher's tokenizer does not fit the student; make them alike or drop copy_tokenizer")
        return self
