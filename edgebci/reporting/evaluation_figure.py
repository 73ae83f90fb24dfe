"""Decoders side by side: how accurate, how much better than the reference, and at what cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from edgebci.comparison import Interval
from edgebci.reporting.drawing import INK, PALETTE, STYLE, name_rows, svg_text

_CAUSAL, _HINDSIGHT = PALETTE[0], PALETTE[7]


@dataclass(frozen=True)
class Contender:
    """One decoder, as far as the picture shows it."""

    name: str
    accuracy: Interval
    by_seed: tuple[float, ...]
    difference: Interval | None
    """To the reference; None for the reference itself."""
    macs_per_output: int | None
    is_causal: bool


def evaluation_svg(rows: Sequence[Contender], metric: str, reference: str, margin: float) -> str:
    """Draw accuracy with seeds, difference with the margin as a band, and multiplications per output."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(11, 0.4 * len(rows) + 2.2), layout="constrained")
        accuracy, difference, cost = figure.subplots(1, 3, width_ratios=(1.2, 1, 1))
        for y, row in enumerate(rows):
            color = _CAUSAL if row.is_causal else _HINDSIGHT
            _bar(accuracy, y, row.accuracy, color)
            accuracy.plot(row.by_seed, [y] * len(row.by_seed), "|", color=INK, ms=7)
            if row.difference is not None:
                _bar(difference, y, row.difference, color)
        difference.axvspan(-margin, margin, color=PALETTE[7], alpha=0.25, lw=0)
        difference.axvline(0.0, color=INK, lw=0.8)
        _cost(cost, rows)
        accuracy.set_xlabel(f"{metric}; ticks: seeds")
        difference.set_xlabel(f"{metric} - that of {reference}")
        for axes in (accuracy, difference, cost):
            axes.set_ylim(-0.6, len(rows) - 0.4)
            name_rows(axes, [row.name for row in rows])
            axes.tick_params(labelleft=axes is accuracy)
        for color, meaning in ((_CAUSAL, "causal"), (_HINDSIGHT, "with hindsight")):
            accuracy.plot([], [], "o", color=color, label=meaning)
        accuracy.legend(ncols=2, loc="lower left", bbox_to_anchor=(0, 1))
        return svg_text(figure, "Decoders compared")


def _bar(axes: Axes, y: float, interval: Interval, color: str) -> None:
    axes.plot([interval.low, interval.high], [y, y], color=color, lw=3, solid_capstyle="butt")
    axes.plot(interval.value, y, "o", color=color, ms=6)


def _cost(axes: Axes, rows: Sequence[Contender]) -> None:
    for y, row in enumerate(rows):
        if row.macs_per_output:
            axes.plot(row.macs_per_output, y, "s", color=_CAUSAL, ms=6)
            place = (row.macs_per_output, y)
            axes.annotate(f"{row.macs_per_output:,}", place, xytext=(0, 6), textcoords="offset points", ha="center")
    axes.set_xscale("log")
    known = [row.macs_per_output for row in rows if row.macs_per_output]
    if known:
        axes.set_xlim(min(known) / 3, max(known) * 3)
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("multiply-accumulates per output")
