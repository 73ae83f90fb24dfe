"""Fitting a front end on training samples: which channels are good, and the statistics the normaliser starts from."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from edgebci.errors import InputError
from edgebci.features.front_end import Bool, FrontEnd
from edgebci.features.specification import Adc, Counts, FeatureSpec
from edgebci.features.stream import FeatureStream

F64 = NDArray[np.float64]
Portion = tuple[Counts, Bool]
"""(T, C) counts and (T,) missing."""

FLAT_UV = 0.5
"""A channel whose standard deviation is below this is flat: less than an amplifier's own noise."""
MOSTLY = 0.5
"""A channel at a rail for more than this share of the samples is dead."""
CONSTANT_SD = 1e-6
"""A feature that varies less than this is constant: its sd is set to 1, so that z stays finite."""


def fit_front_end(spec: FeatureSpec, portions: Callable[[], Iterable[Portion]]) -> FrontEnd:
    """Fit on consecutive portions of training samples and on nothing else.

    Args:
        spec: The features.
        portions: Called twice; each time gives the same (counts, missing) portions in order.

    Returns:
        The front end; mean and sd are those of the valid training frames.

    Raises:
        InputError: no channel is good, or no frame is valid.
    """
    good = good_channels(spec.adc, portions())
    stream = FeatureStream(spec, good)
    total = _Moments(spec.n_features(len(good)))
    for counts, missing in portions():
        frames = stream.push(counts, missing)
        total.add(frames.features, np.broadcast_to(frames.valid[:, None], frames.features.shape))
    if not total.count.any():
        raise InputError(
            f"no valid frame in the training part (start-up of {spec.startup_frames} frames, gaps and saturation "
            "leave none); give a longer or cleaner recording"
        )
    mean, sd = total.mean, total.sd()
    dead = ~np.tile(good, len(spec.kinds))
    mean[dead], sd[dead | (sd < CONSTANT_SD)] = 0.0, 1.0
    return FrontEnd(spec, good, mean.astype(np.float32), sd.astype(np.float32))


def good_channels(adc: Adc, portions: Iterable[Portion]) -> Bool:
    """Say which channels carry a signal: (C,) bool, False for flat and for mostly saturated ones.

    Raises:
        InputError: no samples, or no good channel.
    """
    rows, total = 0, _Moments(0)
    for counts, missing in portions:
        total = total if rows else _Moments(counts.shape[1])
        present = counts[~missing]
        total.add(present.astype(np.float64), (present > adc.lowest_count) & (present < adc.highest_count))
        rows += len(present)
    if rows == 0:
        raise InputError("the training part holds no samples; give a longer recording or a larger training part")
    sd_uv = total.sd() * adc.uv_per_count
    good: Bool = (total.count > (1.0 - MOSTLY) * rows) & (sd_uv >= FLAT_UV)
    if not good.any():
        raise InputError(
            f"none of {len(good)} channels carries a signal: the largest standard deviation is {sd_uv.max():.3g} uV "
            f"(flat is below {FLAT_UV:g} uV, saturated over {MOSTLY:.0%} is dead); check the recording's unit and range"
        )
    return good


class _Moments:
    """Count, mean and standard deviation of columns, portion by portion."""

    def __init__(self, n_columns: int) -> None:
        self.count = np.zeros(n_columns)
        self.mean = np.zeros(n_columns)
        self._squares = np.zeros(n_columns)

    def add(self, values: F64, used: Bool) -> None:
        """Take the `used` elements of (T, N) values."""
        count = used.sum(axis=0)
        mean = np.where(used, values, 0.0).sum(axis=0) / np.maximum(count, 1)
        squares = np.where(used, (values - mean) ** 2, 0.0).sum(axis=0)
        total = np.maximum(self.count + count, 1)
        difference = mean - self.mean
        self._squares += squares + difference**2 * self.count * count / total
        self.mean += difference * count / total
        self.count += count

    def sd(self) -> F64:
        """Standard deviation of each column; 0 where nothing was added."""
        return np.asarray(np.sqrt(self._squares / np.maximum(self.count, 1)))
