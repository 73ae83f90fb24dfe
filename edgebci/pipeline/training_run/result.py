"""What a training run found: every way to decode every held-out session, beside ridge of the same run."""

from __future__ import annotations

from typing import Literal

from edgebci.comparison import Comparison, Score
from edgebci.documents import Document


class WayResult(Document):
    """One way on one session."""

    way: str
    score: Score
    """Of the first seed, with intervals."""
    r2_by_seed: tuple[float, ...]
    """Mean over axes."""
    against_ridge: Comparison | None
    """All seeds together; None for ridge itself."""
    seconds: float
    """Mean processor time of making the decoder from finished encoders."""


class SessionResult(Document):
    """One held-out session."""

    session: str
    subject: str
    axes: tuple[str, ...]
    ways: tuple[WayResult, ...]
    bundle: str | None
    """Folder of the exported decoder, below the run's; None where there is none."""
    not_exported: str | None
    """Why there is no bundle."""


class TrainingResult(Document):
    """All of a training run."""

    schema_version: Literal["edgebci.training_result/1"] = "edgebci.training_result/1"
    name: str
    edgebci_version: str
    pretraining: tuple[str, ...]
    costs: str
    """Of one output of the student."""
    sessions: tuple[SessionResult, ...]
