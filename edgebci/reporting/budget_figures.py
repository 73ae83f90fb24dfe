"""Pictures of a budget, as SVG text: what spreads a result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
            axes.barh(0, 0, left=typical, color=color, label=text)
        name_rows(axes, [names[k] for k in shown])
        axes.legend(ncols=2, loc="lower left", bbox_to_anchor=(0, 1))
        axes.set_xlabel(label)
        return svg_text(figure, f"What spreads the {label}")


@dataclass(frozen=True)
class Curve:
    """A named curve of (x, low, typical, high); it ends where there are no points."""

    name: str
    points: Sequence[tuple[float, float, float, float]]


def curves_svg(curves: Sequence[Curve], x_label: str, y_label: str) -> str:
    """Curves with their ranges over two logarithmic axes; dashes tell apart what shares a colour."""
    shown = [curve for curve in curves if curve.points]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 5), layout="constrained")
        axes = figure.subplots()
        for k, curve in enumerate(shown):
            x, low, typical, high = zip(*curve.points, strict=True)
            color, dashes = PALETTE[k % len(PALETTE)], ("-", "--")[k // len(PALETTE) % 2]
            axes.plot(x, typical, dashes, marker="o", ms=3, color=color, label=curve.name)
            axes.fill_between(x, low, high, color=color, alpha=0.08, lw=0)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        return svg_text(figure, f"{y_label} over {x_label}")
