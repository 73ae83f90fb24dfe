"""The front end in fixed point, bit by bit what its C computes: `multirate.py` is its design.

Counts become held values as in `conditioning.py`, and a follower of each goes after it by what 16 bits hold in a row:

    d[c] = clamp(held[c] - followed[c], -32768, 32767);  followed[c] = followed[c] + d[c]

G good channels; high(s, a, b) = (s * 2^32 + a * b + 2^31) >> 32. Per band and pole pair, every M rows:

    F0, F1 = sum of taps * d over the M newest rows
    direct:  v = F0 + q1;  q1 = F1 + 4 * (q2 + ((a * v) >> 16));  q2 = (b * v) >> 16
    turned:  v = F0 + 2 * high(high(0, a, q1), b, q2);  q2 = F1 + 2 * high(high(0, c, q1), a, q2);  q1 = v

The reference of the held values is an integer, m times the mean (m = G) or twice the median (m = 2). It passes the same
pairs with 14 bits below a count:

    r = (reference * K + 2^15) >> 16,  K = round(2^30 / m);    F = (sum of taps * difference of r + 2^13) >> 14

    y = sum of v over the band's pairs - the same for the reference
    total = total + y * y                                       64 bits, exact; 0 at the first row of a frame

Per frame, float32 operations in the order in which they are written:

    E = ((e0 * y0^2 + e1 * y1^2) + e2 * y2^2) + e3 * y3^2      y0 the newest output; 0 if M = 1
    s = (float(high word of total) * 2^32 + float(low word of total)) * sum_scale
    m = s + (E - E of the last frame), or 0 where that is below 1e-20
    p = p + power_rate * ((m + floor_uv2) - p);  f = logarithm(p)              p begins at floor_uv2 and stays over it

and z as in `device.py`. At power-on and at a frame with reset_before all other states are 0.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edgebci.arithmetic import F32, I32, TINY
from edgebci.features.coefficients import IntegerPath, integer_path, normalizer_constants, power_rate
from edgebci.features.conditioning import Conditioner, segments
from edgebci.features.device import DeviceFrames
from edgebci.features.front_end import Bool, FrontEnd
from edgebci.features.multirate import LARGEST_STEP, BandFilter, PolePair, band_filters
from edgebci.features.normalization import RunningNormalizer
from edgebci.features.specification import Counts

I64 = NDArray[np.int64]

REFERENCE_BITS = 14
"""Of the reference below a count."""
FACTOR_BITS = 30
LOG_BITS = 7
_TWO_32, _LN2 = np.float32(2.0**32), np.float32(np.log(2.0))


def reference_factor(path: IntegerPath) -> int:
    """K: one over the reference's multiple of a count."""
    return round((1 << FACTOR_BITS) / path.multiplier)


def log_table() -> F32:
    """(2^LOG_BITS, 2): for each part of [1, 2) the inverse of its middle, and minus the logarithm of that inverse."""
    middle = 1.0 + (np.arange(1 << LOG_BITS) + 0.5) / (1 << LOG_BITS)
    inverse = (1.0 / middle).astype(np.float32)
    return np.stack([inverse, -np.log(inverse.astype(np.float64)).astype(np.float32)], axis=1)


def logarithm(x: F32) -> F32:
    """Natural logarithm of positive normal numbers within 3e-6: x = 2^k m, r = m * inverse - 1 at most 2^-8.

    k * ln 2 + (table + (r - r^2 / 2)), without a division.
    """
    bits, table = x.view(np.int32), log_table()
    part = (bits >> (23 - LOG_BITS)) & ((1 << LOG_BITS) - 1)
    mantissa = ((bits & 0x007FFFFF) | 0x3F800000).astype(np.int32).view(np.float32)
    r = mantissa * table[part, 0] - np.float32(1.0)
    series = r - (r * r) * np.float32(0.5)
    return np.asarray(((bits >> 23) - 127).astype(np.float32) * _LN2 + (table[part, 1] + series))


class FixedFrontEnd:
    """The fixed-point front end as a stream: counts in any portions, frames out; it stands in for DeviceFrontEnd."""

    def __init__(self, front_end: FrontEnd) -> None:
        spec = front_end.spec
        self._path = integer_path(spec, front_end.good_channels)
        # Without a reference, the integer path gives the held values themselves.
        self._conditioner = Conditioner(replace(self._path, reference="none", multiplier=1))
        self._factor = reference_factor(self._path)
        self.bands = [FixedBand(band, len(self._path.good)) for band in band_filters(spec)]
        self.normalizer = RunningNormalizer(normalizer_constants(front_end), np.float32)
        self._power_rate, self._floor_uv2 = np.float32(power_rate(spec)), np.float32(spec.floor_uv2)
        self._n_features = front_end.n_features
        self._columns = (np.arange(len(self.bands))[:, None] * front_end.n_channels + self._path.good).ravel()
        self._start_anew()

    def push(self, counts: Counts, missing: Bool | None = None) -> DeviceFrames:
        """Take (T, C) counts and (T,) missing (default none) and return the frames they finish."""
        conditioned = self._conditioner.push(counts, missing)
        z = np.zeros((len(conditioned.valid), self._n_features), dtype=np.float32)
        features = np.zeros_like(z)
        for frames in segments(conditioned.reset_before):
            if conditioned.reset_before[frames.start]:
                self._start_anew()
            values = self._features(conditioned.steps[frames])
            features[frames, self._columns] = values
            z[frames, self._columns] = self.normalizer.push(values, conditioned.valid[frames])
        return DeviceFrames(z, features, conditioned.valid, conditioned.artefact, conditioned.reset_before)

    def _start_anew(self) -> None:
        self.power = np.full((len(self.bands), len(self._path.good)), self._floor_uv2)
        self.reference = np.int64(0)
        self.followed: I32 = np.zeros(len(self._path.good), dtype=np.int32)
        for band in self.bands:
            band.reset()
        self.normalizer.reset()

    def _features(self, held: I32) -> F32:
        """(K, D, G) held values to (K, kinds * G) features."""
        rows = followed(held.reshape(-1, held.shape[2]), self.followed)
        self.followed = rows[-1]
        d = np.diff(rows, axis=0).astype(np.int64)
        of_rows = reference_of(held.reshape(-1, held.shape[2]), self._path) * self._factor
        references = np.append(self.reference, _shifted(of_rows, FACTOR_BITS - REFERENCE_BITS))
        self.reference, reference = references[-1], np.diff(references)
        mean_squares = np.stack([band.push(d, reference, len(held)) for band in self.bands], axis=1)
        power = np.empty_like(mean_squares)
        for k, mean_square in enumerate(mean_squares):
            self.power = self.power + self._power_rate * ((mean_square + self._floor_uv2) - self.power)
            power[k] = self.power
        return logarithm(power).reshape(len(held), -1)


def followed(held: I32, before: I32) -> I32:
    """Followers of (T, G) held values, which were at `before` (G,): (T + 1, G), `before` first."""
    rows = np.concatenate([before[None], held])
    # No step is too large for its follower, almost always.
    if np.abs(np.diff(rows, axis=0)).max(initial=0) > LARGEST_STEP:
        for t in range(1, len(rows)):
            rows[t] = rows[t - 1] + np.clip(rows[t] - rows[t - 1], -LARGEST_STEP - 1, LARGEST_STEP)
    return rows


def reference_of(held: I32, path: IntegerPath) -> I64:
    """(T,) reference of (T, G) held values, times the path's multiplier."""
    if path.reference == "average":
        return np.asarray(held.sum(axis=1, dtype=np.int64))
    if path.reference == "median":
        n_good, ordered = held.shape[1], np.sort(held, axis=1).astype(np.int64)
        return np.asarray(ordered[:, (n_good - 1) // 2] + ordered[:, n_good // 2])
    return np.zeros(len(held), dtype=np.int64)


class FixedBand:
    """One band of all channels and of the reference, which is the last column."""

    def __init__(self, band: BandFilter, n_good: int) -> None:
        self._band, self._n_good = band, n_good
        self.reset()

    def reset(self) -> None:
        """Set all states to zero."""
        self.states = np.zeros((len(self._band.pairs), 2, self._n_good + 1), dtype=np.int64)
        self.end: F32 = np.zeros(self._n_good, dtype=np.float32)

    def push(self, d: I64, reference: I64, n_frames: int) -> F32:
        """(T, G) differences and (T,) of the reference to (K, G) mean squares in uV^2, not below 0."""
        y = self.outputs(d, reference).reshape(n_frames, -1, self._n_good)
        squares = (y * y).sum(axis=1)
        mean_squares = _float_of(squares) * self._band.sum_scale
        if not len(self._band.end_scales):
            return _positive(mean_squares)
        ends = np.concatenate([self.end[None], self._ends(y.astype(np.float32))])
        self.end = ends[-1]
        return _positive(mean_squares + (ends[1:] - ends[:-1]))

    def outputs(self, d: I64, reference: I64) -> I64:
        """(T, G) differences and (T,) of the reference to (T / M, G) outputs of the filter."""
        total = np.zeros((len(d) // self._band.every, self._n_good + 1), dtype=np.int64)
        for i, pair in enumerate(self._band.pairs):
            sums = self._weighted(pair, d, reference)
            total += (_turned if pair.turned else _direct)(pair.recursion, sums, self.states[i])
        return np.asarray(total[:, :-1] - total[:, -1:])

    def _weighted(self, pair: PolePair, d: I64, reference: I64) -> I64:
        """F0 and F1, (2, N, G + 1)."""
        taps = pair.taps.astype(np.int64)
        of_channels = np.tensordot(taps, d.reshape(-1, self._band.every, self._n_good), (1, 1))
        of_reference = np.tensordot(taps, reference.reshape(-1, self._band.every), (1, 1))
        return np.concatenate([of_channels, _shifted(of_reference, REFERENCE_BITS)[..., None]], axis=-1)

    def _ends(self, y: F32) -> F32:
        scales = self._band.end_scales
        total: F32 = scales[0] * (y[:, -1] * y[:, -1])
        for i, scale in enumerate(scales[1:], start=2):
            total = total + scale * (y[:, -i] * y[:, -i])
        return total


def _direct(recursion: tuple[int, int, int], sums: I64, states: I64) -> I64:
    a, b, _ = recursion
    q1, q2 = states
    outputs: I64 = np.empty_like(sums[0])
    for n, (f0, f1) in enumerate(zip(*sums, strict=True)):
        v = f0 + q1
        q1 = f1 + 4 * (q2 + (a * v >> 16))
        q2 = b * v >> 16
        outputs[n] = v
    states[:] = q1, q2
    return outputs


def _turned(recursion: tuple[int, int, int], sums: I64, states: I64) -> I64:
    a, b, c = recursion
    u, w = states
    outputs: I64 = np.empty_like(sums[0])
    for n, (f0, f1) in enumerate(zip(*sums, strict=True)):
        turned = f0 + 2 * _high(_high(0, a, u), b, w)
        w = f1 + 2 * _high(_high(0, c, u), a, w)
        u = outputs[n] = turned
    states[:] = u, w
    return outputs


def _high(start: I64 | int, a: int, b: I64) -> I64:
    """The upper word of a sum and a product, rounded."""
    return np.asarray(((start << 32) + a * b + (1 << 31)) >> 32)


def _shifted(values: I64, shift: int) -> I64:
    return np.asarray((values + (1 << (shift - 1))) >> shift)


def _positive(values: F32) -> F32:
    return np.where(values >= TINY, values, np.float32(0.0))


def _float_of(total: I64) -> F32:
    """Of 64 bits, word by word."""
    high, low = (total >> 32).astype(np.float32), (total & 0xFFFFFFFF).astype(np.float32)
    return high * _TWO_32 + low
