"""Pictures of a report beside those of `figures.py`: scatter, error over time, step times, influences, limits, time."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from edgebci.reporting.drawing import INK, PALETTE, STYLE, name_rows, svg_text
from edgebci.reporting.schema import FirmwareSection, ImplantSection
from edgebci.reporting.sections import (
    CycleDistribution,
    ErrorSection,
    Event,
    RocSection,
    ScatterSection,
    TimelineSection,
    TransportSection,
)
from edgebci.reporting.verdicts import limits

_HOLDS = {"yes": PALETTE[0], "depends": PALETTE[1], "no": PALETTE[5], "cannot tell": PALETTE[7]}

_THINNEST = 0.003
"""Of the picture's width: so that a packet of microseconds is seen."""


def scatter_svg(scatter: ScatterSection, axes_names: tuple[str, ...], unit: str) -> str:
    """Decoded against true values, one square for each axis; the line is where both are equal."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(max(4.5, 3.0 * len(axes_names)), 3.2), layout="constrained")
        for d, (panel, name) in enumerate(zip(_row(figure, len(axes_names)), axes_names, strict=True)):
            true, decoded = scatter.truth[d], scatter.decoded[d]
            ends = [min(*true, *decoded), max(*true, *decoded)]
            panel.plot(ends, ends, color=INK, lw=0.8)
            panel.plot(true, decoded, "o", color=PALETTE[0], ms=2.5, alpha=0.45, mew=0)
            panel.set_aspect("equal", adjustable="box")
            panel.set_xlabel(f"true {name} ({unit})")
            panel.set_ylabel(f"decoded ({unit})")
        return svg_text(figure, "Decoded against true values")


def roc_svg(roc: RocSection) -> str:
    """What share of an event's frames each form finds at what share of false ones; the diagonal is chance."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.6, 4.2), layout="constrained")
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=INK, lw=0.8, ls="--")
        for color, (form, outside) in zip(PALETTE, roc.outside.items(), strict=False):
            axes.plot(outside, roc.inside[form], color=color, lw=1.6, label=form)
        axes.set_aspect("equal", adjustable="box")
        axes.legend(loc="lower right")
        axes.set_xlabel("share of frames outside events that are on")
        axes.set_ylabel("share of frames in events that are on")
        return svg_text(figure, "Frames found at every threshold")


def error_svg(errors: ErrorSection, axes_names: tuple[str, ...], unit: str) -> str:
    """Root mean square error of each form over the test part; a gap has no scored frame."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, max(1.6 * len(axes_names), 2.0) + 0.7), layout="constrained")
        rows = np.atleast_1d(figure.subplots(len(axes_names), 1, sharex=True))
        for d, (row, name) in enumerate(zip(rows, axes_names, strict=True)):
            for color, (form, found) in zip(PALETTE, errors.rmse.items(), strict=False):
                values = np.array([np.nan if v is None else v for v in found[d]])
                row.plot(errors.times_s, values, "-", color=color, lw=1.4, label=form)
            row.set_ylim(0, None)
            row.set_ylabel(f"error {name} ({unit})")
        rows[0].legend(ncols=4, loc="lower left", bbox_to_anchor=(0, 1))
        rows[-1].set_xlabel(f"time in the recording (s), bins of {errors.bin_s:.1f} s")
        return svg_text(figure, "Root mean square error over time")


def latency_svg(implants: tuple[ImplantSection, ...], steps: CycleDistribution, firmware: FirmwareSection) -> str:
    """How long a step takes on each implant's chip, every step of the test stream, against its deadline."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 1.5 * len(implants) + 0.8), layout="constrained")
        for panel, implant in zip(np.atleast_1d(figure.subplots(len(implants), 1)), implants, strict=True):
            _step_times(panel, implant, steps, firmware.worst_step_cycles)
        return svg_text(figure, "Time of a step against its deadline")


def tornado_svg(implant: ImplantSection) -> str:
    """What each input does to the implant's power, all others typical."""
    bars = implant.tornado
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 0.32 * len(bars) + 1.2), layout="constrained")
        axes = figure.subplots()
        middle = implant.total_uw.typical / 1e3
        for y, bar in enumerate(bars):
            for end, color in ((bar.at_low, PALETTE[4]), (bar.at_high, PALETTE[1])):
                axes.barh(y, end / 1e3 - middle, left=middle, color=color, height=0.65)
        axes.axvline(middle, color=INK, lw=0.8)
        for label, color in (("at its low end", PALETTE[4]), ("at its high end", PALETTE[1])):
            axes.barh(0, 0, left=middle, color=color, label=label)
        name_rows(axes, [bar.input for bar in bars])
        axes.legend(ncols=2, loc="lower left", bbox_to_anchor=(0, 1))
        axes.set_xlabel("modelled power of the implant (mW), one input moved at a time")
        return svg_text(figure, "Which input widens the range of the power")


def limits_svg(implant: ImplantSection) -> str:
    """How much of each limit is used, low to high; the line is the limit."""
    rows = limits(implant)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 0.42 * len(rows) + 0.9), layout="constrained")
        axes = figure.subplots()
        for y, row in enumerate(rows):
            color = _HOLDS[row.holds]
            axes.plot([row.share.low, row.share.high], [y, y], color=color, lw=4, solid_capstyle="butt")
            axes.plot(row.share.typical, y, "o", color=color, ms=7)
        axes.axvline(1.0, color=INK, lw=1.2, ls="--")
        axes.set_xscale("log")
        axes.set_xlim(min(0.01, *(0.7 * row.share.low for row in rows if row.share.low > 0)), None)
        axes.xaxis.set_major_formatter(lambda share, _: f"{100 * share:g} %")
        name_rows(axes, [f"{row.name}\n{row.text}" for row in rows])
        axes.margins(y=0.15)
        axes.set_xlabel("share of the limit that is used")
        return svg_text(figure, "Limits")


def timeline_svg(timeline: TimelineSection) -> str:
    """What happens when; dashed: frame borders, diamonds: moments, beside them what they took."""
    lanes = list(dict.fromkeys(event.lane for event in timeline.events))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 0.4 * len(lanes) + 0.9), layout="constrained")
        axes = figure.subplots()
        last_ms = max(event.stop_ms for event in timeline.events)
        for event in timeline.events:
            _event(axes, event, lanes.index(event.lane), _THINNEST * last_ms)
        # Moments have text beside them, so a border ends above their lane.
        bars = {event.lane for event in timeline.events if event.stop_ms > event.start_ms}
        borders = np.arange(int(last_ms / timeline.period_ms) + 1) * timeline.period_ms
        axes.vlines(borders, -0.5, len(bars) - 0.5, color=INK, lw=0.8, ls="--")
        name_rows(axes, lanes)
        axes.set_ylim(len(lanes) - 0.5, -0.5)
        # Room for what stands beside the last moment.
        axes.set_xlim(0, 1.06 * last_ms)
        axes.set_xlabel("time (ms), modelled")
        return svg_text(figure, "Timeline")


def _event(axes: Axes, event: Event, y: int, thinnest_ms: float) -> None:
    color, length_ms = PALETTE[y % len(PALETTE)], event.stop_ms - event.start_ms
    if length_ms > 0:
        axes.barh(y, max(length_ms, thinnest_ms), left=event.start_ms, color=color, height=0.6)
    else:
        axes.plot(event.start_ms, y, "D", color=color, ms=6)
        axes.annotate(event.note, (event.start_ms, y), (7, 0), textcoords="offset points", va="center", fontsize=8)


def transport_svg(transport: TransportSection) -> str:
    """How late outputs arrive, and how late they may be."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 1.9), layout="constrained")
        axes = figure.subplots()
        edges, counts = np.array(transport.edges_ms), np.array(transport.counts)
        n_all = counts.sum() + transport.n_lost
        # Half an output: the lowest step still has a height.
        axes.stairs(np.maximum(counts, 0.5) / n_all, edges, fill=True, baseline=0.5 / n_all, color=PALETTE[0])
        if edges[-1] > transport.budget_ms / 2:
            axes.axvline(transport.budget_ms, color=PALETTE[5], lw=1.6, ls="--", label="users get worse above")
            axes.legend(loc="lower left", bbox_to_anchor=(0, 1))
        axes.set_yscale("log")
        axes.set_ylim(0.5 / n_all, 1.5)
        axes.set_xlim(0, None)
        axes.set_ylabel("share of outputs")
        axes.set_xlabel("from a frame's last sample to its output at the receiver (ms), modelled")
        return svg_text(figure, "Transport latency")


def _row(figure: Figure, n: int) -> list[Axes]:
    return list(figure.subplots(1, n, squeeze=False)[0])


def _step_times(axes: Axes, implant: ImplantSection, steps: CycleDistribution, worst_cycles: float) -> None:
    ms_per_cycle = implant.latency_us.typical / 1e3 / worst_cycles
    edges, counts = np.array(steps.edges) * ms_per_cycle, np.array(steps.counts)
    middles, some = (edges[:-1] + edges[1:]) / 2, counts > 0
    # Lines, not bars: steps often differ by so few cycles that a bar would be too narrow to be seen.
    axes.vlines(middles[some], 0.5 / counts.sum(), counts[some] / counts.sum(), color=PALETTE[0], lw=4)
    low_ms, high_ms = implant.latency_us.low / 1e3, implant.latency_us.high / 1e3
    axes.axvspan(low_ms, high_ms, color=PALETTE[7], alpha=0.3, lw=0, label="range of the worst step")
    axes.axvline(implant.deadline_us / 1e3, color=PALETTE[5], lw=1.6, ls="--", label="deadline")
    axes.set_yscale("log")
    axes.set_xlim(0, None)
    axes.set_ylabel("share of steps")
    axes.set_xlabel(f"time of a step on {implant.compute} in {implant.implant} (ms), modelled")
    axes.legend(ncols=2, loc="lower left", bbox_to_anchor=(0, 1))
