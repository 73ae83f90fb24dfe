"""What calibration gave: accuracy by session, before and after."""

from __future__ import annotations

from typing import Literal

from edgebci.comparison import Comparison, Interval, Score
from edgebci.detection_score import DetectionScore
from edgebci.documents import Document

Form = Literal["before", "renormalised", "after"]


class FormScore(Document):
    """One form of the decoder on the test part of a session."""

    form: Form
    regression: Score | None
    detection: DetectionScore | None

    @property
    def accuracy(self) -> Interval:
        """R² as mean over axes, or AUROC."""
        if self.detection is not None:
            return self.detection.auroc
        if self.regression is None:
            raise ValueError("a form holds the score of its task")
        return self.regression.r2_mean

    @property
    def by_axis(self) -> tuple[Interval, ...]:
        """R² of each axis, or AUROC."""
        return self.regression.r2 if self.regression is not None else (self.accuracy,)


class CalibratedSession(Document):
    """One session."""

    session: str
    subject: str
    calibration_s: float
    test_s: float
    """Time that is scored."""
    forms: tuple[FormScore, ...]
    gain: Comparison
    """After minus before, on the same frames."""
    folder: str
    """Of the calibrated decoder and its front end, beside this file."""

    def form(self, name: Form) -> FormScore:
        """One of the three forms."""
        return next(form for form in self.forms if form.form == name)


class Calibration(Document):
    """All sessions of one call."""

    schema_version: Literal["edgebci.calibration/1"] = "edgebci.calibration/1"
    edgebci_version: str
    checkpoint: str
    checkpoint_sha256: str
    axes: tuple[str, ...]
    metric: Literal["R²", "AUROC"]
    margin: float
    sessions: tuple[CalibratedSession, ...]
