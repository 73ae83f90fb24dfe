"""Differences between decoders with their intervals, one row for each question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
from matplotlib.figure import Figure

from edgebci.comparison import Interval
from edgebci.reporting.drawing import INK, PALETTE, STYLE, name_rows, svg_text

_COLORS = {True: PALETTE[2], False: PALETTE[5], None: PALETTE[7]}
_MEANINGS = {True: "as expected", False: "not as expected", None: "open"}


@dataclass(frozen=True)
class Difference:
    """One row: a question, the difference in R² and whether it came out as expected (None: it is open)."""

    question: str
    interval: Interval
    as_expected: bool | None


def differences_svg(rows: Sequence[Difference], margin: float) -> str:
    """Draw all rows; the shaded band is the margin around no difference."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 0.36 * len(rows) + 1.2), layout="constrained")
        axes = figure.subplots()
        axes.axvspan(-margin, margin, color=PALETTE[7], alpha=0.25, lw=0)
        axes.axvline(0.0, color=INK, lw=0.8)
        for y, row in enumerate(rows):
            color = _COLORS[row.as_expected]
            axes.plot([row.interval.low, row.interval.high], [y, y], color=color, lw=3, solid_capstyle="butt")
            axes.plot(row.interval.value, y, "o", color=color, ms=6)
        for outcome, color in _COLORS.items():
            axes.plot([], [], "o", color=color, label=_MEANINGS[outcome])
        name_rows(axes, [row.question for row in rows])
        axes.legend(ncols=3, loc="lower left", bbox_to_anchor=(0, 1))
        axes.set_xlabel(f"difference in R² with its 95 % interval; the band is the margin of {margin:g}", loc="right")
        return svg_text(figure, "Differences between decoders")
