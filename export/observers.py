"""Observers: from what a rollout showed of one activation to the range that its int8 counts shall cover.

    mse          the range with the least mean squared error of the rounded samples
    min-max      the largest magnitude: nothing that was seen is clipped
    percentile   the magnitude below which a share of the samples lies
    entropy      the range whose rounded histogram loses least information about the samples (Kullback-Leibler
                 divergence; Migacz, "8-bit inference with TensorRT", GTC 2017)

All are symmetric, look at magnitudes only, and give no more than the largest. Twice the samples is twice the range.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

import numpy as np

from edgebci.arithmetic import F32
from edgebci.operators.cell import F64

INT4_MAX, INT8_MAX, INT16_MAX = 7, 127, 32767
ObserverName = Literal["mse", "min-max", "percentile", "entropy"]


class ObserverSettings(Protocol):
    """What observers may be told; `QuantizationRecipe` says what each means."""

    @property
    def activation_candidates(self) -> int:
        """Ranges that are tried."""
        ...

    @property
    def smallest_clip(self) -> float:
        """Smallest range tried, over the largest magnitude."""
        ...

    @property
    def percentile(self) -> float:
        """Percent of the samples within the range."""
        ...


def mse_range(magnitudes: F64, settings: ObserverSettings) -> float:
    """The tried range with the least mean squared error."""
    ranges = _tried(magnitudes, settings)
    errors = [_squared_error(magnitudes, float(scale_of(np.asarray(one), INT8_MAX))) for one in ranges]
    return float(ranges[int(np.argmin(errors))])


def min_max_range(magnitudes: F64, _: ObserverSettings) -> float:
    """The largest magnitude."""
    return float(magnitudes.max())


def percentile_range(magnitudes: F64, settings: ObserverSettings) -> float:
    """The magnitude that `percentile` percent do not exceed; the largest where that would be zero."""
    seen = float(np.percentile(magnitudes, settings.percentile, method="higher"))
    return seen if seen > 0.0 else float(magnitudes.max())


HISTOGRAM_BINS = 2048
"""Of the magnitudes up to the largest: 16 to each count at full range."""
_COUNTS = INT8_MAX + 1


def entropy_range(magnitudes: F64, settings: ObserverSettings) -> float:
    """The tried range whose 128 counts lose least information about the histogram clipped to it."""
    largest = float(magnitudes.max())
    if not largest > 0.0:
        return 0.0
    histogram = np.histogram(magnitudes / largest, bins=HISTOGRAM_BINS, range=(0.0, 1.0))[0].astype(np.float64)
    fewest = max(_COUNTS, int(settings.smallest_clip * HISTOGRAM_BINS))
    tried = np.unique(np.linspace(fewest, HISTOGRAM_BINS, settings.activation_candidates).astype(int))
    losses = [_divergence(histogram, int(bins)) for bins in tried]
    return largest * float(tried[int(np.argmin(losses))]) / HISTOGRAM_BINS


OBSERVERS: dict[ObserverName, Callable[[F64, ObserverSettings], float]] = {
    "mse": mse_range,
    "min-max": min_max_range,
    "percentile": percentile_range,
    "entropy": entropy_range,
}


def scale_of(largest: F64, count: int) -> F32:
    """The step at which `largest` is `count` steps; what was always zero gets the range 1."""
    return np.asarray(np.where(largest > 0.0, largest, 1.0) / count, np.float32)


def _tried(magnitudes: F64, settings: ObserverSettings) -> F64:
    shares = np.linspace(settings.smallest_clip, 1.0, settings.activation_candidates)
    ranges: F64 = shares * magnitudes.max()
    return ranges


def _squared_error(magnitudes: F64, scale: float) -> float:
    rounded = np.minimum(np.rint(magnitudes / scale), INT8_MAX) * scale
    return float(np.mean((rounded - magnitudes) ** 2))


def _divergence(histogram: F64, bins: int) -> float:
    """KL(P || Q): P the first `bins` with all that is clipped in the last, Q what 128 counts leave of them.

    A count is spread evenly over those of its bins that were not empty, before the clipped ones came in.
    """
    kept = histogram[:bins]
    clipped = kept.copy()
    clipped[-1] += histogram[bins:].sum()
    count = np.arange(bins) * _COUNTS // bins
    filled = kept > 0
    held = np.bincount(count, kept, _COUNTS)
    sharing = np.bincount(count, filled, _COUNTS)
    spread = np.where(filled, held[count] / np.maximum(sharing[count], 1), 0.0)
    # An empty last bin that only clipping fills has no share in Q: one part in a million keeps the loss finite.
    p, q = clipped / clipped.sum(), np.maximum(spread / max(float(spread.sum()), 1.0), 1e-6)
    seen = p > 0
    return float(np.sum(p[seen] * np.log(p[seen] / q[seen])))
