"""Plain linear decoding of hand velocity, for judging a synthetic recording; simpler than the project's own decoders.

Frames come at 50 Hz. Every feature of a frame uses samples up to its time only. Five contiguous folds with gaps between
them are each tested once; the ridge penalty is chosen inside the training folds.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.signal import butter

from edgebci.progress import Progress, silent
from edgebci.recordings import Recording
from edgebci.synthetic.signals import F32, F64, StreamFilter, poles

FRAME_HZ = 50.0
LAGS = (0, 3, 6, 9, 12)
"""In frames: 0 to 240 ms."""
COUNT_FRAMES = 3
"""Spikes are counted over as many frames as there are from one lag to the next, so that each is used once."""
BANDS_HZ = ((4.0, 15.0), (15.0, 30.0), (30.0, 70.0), (70.0, 400.0))
BETA, HIGH = 1, 3
POWER_TAU_S = 0.05
LMP_CORNER_HZ = 5.0
N_FOLDS, GAP_S = 5, 2.0
PENALTIES = tuple(10.0 ** np.arange(2, 8))


@dataclass(frozen=True)
class LfpFeatures:
    """Log power (K, C) for each band, and the local motor potential (K, C), at frame times_s (K,)."""

    times_s: F64
    log_power: tuple[F32, ...]
    lmp: F32


def lfp_features(recording: Recording, progress: Progress = silent) -> LfpFeatures:
    """Causal features after the common average reference, which takes out what is the same everywhere."""
    info = recording.info
    step = round(info.lfp_rate_hz / FRAME_HZ)
    bank = _FilterBank(info.lfp_rate_hz, info.n_channels)
    frames: list[list[F32]] = []
    for start, lfp_uv in recording.lfp_chunks(20.0):
        signals = bank.push(lfp_uv - lfp_uv.mean(axis=1, keepdims=True) if info.n_channels >= 8 else lfp_uv)
        # Frame k ends with sample (k + 1) * step - 1.
        frames.append([signal[(-start - 1) % step :: step] for signal in signals])
        progress((start + len(lfp_uv)) / info.n_samples, "features")
    joined = [np.concatenate(parts) for parts in zip(*frames, strict=True)]
    times_s = info.start_s + ((1 + np.arange(len(joined[0]))) * step - 1) / info.lfp_rate_hz
    return LfpFeatures(times_s, tuple(np.log(power + 1e-3) for power in joined[:-1]), joined[-1])


def spike_counts(recording: Recording, times_s: F64) -> F32:
    """Spikes of each unit in the 60 ms before each frame's time, (K, U)."""
    spikes = recording.spikes()
    edges = np.concatenate([[times_s[0] - 1 / FRAME_HZ], times_s])
    counts = np.zeros((len(times_s), spikes.n_units), dtype=np.float32)
    frame = np.searchsorted(edges, spikes.times_s) - 1
    inside = (frame >= 0) & (frame < len(times_s))
    np.add.at(counts, (frame[inside], spikes.unit_index[inside]), 1)
    total = np.cumsum(counts, axis=0)
    total[COUNT_FRAMES:] -= total[:-COUNT_FRAMES].copy()
    return total


def velocity_at(recording: Recording, times_s: F64) -> F64:
    """Hand velocity (K, 2) in cm/s at frame times."""
    behavior = recording.behavior("velocity")
    return np.stack([np.interp(times_s, behavior.timestamps_s, axis) for axis in behavior.values.T], axis=1)


def ridge_r2(features: list[F32], targets: F64) -> F64:
    """R2 (D,) of ridge on lagged features over all folds together; for spike counts, this is the Wiener filter.

    Args:
        features: blocks (K, ...) that stand side by side.
        targets: (K, D); the penalty is chosen for each column.
    """
    rows = np.concatenate(features, axis=1)
    # This scale sets the unit of the penalty and nothing else: each fit has its own constant.
    scaled = (rows - rows.mean(axis=0)) / np.maximum(rows.std(axis=0), 1e-6)
    inputs = np.concatenate([lagged(scaled), np.ones((len(rows), 1), np.float32)], axis=1)
    folds = [_Fold.of(inputs[part], targets[part]) for part in _parts(len(rows))]
    residual = sum(_residual(folds, k) for k in range(N_FOLDS))
    together = np.concatenate([fold.targets for fold in folds])
    return np.asarray(1 - residual / np.sum((together - together.mean(axis=0)) ** 2, axis=0))


def lagged(features: F32) -> F32:
    """(K, F) to (K, F * lags): each row with those before it; before the first there are zeros."""
    columns = [np.concatenate([np.zeros_like(features[:lag]), features[: len(features) - lag]]) for lag in LAGS]
    return np.concatenate(columns, axis=1)


@dataclass(frozen=True)
class _Fold:
    """A contiguous part of the recording and its normal equations, which add up to those of several parts."""

    inputs: F32
    targets: F64
    gram: F64
    cross: F64

    @classmethod
    def of(cls, inputs: F32, targets: F64) -> _Fold:
        return cls(inputs, targets, (inputs.T @ inputs).astype(np.float64), inputs.T @ targets)

    def squared_error(self, weights: F64) -> F64:
        predicted = self.inputs @ weights.astype(np.float32)
        return np.asarray(np.sum((self.targets - predicted) ** 2, axis=0))


def _parts(n: int) -> list[slice]:
    """Folds in order, each without its outermost second, so that none sees what another is tested on."""
    edges, margin = np.linspace(0, n, N_FOLDS + 1).astype(int), round(GAP_S * FRAME_HZ / 2)
    return [slice(int(a) + margin, int(b) - margin) for a, b in itertools.pairwise(edges)]


def _residual(folds: list[_Fold], tested: int) -> F64:
    """Squared error (D,) in one fold of what the others trained; one of those chooses the penalty."""
    validation = (tested + 1) % N_FOLDS
    others = [fold for k, fold in enumerate(folds) if k != tested]
    fitted = [fold for k, fold in enumerate(folds) if k not in (tested, validation)]
    errors = [folds[validation].squared_error(_solve(fitted, penalty)) for penalty in PENALTIES]
    best = np.argmin(errors, axis=0)
    of_best = {k: folds[tested].squared_error(_solve(others, PENALTIES[k])) for k in set(best.tolist())}
    return np.array([of_best[k][column] for column, k in enumerate(best.tolist())])


def _solve(folds: list[_Fold], penalty: float) -> F64:
    gram, cross = (np.sum([getattr(fold, name) for fold in folds], axis=0) for name in ("gram", "cross"))
    ridge = np.full(len(gram), penalty)
    # The last input is the constant.
    ridge[-1] = 0.0
    return np.asarray(cho_solve(cho_factor(gram + np.diag(ridge)), cross))


class _FilterBank:
    """Average power in each band, then the low-passed signal."""

    def __init__(self, rate_hz: float, n_channels: int) -> None:
        highest_hz = 0.45 * rate_hz
        self._bands = [
            StreamFilter(
                np.asarray(butter(2, (low, min(high, highest_hz)), "bandpass", fs=rate_hz, output="sos")), n_channels
            )
            for low, high in BANDS_HZ
        ]
        average = poles((1 / (2 * np.pi * POWER_TAU_S),), rate_hz)
        self._averages = [StreamFilter(average, n_channels) for _ in BANDS_HZ]
        self._lmp = StreamFilter(poles((LMP_CORNER_HZ, LMP_CORNER_HZ), rate_hz), n_channels)

    def push(self, lfp_uv: F32) -> list[F32]:
        """(T, C) for each band and for the local motor potential."""
        powers = [
            average.push(np.square(band.push(lfp_uv)))
            for band, average in zip(self._bands, self._averages, strict=True)
        ]
        return [*powers, self._lmp.push(lfp_uv)]
