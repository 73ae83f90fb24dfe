"""A picture that lets a reader judge the generator: its spectrum beside that of a real recording."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from edgebci.files import replacing
from edgebci.recordings import open_recording
from edgebci.synthetic import spectra
from edgebci.synthetic.signals import F64

LONGEST_S, WINDOW_S = 300.0, 2.0
HIGHEST_FRACTION = 0.44
"""Of the sampling rate: above, an anti-aliasing filter shapes a spectrum, not the brain. 110 Hz at 250 Hz."""
COLOURS = {"synthetic": "#0072b2", "real": "#d55e00"}


def spectrum_figure(synthetic: Path, real: Path, out_svg: Path) -> None:
    """Draw the power spectral density of a synthetic recording beside a real one, up to what both can carry.

    Lines are the median channel, shades the 10th to the 90th percentile of the channels; mains shows as narrow lines.

    Raises:
        InputError: one of the files is not a recording (convert an NWB file first).
    """
    curves = {"synthetic": _densities(synthetic), "real": _densities(real)}
    highest_hz = min(frequency[-1] for frequency, _ in curves.values())
    figure = Figure(figsize=(6.4, 3.8), layout="constrained")
    axes = figure.subplots()
    for name, (frequency, density) in curves.items():
        keep = frequency <= highest_hz
        _draw(axes, frequency[keep], density[keep], name)
    axes.set_xlabel("frequency (Hz)")
    axes.set_ylabel("power spectral density (µV²/Hz)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    # A fixed salt and no date, so that the same recordings give the same file.
    with replacing(out_svg) as temporary, mpl.rc_context({"svg.hashsalt": "edgebci"}):
        figure.savefig(temporary, format="svg", metadata={"Date": None})


def _densities(path: Path) -> tuple[F64, F64]:
    """Frequencies (F,) and density of each channel (F, C), from the first minutes of a recording."""
    with open_recording(path) as recording:
        rate_hz = recording.info.lfp_rate_hz
        lfp_uv = recording.lfp_uv(0, min(recording.info.n_samples, round(LONGEST_S * rate_hz)))
    frequency, density = spectra.densities(np.nan_to_num(lfp_uv), rate_hz, WINDOW_S)
    keep = (frequency >= 1 / WINDOW_S) & (frequency <= HIGHEST_FRACTION * rate_hz)
    return frequency[keep], density[keep]


def _draw(axes: Axes, frequency: F64, density: F64, name: str) -> None:
    n_channels = density.shape[1]
    label = f"{name}, {n_channels} channel{'s' if n_channels > 1 else ''}"
    axes.loglog(frequency, np.median(density, axis=1), color=COLOURS[name], label=label, linewidth=1.4)
    low, high = np.percentile(density, [10, 90], axis=1)
    axes.fill_between(frequency, low, high, color=COLOURS[name], alpha=0.2, linewidth=0)
