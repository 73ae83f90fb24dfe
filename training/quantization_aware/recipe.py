"""Hyper-parameters of quantization-aware training."""

from __future__ import annotations

from pydantic import Field, model_validator

from edgebci.documents import Document
from edgebci.training.recipe import Optimiser


class QuantizationAwareRecipe(Document):
    """A short training that starts from a decoder which was quantized after training."""

    seed: int = Field(default=0, ge=0)
    threads: int = Field(default=1, gt=0)
    """Of torch; sums are split by it, so the result's last bits depend on it."""
    distillation_weight: float = Field(default=1.0, ge=0)
    """Of the squared error to what the float student decodes, in standard deviations of that."""
    task_weight: float = Field(default=0.0, ge=0)
    """Of the squared error to the target; in detection, of the cross-entropy. Above 0 the decoder may also learn what
    its float form did not know, and a comparison with it is no longer about quantization alone."""
    burn_in_frames: int = Field(default=8, ge=0)
    """Start of each window without loss. States are carried into a window as the float student leaves them there: the
    first frames bring them to what the twin itself would hold."""
    patience_epochs: int = Field(default=8, gt=0)
    optimiser: Optimiser = Optimiser(
        learning_rate=1e-4,
        weight_decay=0.0,
        warm_up_epochs=1,
        average_decay=0.98,
        epochs=30,
        batch_windows=8,
        window_frames=64,
        save_every_epochs=1,
    )
    """For int8, whose weights need to move by parts of a count only; int4 learns more at 1e-3."""

    @model_validator(mode="after")
    def _learns_something(self) -> QuantizationAwareRecipe:
        if not self.distillation_weight + self.task_weight:
            raise ValueError("distillation_weight and task_weight are both 0; give one that is not")
        if self.burn_in_frames >= self.optimiser.window_frames:
            raise ValueError(
                f"a burn-in of {self.burn_in_frames} frames leaves nothing of windows of "
                f"{self.optimiser.window_frames}; shorten it"
            )
        return self
