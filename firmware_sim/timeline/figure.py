"""A picture of a few frames: samples in, the core awake, the radio on the air, outputs delivered."""

from __future__ import annotations

import math
from itertools import pairwise

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from edgebci.firmware_sim.design import Design
from edgebci.firmware_sim.timeline.plan import TimelineSettings
from edgebci.firmware_sim.timeline.records import Span
from edgebci.firmware_sim.timeline.simulation import TimelinePart, timeline_spans
from edgebci.reporting.drawing import INK, PALETTE, STYLE, name_rows, svg_text

LANES = ("samples", "core", "radio", "output")
STATES = {"run": "core runs", "wake": "core wakes", "tx": "radio sends", "rx": "radio listens", "ramp": "radio starts"}
_COLORS = dict(zip(STATES, (PALETTE[0], PALETTE[4], PALETTE[5], PALETTE[1], PALETTE[7]), strict=True))
_THINNEST_MS = 0.15
"""So that a packet of microseconds is seen."""


def timeline_svg(
    design: Design, seed: int, frames: int = 4, settings: TimelineSettings | None = None, skip: int = 2
) -> str:
    """Draw `frames` frames after the first `skip`, as SVG; raises InputError as `simulate_timeline` does."""
    period_s = 1.0 / design.load.frame_rate_hz
    duration_s = max(1, math.ceil((skip + frames + 2) * period_s))
    spans, part = timeline_spans(design, duration_s, seed, settings)
    start_ms, stop_ms = 1e3 * skip * period_s, 1e3 * (skip + frames) * period_s
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 2.6), layout="constrained")
        axes = figure.subplots()
        drawn = [_bar(axes, span) for span in spans if start_ms <= 1e3 * span.start_s < stop_ms]
        _outputs(axes, part, start_ms, stop_ms)
        name_rows(axes, list(LANES))
        axes.set_ylim(len(LANES) - 0.4, -0.5)
        axes.set_xlim(start_ms, stop_ms)
        axes.set_xlabel("time since power-on (ms), modelled")
        for state in STATES:
            if state in drawn:
                axes.barh(0, 0, color=_COLORS[state], label=STATES[state])
        axes.legend(ncols=5, loc="lower left", bbox_to_anchor=(0, 1))
        return svg_text(figure, f"{frames} frames: samples, core, radio and outputs")


def _bar(axes: Axes, span: Span) -> str:
    left_ms, width_ms = 1e3 * span.start_s, max(1e3 * span.length_s, _THINNEST_MS)
    axes.barh(LANES.index(span.lane), width_ms, left=left_ms, height=0.6, color=_COLORS[span.state], align="center")
    return span.state


def _outputs(axes: Axes, part: TimelinePart, start_ms: float, stop_ms: float) -> None:
    """Frames as brackets, and from each last sample an arrow to its output with the milliseconds that it took."""
    ends_ms = 1e3 * part.frame_s
    for first_ms, last_ms in pairwise(np.concatenate([[0.0], ends_ms])):
        axes.plot([first_ms, last_ms], [0, 0], color=INK, lw=1.0, marker="|", ms=8)
    for end_ms, delivered_ms in zip(ends_ms, 1e3 * part.delivered_s, strict=True):
        if not start_ms <= delivered_ms < stop_ms:
            continue
        axes.plot(delivered_ms, 3, "D", color=PALETTE[2], ms=5)
        taken = f"{delivered_ms - end_ms:.1f} ms"
        axes.text(delivered_ms, 3.2, taken, fontsize=8, va="top", ha="center", clip_on=True)
        if end_ms >= start_ms:
            arrow = {"arrowstyle": "->", "color": INK, "lw": 0.8, "alpha": 0.6}
            axes.annotate("", xy=(delivered_ms, 2.9), xytext=(end_ms, 0.05), arrowprops=arrow)
