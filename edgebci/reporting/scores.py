"""What a score says in a table, whatever the task: its columns, as text."""

from __future__ import annotations

from collections.abc import Sequence

from edgebci.comparison import Score
from edgebci.detection_score import DetectionScore
from edgebci.reporting.sentences import interval_text

DETECTION_HEADINGS = ("AUROC", "balanced accuracy", "events found", "delay, 10-90 % (ms)", "false alarms/h")


def score_headings(axes: Sequence[str], detects: bool) -> tuple[str, ...]:
    """Over the columns of `score_texts`."""
    return DETECTION_HEADINGS if detects else (*(f"R² {axis}" for axis in axes), *(f"r {axis}" for axis in axes))


def score_texts(score: Score | DetectionScore) -> tuple[str, ...]:
    """Every figure with its interval; a dash where there is none."""
    if isinstance(score, Score):
        return tuple(map(interval_text, (*score.r2, *score.pearson_r)))
    return (
        interval_text(score.auroc),
        interval_text(score.balanced_accuracy),
        interval_text(score.detected_fraction) if score.detected_fraction else "-",
        delay_text(score),
        f"{score.false_alarms_per_hour.value:.0f}",
    )


def delay_text(score: DetectionScore) -> str:
    """Median and the middle 80 % of the delays of what was detected, in ms.

    A dash where nothing was.
    """
    if score.delay_median_s is None or score.delay_quantiles_s is None:
        return "-"
    low, high = score.delay_quantiles_s
    return f"{1e3 * score.delay_median_s.value:.0f}, {1e3 * low:.0f}-{1e3 * high:.0f}"
