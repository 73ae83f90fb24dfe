"""Pictures of a budget, as SVG text: what spreads a result."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.figure import Figure

from edgebci.reporting.drawing import INK, PALETTE, STYLE, name_rows, svg_text


def tornado_svg(
    names: Sequence[str], ends: Sequence[tuple[float, float]], typical: float, label: str, most: int = 10
) -> str:
    """A result with one input at a time at its ends: names[k] moves it from ends[k][0] to ends[k][1]; widest first."""
    order = sorted(range(len(names)), key=lambda k: -abs(ends[k][1] - ends[k][0]))
    shown = [k for k in order if ends[k][0] != ends[k][1]][:most]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 0.34 * max(1, len(shown)) + 1.0), layout="constrained")
        axes = figure.subplots()
        for y, k in enumerate(shown):
            for color, end in zip((PALETTE[0], PALETTE[1]), ends[k], strict=True):
                axes.barh(y, end - typical, left=typical, color=color, height=0.7)
        axes.axvline(typical, color=INK, lw=1)
        for color, text in ((PALETTE[0], "input at its low end"), (PALETTE[1], "input at its high end")):
            axes.barh(0, 0, color=color, label=text)
        name_rows(axes, [names[k] for k in shown])
        axes.legend(ncols=2, loc="lower left", bbox_to_anchor=(0, 1))
        axes.set_xlabel(label)
        return svg_text(figure, f"What spreads the {label}")
