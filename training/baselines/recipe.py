"""Hyper-parameters of the baselines; what is not here they take from the student's and the ridge's recipe."""

from __future__ import annotations

from pydantic import Field

from edgebci.documents import Document


class KalmanRecipe(Document):
    """What the Kalman filter tries; validation decides."""

    orders: tuple[int, ...] = Field(default=(1, 2), min_length=1)
    """Frames of the target in the state: 1 is the filter of the textbook, 2 knows the target's derivative."""
    shrinkages: tuple[float, ...] = Field(default=(0.01, 0.1, 0.5), min_length=1)
    """Shares of the features' noise covariance that are taken from its diagonal alone."""
    noise_factors: tuple[float, ...] = Field(default=(0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0), min_length=1)
    """The filter takes all noise to be independent from frame to frame. Where the features' noise is not, it weighs
    this much more; where the target's is not, less. 1 is the filter of the textbook."""


class GruRecipe(Document):
    """A stack of gated recurrent units; the width follows from the student's parameters."""

    n_layers: int = Field(default=2, gt=0, le=8)


class TransformerRecipe(Document):
    """A causal transformer; the width follows from the student's parameters."""

    n_layers: int = Field(default=2, gt=0, le=8)
    n_heads: int = Field(default=4, gt=0, le=16)
    context_s: float = Field(default=1.0, gt=0)
    """Each layer looks back so far, so that it streams with a cache of fixed size."""


class BaselineRecipe(Document):
    """All baselines but ridge and logistic regression, which read the ridge's recipe."""

    kalman: KalmanRecipe = KalmanRecipe()
    gru: GruRecipe = GruRecipe()
    transformer: TransformerRecipe = TransformerRecipe()
