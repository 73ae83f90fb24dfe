"""Every hyper-parameter of POSSM, as one document; the defaults are those of the authors' code where it has them.

One published thing is not here: frames of centre-out reaches weigh five times as much as others there, and our
recordings do not say which frames those are.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from edgebci.documents import Document
from edgebci.possm_spec import PossmSpec
from edgebci.training.possm.model import PossmRegularisation
from edgebci.training.recipe import Optimiser


class UnitDropout(Document):
    """Each window is seen with a random subset of its units, as in POYO and POSSM.

    How many is drawn between `least` and `most`, near to `mode` `peak` times as often as at the ends; a session with
    fewer units keeps all of them.
    """

    least: int = Field(default=60, gt=0)
    mode: int = Field(default=300, gt=0)
    most: int = Field(default=1000, gt=0)
    peak: float = Field(default=4.0, ge=1)

    @model_validator(mode="after")
    def _in_order(self) -> UnitDropout:
        if not self.least <= self.mode <= self.most:
            raise ValueError(f"mode {self.mode} is not between least {self.least} and most {self.most}; put it there")
        return self


class Stage(Document):
    """One training, with early stopping on R2 of the validation intervals."""

    patience_epochs: int | None = Field(default=None, gt=0)
    """None: never stops early; the best epoch is kept in any case."""
    optimiser: Optimiser


def published_optimiser(epochs: int, learning_rate: float = 4e-3) -> Optimiser:
    """LAMB without warm-up, its rate flat for half of the epochs; windows of 1 s at 50 frames per second."""
    return Optimiser(
        algorithm="lamb",
        learning_rate=learning_rate,
        schedule="one_cycle",
        warm_up_epochs=0,
        weight_decay=1e-4,
        average_decay=0.0,
        epochs=epochs,
        batch_windows=128,
        window_frames=50,
    )


class PossmRecipe(Document):
    """Sizes, stages, seed."""

    schema_version: Literal["edgebci.possm/1"] = Field(default="edgebci.possm/1", alias="schema")
    seed: int = Field(default=0, ge=0)
    threads: int = Field(default=2, gt=0)
    """Of torch; sums are split by it, so the result's last bits depend on it."""
    model: PossmSpec = PossmSpec()
    time_constants_s: tuple[float, float] = (0.05, 1.0)
    """Shortest and longest memory of a new backbone of mamba2 or s4d; a GRU has its own start."""
    regularisation: PossmRegularisation = PossmRegularisation()
    unit_dropout: UnitDropout | None = UnitDropout()
    """None: no unit is dropped."""
    training: Stage = Stage(optimiser=published_optimiser(500))
    """From random weights, on one session or many."""
    unit_identification: Stage = Stage(optimiser=published_optimiser(500))
    """All frozen but the embeddings of new units and sessions."""
    identification_before_tuning: Stage = Stage(optimiser=published_optimiser(100))
    """The same, as the first part of fine-tuning."""
    fine_tuning: Stage = Stage(optimiser=published_optimiser(400))
    """Everything trains."""
