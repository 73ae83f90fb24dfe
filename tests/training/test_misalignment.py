"""Misalignment is zero for what is alike, and each measure forgets what it says that it forgets."""

from __future__ import annotations

import pytest
import torch

from edgebci.training.misalignment import misalignment
from edgebci.training.recipe import Misalignment


@pytest.mark.parametrize("measure", ["cosine", "squared"])
def test_a_view_is_aligned_with_itself(measure: Misalignment) -> None:
    view = torch.randn(20, 6)
    # Rounding of single precision.
    assert misalignment(view, view, measure) == pytest.approx(0, abs=1e-6)
    assert misalignment(view, -view, measure) > 1


def test_a_cosine_does_not_ask_how_much_there_is_and_a_square_does() -> None:
    view = torch.randn(20, 6)
    assert misalignment(3 * view, view, "cosine") == pytest.approx(0, abs=1e-6)
    assert misalignment(3 * view, view, "squared") == pytest.approx(float(4 * view.square().mean()), rel=1e-5)
