"""The pictures of a report, as SVG text that follows the page's light or dark colours."""

from __future__ import annotations

from collections.abc import Iterable

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from edgebci.comparison import Interval
from edgebci.reporting.drawing import INK, PALETTE, STYLE, name_rows, svg_text
from edgebci.reporting.schema import FirmwareSection, ImplantSection, Report
from edgebci.reporting.sections import Traces, middle


def traces_svg(traces: Traces, axes_names: tuple[str, ...], unit: str, window_s: float = 30.0) -> str:
    """Decoded over true behaviour, one row for each axis, from the middle of the test part."""
    shown = middle(traces.times_s, window_s)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 2.0 * len(axes_names) + 0.6), layout="constrained")
        rows = np.atleast_1d(figure.subplots(len(axes_names), 1, sharex=True))
        for d, (row, name) in enumerate(zip(rows, axes_names, strict=True)):
            row.plot(traces.times_s[shown], traces.truth[shown, d], color=INK, lw=1.4, label="true")
            for color, (form, decoded) in zip(PALETTE, traces.decoded.items(), strict=False):
                row.plot(traces.times_s[shown], decoded[shown, d], color=color, lw=1.1, label=form)
            row.set_ylabel(f"{name} ({unit})")
        rows[0].legend(ncols=4, loc="lower left", bbox_to_anchor=(0, 1))
        rows[-1].set_xlabel("time in the recording (s)")
        return svg_text(figure, "Decoded traces over the true ones")


def accuracy_svg(report: Report, beside: Report | None = None) -> str:
    """R² or AUROC of every form with its 95 % interval, the linear baseline with them; `beside`: as `_reach`."""
    baseline, rows = report.baseline, _intervals(report)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 0.36 * len(rows) + 0.8), layout="constrained")
        axes = figure.subplots()
        for y, (name, interval) in enumerate(rows):
            color = PALETTE[5] if name == baseline.name else PALETTE[0]
            axes.plot([interval.low, interval.high], [y, y], color=color, lw=3, solid_capstyle="butt")
            axes.plot(interval.value, y, "o", color=color, ms=6)
        if beside is not None and beside.task == report.task:
            _reach(axes, [edge for _, interval in _intervals(beside) for edge in (interval.low, interval.high)])
        name_rows(axes, [name for name, _ in rows])
        axes.set_xlabel(f"{'AUROC' if baseline.detection else 'R², mean over axes'}, with its 95 % interval")
        return svg_text(figure, "Accuracy of each form")


def _intervals(report: Report) -> list[tuple[str, Interval]]:
    return [*((form.name, form.main) for form in report.forms), (report.baseline.name, report.baseline.main)]


def _reach(axes: Axes, edges: Iterable[float]) -> None:
    """Let the axis hold the values of another run too, so that two pictures side by side have one scale."""
    axes.update_datalim([(edge, 0.0) for edge in edges])
    axes.autoscale_view()


def cycles_svg(firmware: FirmwareSection, beside: FirmwareSection | None = None, most: int = 12) -> str:
    """Where the modelled cycles of a step go, by C function; `beside`: as `_reach`."""
    ranked = sorted(firmware.functions, key=lambda f: -f.cycles_per_step)[:most]
    colors = {"front end": PALETTE[2], "decoder": PALETTE[0], "harness": PALETTE[7]}
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 0.3 * len(ranked) + 0.9), layout="constrained")
        axes = figure.subplots()
        for y, function in enumerate(ranked):
            axes.barh(y, function.cycles_per_step / 1e3, color=colors[function.part])
        for part, color in colors.items():
            if any(function.part == part for function in ranked):
                axes.barh(0, 0, color=color, label=part)
        _reach(axes, [function.cycles_per_step / 1e3 for function in beside.functions] if beside else ())
        name_rows(axes, [function.name for function in ranked])
        axes.legend(loc="lower right")
        axes.set_xlabel("modelled kilocycles per step")
        return svg_text(figure, "Where the cycles go")


def power_svg(implants: tuple[ImplantSection, ...], beside: tuple[ImplantSection, ...] = ()) -> str:
    """Where the power goes: typical values stacked, with the range of the total; `beside`: as `_reach`."""
    names = list(dict.fromkeys(part.name for implant in implants for part in implant.parts))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 0.55 * len(implants) + 1.5), layout="constrained")
        axes = figure.subplots()
        for y, implant in enumerate(implants):
            _stack(axes, y, implant, names)
        _reach(axes, [implant.total_uw.high / 1e3 for implant in beside])
        name_rows(axes, [f"{i.implant}\n{i.compute}, {i.radio}" for i in implants])
        for k, name in enumerate(names):
            axes.barh(0, 0, color=PALETTE[k % len(PALETTE)], label=name)
        axes.legend(ncols=3, loc="lower left", bbox_to_anchor=(0, 1))
        axes.set_xlabel("modelled power (mW); the line is the range of the total")
        return svg_text(figure, "Where the power goes")


def _stack(axes: Axes, y: int, implant: ImplantSection, names: list[str]) -> None:
    left = 0.0
    for part in implant.parts:
        color = PALETTE[names.index(part.name) % len(PALETTE)]
        axes.barh(y, part.power_uw.typical / 1e3, left=left / 1e3, color=color, height=0.6)
        left += part.power_uw.typical
    axes.plot([implant.total_uw.low / 1e3, implant.total_uw.high / 1e3], [y, y], color=INK, lw=1.2)
