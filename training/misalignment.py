"""How far a student's view is from its teacher's, as a loss."""

from __future__ import annotations

from typing import Literal

from torch import Tensor
from torch.nn import functional

Measure = Literal["cosine", "squared"]
"""cosine: 1 - mean cosine, as published: only the direction of what the teacher says is taught. squared: the mean squared
error, which teaches how much of it there is as well; for views whose coordinates have a scale that means something."""


def misalignment(said: Tensor, taught: Tensor, measure: Measure) -> Tensor:
    """Mean over frames of two views (n, d); 0 where they are alike."""
    if measure == "squared":
        return functional.mse_loss(said, taught)
    return 1 - functional.cosine_similarity(said, taught, dim=-1).mean()
