"""What studies found: one row for each question, with the interval, the verdict and what the paper says."""

from __future__ import annotations

from typing import Literal

from edgebci.comparison import Interval
from edgebci.documents import Document
from edgebci.hierarchical import SubjectsComparison

Expected = Literal["superior", "no difference", "no gain", "either"]
"""What the claim, or the control, predicts of candidate minus reference."""


class Row(Document):
    """One question of a study and its answer."""

    study: str
    question: str
    candidate: str
    reference: str
    expected: Expected
    """`no difference` and `no gain` mark controls: a gain there is the generator's or the code's, not the method's."""
    headline: bool = True
    """Whether it belongs into the README's table; all answers are in the study's own."""
    comparison: SubjectsComparison
    candidate_seconds: float
    reference_seconds: float
    """Mean processor time of one trial."""

    @property
    def holds(self) -> bool | None:
        """Whether the answer is what was expected; None where nothing was expected or the data cannot tell."""
        difference = self.comparison.difference
        if self.expected == "either" or self.comparison.verdict == "cannot tell":
            return None
        if self.expected == "superior":
            return self.comparison.verdict == "superior"
        small = abs(difference.value) < self.comparison.margin
        if self.expected == "no gain":
            return small or difference.low <= 0.0
        return small or difference.low <= 0.0 <= difference.high


class TimeRow(Document):
    """How much sooner one model is as good as another."""

    study: str
    question: str
    claimed_ratio: float
    ratio: Interval
    """Time of the large model over that of the student, the median over races; 0 where the student lost."""
    reached: int
    """Races in which the student became as good."""
    races: int
    n_subjects: int
    large_s: float
    """Median processor time of the large model."""
    pretraining_s: float
    """Wall-clock time of the students' encoders before that, all seeds together, for all sessions."""


class Table(Document):
    """All rows of one call, and how large its studies were."""

    schema_version: Literal["edgebci.claims/1"] = "edgebci.claims/1"
    size: str
    rows: tuple[Row, ...]
    times: tuple[TimeRow, ...] = ()
    not_run: tuple[str, ...] = ()
    """What was left out, and why."""
