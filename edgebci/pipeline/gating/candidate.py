"""The decoder that asks to be let through: what it decoded, what it costs, and its bundle."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgebci.gating_baseline import Measured, Predictions

Weights = Literal["same", "retrained"]


@dataclass(frozen=True)
class Candidate:
    """What is compared with a baseline.

    Fields:
        predictions: of its test part.
        measured: its figures; None where only predictions are at hand.
        bundle: its folder, for times; None where there is none.
    """

    name: str
    predictions: Predictions
    measured: Measured | None = None
    bundle: Path | None = None

    @property
    def bundle_id(self) -> str:
        """For the result; empty where there is no bundle."""
        return self.measured.bundle_id if self.measured else ""

    def weights_against(self, measured: Measured) -> Weights:
        """Whether it has the baseline's weights; without figures it is taken to."""
        if self.measured is None or self.measured.checkpoint_sha256 == measured.checkpoint_sha256:
            return "same"
        return "retrained"
