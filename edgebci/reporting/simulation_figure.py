"""Pictures of a simulation: the decoded trace under each condition, and R2 against what was swept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from edgebci.reporting.drawing import INK, PALETTE, STYLE, svg_text

F64 = NDArray[np.float64]


@dataclass(frozen=True)
class Span:
    """A stretch of time in seconds with a name: an event."""

    name: str
    start_s: float
    end_s: float


def traces_svg(
    times_s: F64, truth: F64, decoded: Mapping[str, F64], axis_names: Sequence[str], unit: str, events: Sequence[Span]
) -> str:
    """Truth (T, D) and what was decoded under each condition, (T, D) each, one row of axes for each dimension."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 1.9 * len(axis_names)), layout="constrained")
        rows = np.atleast_1d(figure.subplots(len(axis_names), 1, sharex=True))
        for d, (axes, name) in enumerate(zip(rows, axis_names, strict=True)):
            axes.plot(times_s, truth[:, d], color=INK, lw=0.8, label="true")
            for color, (condition, values) in zip(PALETTE, decoded.items(), strict=False):
                axes.plot(times_s, values[:, d], color=color, lw=1.2, label=condition)
            _mark(axes, events, with_names=d == 0)
            axes.set_ylabel(f"{name} ({unit})")
        rows[-1].set_xlabel("time (s)")
        # An event may end after what is shown; above the axes there is a line for its name, and the legend above that.
        rows[-1].set_xlim(times_s[0], times_s[-1])
        rows[0].legend(ncols=4, loc="lower right", bbox_to_anchor=(1, 1.12))
        return svg_text(figure, "Decoded under each condition")


@dataclass(frozen=True)
class Line:
    """R2 over one condition; knee is the place of the knee in xs, or None."""

    name: str
    xs: tuple[float, ...]
    r2: tuple[float, ...]
    knee: int | None


def sweep_svg(title: str, x_label: str, lines: Sequence[Line], clean_r2: float | None, logarithmic: bool) -> str:
    """R2 of each line with its knee marked by a ring; the dashed line is the recording as it is."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.2, 3.2), layout="constrained")
        axes = figure.subplots()
        if clean_r2 is not None:
            axes.axhline(clean_r2, color=INK, lw=0.8, ls="--", label="as recorded")
        for color, line in zip(PALETTE, lines, strict=False):
            axes.plot(line.xs, line.r2, "o-", color=color, ms=3.5, lw=1.2, label=line.name)
            if line.knee is not None:
                knee = line.xs[line.knee], line.r2[line.knee]
                axes.plot(*knee, "o", ms=10, mfc="none", mec=color)
        if logarithmic:
            axes.set_xscale("log")
            ticks = sorted({x for line in lines for x in line.xs})
            axes.set_xticks(ticks, [f"{x:g}" for x in ticks])
            axes.minorticks_off()
        axes.set_xlabel(x_label)
        axes.set_ylabel("R²")
        axes.legend(fontsize=8)
        return svg_text(figure, title)


def _mark(axes: Axes, events: Sequence[Span], with_names: bool) -> None:
    for event in events:
        axes.axvspan(event.start_s, event.end_s, color=PALETTE[7], alpha=0.25, lw=0)
        if with_names:
            place = (event.start_s, 1.0)
            axes.annotate(
                event.name, place, xycoords=("data", "axes fraction"), fontsize=8, va="bottom", annotation_clip=True
            )
