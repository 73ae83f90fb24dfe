"""How far a student's view is from its teacher's, as a loss."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from edgebci.training.recipe import Misalignment


def misalignment(said: Tensor, taught: Tensor, measure: Misalignment) -> Tensor:
    """Mean over frames of two views (n, d); 0 where they are alike."""
    if measure == "squared":
        return functional.mse_loss(said, taught)
    return 1 - functional.cosine_similarity(said, taught, dim=-1).mean()
