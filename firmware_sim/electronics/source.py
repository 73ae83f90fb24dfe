"""Whether a recording is good enough to show a condition: it must itself be clearly better.

A recording with half the noise of a condition already carries a quarter of its power, and what is then read as the
condition's loss is not: so noise density must be at most a third of the condition's, the step a quarter, and the band
twice as wide.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.signal import welch

from edgebci.firmware_sim.electronics.conditions import SourceQuality
from edgebci.recordings import Recording
from edgebci.synthetic.signals import F32

NOISE_SHARE, STEP_SHARE, BAND_FACTOR = 1 / 3, 1 / 4, 2.0
LOOKED_AT_S = 60.0
NOISE_BAND = (0.6, 0.8)
"""Of half the rate: above most of the signal, below the recorder's own filter."""


def source_quality(recording: Recording, stated: SourceQuality) -> SourceQuality:
    """What is stated of a recording, and for the rest what its samples show."""
    rate_hz = recording.info.lfp_rate_hz
    part = recording.lfp_uv(0, round(LOOKED_AT_S * rate_hz))[:, np.asarray(recording.info.good_channels)]
    part = part[np.isfinite(part).all(axis=1)]
    return SourceQuality(
        noise_nv_per_rthz=_or(stated.noise_nv_per_rthz, lambda: noise_density_nv(part, rate_hz)),
        step_uv=_or(stated.step_uv, lambda: step_uv(part)),
        band_hz=_or(stated.band_hz, lambda: rate_hz / 2),
    )


def noise_density_nv(signal_uv: F32, rate_hz: float) -> float:
    """An upper bound of the noise of (T, C) in nV/sqrt(Hz): the density high in the band, where little else is left."""
    frequency, density = welch(signal_uv, fs=rate_hz, nperseg=min(len(signal_uv), 4096), axis=0)
    kept = (frequency >= NOISE_BAND[0] * rate_hz / 2) & (frequency <= NOISE_BAND[1] * rate_hz / 2)
    return 1000 * float(np.sqrt(np.median(density[kept])))


def step_uv(signal_uv: F32) -> float:
    """The converter's step as the samples show it: the smallest distance of two values of a channel, in the median."""
    steps = [_smallest_step(column) for column in signal_uv.T]
    return float(np.median(steps)) if steps else 0.0


def refusal(
    quality: SourceQuality,
    noise_nv_per_rthz: float | None = None,
    step_uv: float | None = None,
    band_hz: float | None = None,
) -> str | None:
    """Why a recording can't show a condition, in a few words; None where it can."""
    faults = []
    if noise_nv_per_rthz is not None and (quality.noise_nv_per_rthz or 0.0) > NOISE_SHARE * noise_nv_per_rthz:
        faults.append(
            f"its noise of {quality.noise_nv_per_rthz:.3g} nV/sqrt(Hz) is over a third of {noise_nv_per_rthz:.3g}"
        )
    if step_uv is not None and (quality.step_uv or 0.0) > STEP_SHARE * step_uv:
        faults.append(f"its step of {quality.step_uv:.3g} uV is over a quarter of {step_uv:.3g}")
    if band_hz is not None and (quality.band_hz or 0.0) < BAND_FACTOR * band_hz * (1 - 1e-9):
        faults.append(f"its band of {quality.band_hz:.4g} Hz is under twice {band_hz:.4g}")
    return "the recording is too poor to show it: " + ", ".join(faults) if faults else None


def _or(stated: float | None, measured: Callable[[], float]) -> float:
    return measured() if stated is None else stated


def _smallest_step(column: F32) -> float:
    """0 for a column of no two values."""
    # Rounded, so that the last bits of a product with the step are not taken for one.
    grain = 1e-4 * float(column.std())
    if grain == 0.0:
        return 0.0
    values = np.unique(np.rint(column.astype(np.float64) / grain))
    return grain * float(np.min(np.diff(values))) if len(values) > 1 else 0.0
