"""Pictures of a quantized decoder's errors: noise over time, range over time, and what each operator costs."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from edgebci.metrics import F64
from edgebci.quantization_error import QuantizationReport, QuantizerError
from edgebci.reporting.drawing import INK, PALETTE, STYLE, name_rows, svg_text

_STYLES = ("-", "--", ":", "-.")
_NAMED = 5
"""Quantizers of the noise's picture that have a colour each: more cannot be told apart."""


def noise_svg(report: QuantizationReport) -> str:
    """Signal to quantization noise over time: of the output, of the noisiest quantizers by name, and of the others."""
    inner = [one for one in report.quantizers if one.kind != "output"]
    known = [one for one in inner if one.sqnr_db is not None]
    noisiest = sorted(known, key=lambda one: one.sqnr_db or 0.0)[:_NAMED]
    others = [one for one in inner if one not in noisiest]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 4.2), layout="constrained")
        axes, times_s = figure.subplots(), _times_s(report)
        for i, one in enumerate(others):
            label = f"{len(others)} with less noise" if i == 0 else None
            axes.plot(times_s, _decibels(one), color=PALETTE[7], lw=0.7, alpha=0.5, label=label)
        for color, one in zip(PALETTE, noisiest, strict=False):
            axes.plot(times_s, _decibels(one), color=color, lw=1.2, label=one.name)
        for one in report.quantizers:
            if one.kind == "output":
                axes.plot(times_s, _decibels(one), color=INK, lw=1.8, label=one.name)
        axes.set_xlabel("time in the stream (s)")
        axes.set_ylabel("signal to quantization noise (dB)")
        axes.legend(ncols=4, loc="lower left", bbox_to_anchor=(0, 1), fontsize=8)
        return svg_text(figure, "Signal to quantization noise over time")


def _decibels(one: QuantizerError) -> F64:
    return np.array([np.nan if value is None else value for value in one.sqnr_db_per_bin])


def range_svg(report: QuantizationReport) -> str:
    """How much of its range each state uses over time; at 1 it saturates."""
    states = [one for one in report.quantizers if one.kind == "state"]
    return _ranges(report, states, "share of the state's range in use")


def activation_range_svg(report: QuantizationReport) -> str:
    """The same of the activations, which may clip on purpose: a row each, since many touch the limit together."""
    shown = [one for one in report.quantizers if one.kind == "activation"]
    label = "share of the activation's range in use"
    shares = np.array([one.range_per_bin for one in shown], np.float64).reshape(len(shown), -1)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 0.32 * len(shown) + 1.2), layout="constrained")
        axes = figure.subplots()
        if shown:
            end_s = report.n_steps / report.frame_rate_hz
            extent = (0.0, end_s, len(shown) - 0.5, -0.5)
            drawn = axes.imshow(
                shares, vmin=0, vmax=1, aspect="auto", cmap="cividis", interpolation="nearest", extent=extent
            )
            axes.set_yticks(range(len(shown)), [one.name for one in shown])
            figure.colorbar(drawn, ax=axes, label="share in use", pad=0.01)
        axes.set_xlabel("time in the stream (s)")
        return svg_text(figure, label)


def costs_svg(report: QuantizationReport) -> str:
    """The difference in R² of each operator, quantized alone and spared alone."""
    names = [cost.name for cost in report.costs]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 0.42 * len(names) + 1.3), layout="constrained")
        axes = figure.subplots()
        axes.axvline(0.0, color=INK, lw=0.8)
        axes.axvline(report.loss.difference.value, color=INK, lw=0.8, ls=":")
        for shift, color, label in (
            (-0.15, PALETTE[0], "it alone quantized"),
            (0.15, PALETTE[1], "all others quantized"),
        ):
            for y, cost in enumerate(report.costs):
                found = (cost.alone if shift < 0 else cost.spared).difference
                axes.plot([found.low, found.high], [y + shift] * 2, color=color, lw=3, solid_capstyle="butt")
                axes.plot(found.value, y + shift, "o", color=color, ms=5)
            axes.plot([], [], "o", color=color, label=label)
        name_rows(axes, names)
        axes.legend(ncols=2, loc="lower left", bbox_to_anchor=(0, 1))
        axes.set_xlabel("R² minus that of the float decoder, 95 % interval; dotted: everything quantized")
        return svg_text(figure, "What each operator costs")


def _ranges(report: QuantizationReport, shown: list[QuantizerError], label: str) -> str:
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 3.2), layout="constrained")
        axes = figure.subplots()
        for i, one in enumerate(shown):
            style = _STYLES[i // len(PALETTE) % 4]
            axes.plot(
                _times_s(report), one.range_per_bin, style, color=PALETTE[i % len(PALETTE)], lw=1.2, label=one.name
            )
        axes.axhline(1.0, color=INK, lw=0.8, ls=":")
        axes.set_ylim(0, None)
        axes.set_xlabel("time in the stream (s)")
        axes.set_ylabel(label)
        if shown:
            axes.legend(ncols=5, loc="lower left", bbox_to_anchor=(0, 1), fontsize=8)
        return svg_text(figure, label)


def _times_s(report: QuantizationReport) -> F64:
    """Middle of each bin."""
    bins = -(-report.n_steps // report.bin_steps)
    middles: F64 = np.asarray(np.arange(bins) + 0.5, np.float64) * (report.bin_steps / report.frame_rate_hz)
    return middles
