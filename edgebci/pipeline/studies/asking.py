"""Asking a question of a grid: both ways on all sessions, and what was expected beside what was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from edgebci.hierarchical import FEWEST_SUBJECTS
from edgebci.pipeline.studies.table import Expected, Row
from edgebci.pipeline.studies.trial import Grid, Way
from edgebci.session import Session

MARGIN = 0.02
"""Loss in R² that would be accepted of a retrained decoder."""


@dataclass(frozen=True)
class Question:
    """Is a candidate better than a reference, and what does the paper, or the control, lead to expect?"""

    text: str
    candidate: Way
    reference: Way
    expected: Expected
    headline: bool = True
    """Whether it belongs into the README's table."""

    def about(self, what: str, headline: bool | None = None) -> Question:
        """The same, of something; `headline` stays where it is None."""
        shown = self.headline if headline is None else headline
        return replace(self, text=f"{self.text} ({what})", headline=shown)


def ask(
    study: str, grid: Grid, sessions: Sequence[Session], question: Question, fewest_subjects: int = FEWEST_SUBJECTS
) -> Row:
    """Train what is not trained yet and compare."""
    return Row(
        study=study,
        question=question.text,
        candidate=question.candidate.name,
        reference=question.reference.name,
        expected=question.expected,
        headline=question.headline,
        comparison=grid.compare(sessions, question.candidate, question.reference, MARGIN, fewest_subjects),
        candidate_seconds=grid.mean_seconds(sessions, question.candidate),
        reference_seconds=grid.mean_seconds(sessions, question.reference),
    )
