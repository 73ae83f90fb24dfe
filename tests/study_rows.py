"""Answers of a study at its full size, for the tests of what is made of them; none of their figures is a result."""

from __future__ import annotations

from edgebci.comparison import Interval, Verdict
from edgebci.hierarchical import SubjectsComparison
from edgebci.pipeline.studies.table import Expected, Row


def found(low: float, value: float, high: float, verdict: Verdict) -> SubjectsComparison:
    """A difference in R2 beside a reference of 0.4, over six subjects."""
    return SubjectsComparison(
        difference=Interval(value=value, low=low, high=high),
        candidate_r2=0.4 + value,
        reference_r2=0.4,
        margin=0.02,
        verdict=verdict,
        reason="",
        n_subjects=6,
        n_sessions=18,
        n_blocks=600,
        n_seeds=5,
    )


def row(expected: Expected, comparison: SubjectsComparison, headline: bool = True) -> Row:
    """The answer to whether a teacher helps."""
    return Row(
        study="realm",
        question="does the teacher help?",
        candidate="taught",
        reference="alone",
        expected=expected,
        headline=headline,
        comparison=comparison,
        candidate_seconds=1.0,
        reference_seconds=1.0,
    )
