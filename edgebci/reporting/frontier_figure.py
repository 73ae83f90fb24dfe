"""What widths of weights and states cost and lose: loss in R2 over cycles and over bytes, one mark per assignment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from edgebci.comparison import Interval
from edgebci.reporting.drawing import INK, PALETTE, STYLE, svg_text

_CHOSEN, _EFFICIENT, _OTHER = PALETTE[5], PALETTE[0], PALETTE[7]


@dataclass(frozen=True)
class Candidate:
    """One assignment of widths: its loss in R², modelled cycles per step and bytes."""

    name: str
    loss: Interval
    cycles: float
    bytes: int
    efficient: bool
    chosen: bool

    @property
    def color(self) -> str:
        """By what it is."""
        return _CHOSEN if self.chosen else _EFFICIENT if self.efficient else _OTHER

    @property
    def label(self) -> str:
        """What the mark is called: a uniform assignment by its name, any other only where it is the chosen one."""
        uniform = self.name if self.name.startswith("all ") else ""
        return ": ".join(part for part in ("chosen" if self.chosen else "", uniform) if part)


def frontier_svg(candidates: Sequence[Candidate], max_loss: float, core: str) -> str:
    """Draw all candidates with the 95 % intervals of their losses; the line is what may be lost."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 3.4), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        _draw(left, candidates, [one.cycles / 1e3 for one in candidates], max_loss)
        _draw(right, candidates, [one.bytes / 1024 for one in candidates], max_loss)
        left.set_xlabel(f"thousand cycles per step ({core}, modelled)")
        left.set_ylabel("loss in R² on validation frames")
        right.set_xlabel("KiB of weights and states")
        for label, color in (("chosen", _CHOSEN), ("nothing better at its cost", _EFFICIENT), ("other", _OTHER)):
            left.plot([], [], "o", color=color, label=label)
        left.legend(ncols=3, loc="lower left", bbox_to_anchor=(0, 1))
        return svg_text(figure, "Widths of weights and states: loss, cycles and bytes")


def _draw(axes: Axes, candidates: Sequence[Candidate], costs: Sequence[float], max_loss: float) -> None:
    axes.axhline(max_loss, color=INK, lw=0.8, ls="--")
    axes.margins(x=0.2, y=0.12)
    middle = (min(costs) + max(costs)) / 2
    for one, cost in zip(candidates, costs, strict=True):
        axes.plot([cost, cost], [one.loss.low, one.loss.high], color=one.color, lw=1.5)
        axes.plot(cost, one.loss.value, "o", color=one.color, ms=8 if one.chosen else 5)
        if one.label:
            # Towards the middle, so that no name leaves its half; the chosen one's below, clear of the others.
            right, below = cost < middle, one.chosen
            axes.annotate(
                one.label,
                (cost, one.loss.value),
                xytext=(6 if right else -6, -13 if below else 4),
                textcoords="offset points",
                ha="left" if right else "right",
                fontsize=8,
            )
