"""The float64 reference of the features, with SciPy: the same bits however the stream is cut into portions.

Only whole frames are filtered, and every sum has a fixed order, so a portion's length can't show in the result.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from edgebci.features.coefficients import integer_path, normalizer_constants, power_rate
from edgebci.features.conditioning import Conditioned, Conditioner, segments
from edgebci.features.front_end import Bool, FrontEnd
from edgebci.features.normalization import RunningNormalizer
from edgebci.features.response import low_passed_sos
from edgebci.features.specification import Counts, FeatureSpec

F64 = NDArray[np.float64]

BLOCK_ROWS = 8192
"""Rows that are filtered at once: a block of 96 channels stays within the processor's cache."""


@dataclass(frozen=True)
class Frames:
    """K frames of features.

    Fields:
        features: (K, F) float64: log(uV^2) for bands, uV for lmp and raw; 0 for dead channels.
        valid: (K,) bool: neither start-up nor artefact.
        artefact: (K,) bool: too many saturated or missing samples.
        reset_before: (K,) bool: filters, normaliser and decoder state start anew with this frame.
    """

    features: F64
    valid: Bool
    artefact: Bool
    reset_before: Bool


class FeatureStream:
    """Features as a stream: counts in any portions, frames out."""

    def __init__(self, spec: FeatureSpec, good_channels: Bool) -> None:
        self._path = integer_path(spec, good_channels)
        self._conditioner = Conditioner(self._path)
        self._n_features = spec.n_features(self._path.n_channels)
        n_good = len(self._path.good)
        rate_hz, uv_per_step = spec.rate_hz, self._path.uv_per_step
        bands = [
            _BandPower(
                spec, scipy.signal.butter(b.order, (b.low_hz, b.high_hz), "bandpass", fs=rate_hz, output="sos"), n_good
            )
            for b in spec.bands
        ]
        low_passes = [_LowPassed(low_passed_sos(lp, rate_hz), n_good) for lp in (spec.lmp, spec.raw) if lp]
        self._kinds: list[_BandPower | _LowPassed] = [*bands, *low_passes]
        self._uv_per_step = uv_per_step

    def push(self, counts: Counts, missing: Bool | None = None) -> Frames:
        """Take (T, C) counts and (T,) missing (default none) and return the frames they finish."""
        absent = np.zeros(len(counts), dtype=bool) if missing is None else missing
        parts = [self._push_block(counts[rows], absent[rows]) for rows in _blocks(len(counts))]
        return join_frames(parts)

    def _push_block(self, counts: Counts, missing: Bool) -> Frames:
        conditioned = self._conditioner.push(counts, missing)
        features = np.zeros((len(conditioned.valid), self._n_features))
        for frames in segments(conditioned.reset_before):
            if conditioned.reset_before[frames.start]:
                for kind in self._kinds:
                    kind.reset()
            self._fill(features[frames], conditioned, frames)
        return Frames(features, conditioned.valid, conditioned.artefact, conditioned.reset_before)

    def _fill(self, features: F64, conditioned: Conditioned, frames: slice) -> None:
        steps = conditioned.steps[frames]
        lfp_uv = np.ascontiguousarray(steps.reshape(-1, steps.shape[2]).T, dtype=np.float64) * self._uv_per_step
        for i, kind in enumerate(self._kinds):
            values = kind.push(lfp_uv, self._path.samples_per_frame)
            features[:, i * self._path.n_channels + self._path.good] = values.T


class Normalizer:
    """Float64 normalisation of frames as a stream, from the front end's statistics."""

    def __init__(self, front_end: FrontEnd) -> None:
        self._running = RunningNormalizer(normalizer_constants(front_end), np.float64)
        self._columns = np.flatnonzero(np.tile(front_end.good_channels, len(front_end.spec.kinds)))

    def push(self, frames: Frames) -> F64:
        """Return z (K, F); 0 for dead channels."""
        z = np.zeros_like(frames.features)
        for part in segments(frames.reset_before):
            if frames.reset_before[part.start]:
                self._running.reset()
            z[part, self._columns] = self._running.push(frames.features[part, self._columns], frames.valid[part])
        return z


def join_frames(parts: list[Frames]) -> Frames:
    """One after another."""
    return Frames(
        features=np.concatenate([part.features for part in parts]),
        valid=np.concatenate([part.valid for part in parts]),
        artefact=np.concatenate([part.artefact for part in parts]),
        reset_before=np.concatenate([part.reset_before for part in parts]),
    )


class _BandPower:
    """log(power + floor) of one band: mean square per frame, exponentially averaged over frames."""

    def __init__(self, spec: FeatureSpec, sos: F64, n_good: int) -> None:
        self._sos, self._n_good = sos, n_good
        self._rate, self._floor_uv2 = power_rate(spec), spec.floor_uv2
        self.reset()

    def reset(self) -> None:
        self._filter_state = np.zeros((len(self._sos), self._n_good, 2))
        self._average_state = np.zeros((self._n_good, 1))

    def push(self, lfp_uv: F64, samples_per_frame: int) -> F64:
        """(G, K * D) microvolt to (G, K) log(uV^2)."""
        y, self._filter_state = scipy.signal.sosfilt(self._sos, lfp_uv, axis=-1, zi=self._filter_state)
        by_frame = (y * y).reshape(self._n_good, -1, samples_per_frame)
        # accumulate, not sum: sum may choose its order by the array's shape.
        mean_square = np.add.accumulate(by_frame, axis=-1)[..., -1] / samples_per_frame
        b, a = [self._rate], [1.0, self._rate - 1.0]
        power, self._average_state = scipy.signal.lfilter(b, a, mean_square, axis=-1, zi=self._average_state)
        return np.asarray(np.log(power + self._floor_uv2))


class _LowPassed:
    """The low-passed LFP at the last sample of each frame."""

    def __init__(self, sos: F64, n_good: int) -> None:
        self._sos, self._n_good = sos, n_good
        self.reset()

    def reset(self) -> None:
        self._filter_state = np.zeros((len(self._sos), self._n_good, 2))

    def push(self, lfp_uv: F64, samples_per_frame: int) -> F64:
        """(G, K * D) microvolt to (G, K) microvolt."""
        y, self._filter_state = scipy.signal.sosfilt(self._sos, lfp_uv, axis=-1, zi=self._filter_state)
        return y[:, samples_per_frame - 1 :: samples_per_frame]


def _blocks(n_rows: int) -> Iterator[slice]:
    for start in range(0, max(n_rows, 1), BLOCK_ROWS):
        yield slice(start, min(start + BLOCK_ROWS, n_rows))
