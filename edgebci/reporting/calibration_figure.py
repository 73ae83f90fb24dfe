"""Accuracy of a decoder over sessions, before and after calibration."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.figure import Figure

from edgebci.comparison import Interval
from edgebci.reporting.drawing import INK, PALETTE, STYLE, svg_text


def calibration_svg(sessions: Sequence[str], forms: Sequence[tuple[str, Sequence[Interval]]], metric: str) -> str:
    """Draw each form's accuracy, an interval for each session in the given order."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(max(4.5, 0.9 * len(sessions) + 2.5), 3.2), layout="constrained")
        axes = figure.subplots()
        for i, (color, (form, intervals)) in enumerate(zip(PALETTE, forms, strict=False)):
            places = [k + 0.12 * (i - (len(forms) - 1) / 2) for k in range(len(sessions))]
            axes.plot(places, [one.value for one in intervals], "o-", color=color, ms=5, lw=1, label=form)
            axes.vlines(places, [one.low for one in intervals], [one.high for one in intervals], color=color, lw=2)
        axes.axhline(0.0, color=INK, lw=0.6)
        axes.set_xticks(range(len(sessions)), sessions)
        axes.set_ylabel(f"{metric} with its 95 % interval")
        axes.legend(ncols=3, loc="lower left", bbox_to_anchor=(0, 1))
        return svg_text(figure, "Accuracy by session")
