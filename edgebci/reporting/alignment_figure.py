"""How alike spike and LFP representations are, over numbers of channels and time scales."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from edgebci.reporting.drawing import INK, PALETTE, STYLE, svg_text


@dataclass(frozen=True)
class AlignmentCurve:
    """One measure against the time scale, for one number of channels."""

    label: str
    scale_ms: tuple[float, ...]
    value: tuple[float, ...]


@dataclass(frozen=True)
class AlignmentPanel:
    """One measure: its curves, and what chance gives at each time scale of the first curve, if known."""

    measure: str
    curves: tuple[AlignmentCurve, ...]
    chance: tuple[float, ...] | None = None


def alignment_svg(panels: Sequence[AlignmentPanel]) -> str:
    """Draw one panel for each measure, side by side: from 0, or on a scale of decades where chance is told."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.2 * len(panels), 3.2), layout="constrained")
        for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            _draw(axes, panel)
        # All panels have the same curves, and one of them may tell chance as well.
        fullest = max(figure.axes, key=lambda axes: len(axes.lines))
        figure.legend(*fullest.get_legend_handles_labels(), loc="outside upper left", ncols=4, fontsize=7)
        return svg_text(figure, "Alignment of spike and LFP representations")


def _draw(axes: Axes, panel: AlignmentPanel) -> None:
    for i, curve in enumerate(panel.curves):
        color = PALETTE[i % len(PALETTE)]
        axes.plot(curve.scale_ms, curve.value, "o-", color=color, ms=4, lw=1.2, label=curve.label)
    lowest = min(min(curve.value) for curve in panel.curves)
    if panel.chance is None:
        axes.set_ylim(bottom=min(0.0, 1.1 * lowest))
    else:
        axes.plot(panel.curves[0].scale_ms, panel.chance, "--", color=INK, lw=0.8, label="chance")
        # Chance is one in as many frames as there are: retrieval is a matter of how many times that.
        axes.set_yscale("log" if min(lowest, *panel.chance) > 0 else "linear")
    axes.set_xscale("log")
    axes.set_xlabel("averaged over, ms")
    axes.set_ylabel(panel.measure)
