"""From a fast recording to LFP at our rate, causally and block by block.

    anti-alias   elliptic low-pass: 0.1 dB of ripple up to 0.4 of the new rate, 70 dB down from 0.5 of it on
    new samples  linear between the two filtered samples around a moment one old sample earlier, so that nothing ahead
                 of an output's own time is touched

From 24.4 kHz to 1 kHz: passes 400 Hz, nothing folds back; everything slow comes out 2 ms late (a test measures it).
The filter begins as if each channel had always held its first value: electrodes have offsets of millivolts.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
from scipy import signal

from edgebci.errors import InputError
from edgebci.recordings.model import F64

PASS, STOP = 0.4, 0.5
"""Of the new rate."""
RIPPLE_DB, STOP_DB = 0.1, 70.0
GAP_SAMPLES = 2.5
"""Old samples between two timestamps from which on samples are missing."""


class Piece(NamedTuple):
    """Consecutive new samples."""

    first: int
    """Grid point of the first: its time is start_s + first / new rate."""
    samples: F64
    """(N, C)."""


class CausalDecimator:
    """Old samples in, in blocks of any length; new samples out. The cut into blocks does not show in the result.

    Args:
        rate_hz: of the old samples.
        new_rate_hz: at most that.
        first_s: time of the first old sample.

    Raises:
        InputError: the new rate is above the old one.
    """

    def __init__(self, rate_hz: float, new_rate_hz: float, first_s: float) -> None:
        if new_rate_hz > rate_hz * (1 + 1e-6):
            raise InputError(
                f"the recording has {rate_hz:g} samples per second and cannot be brought to {new_rate_hz:g}; "
                "choose a lower rate"
            )
        self.new_rate_hz, self.period_s = new_rate_hz, 1 / rate_hz
        self.start_s = first_s + self.period_s
        self._sos = anti_alias(rate_hz, new_rate_hz)
        self._next = 0
        self._last_s: float | None = None
        self._last: F64 = np.empty((0, 0))
        self._state: F64 = np.empty(0)

    def push(self, times_s: F64, samples: F64) -> list[Piece]:
        """Take old samples (T, C) with their times (T,), ascending; give the new ones that they finish, gaps left out.

        Raises:
            InputError: times go backwards.
        """
        before = times_s[:1] if self._last_s is None else np.array([self._last_s])
        steps = np.diff(times_s, prepend=before)
        if np.any(steps < 0):
            wrong = times_s[int(np.argmin(steps))]
            raise InputError(f"the timestamps go backwards at {wrong:.6f} s; correct them in the file")
        edges = [0, *np.flatnonzero(steps > GAP_SAMPLES * self.period_s).tolist(), len(times_s)]
        pieces = []
        for i, (start, stop) in enumerate(itertools.pairwise(edges)):
            if stop > start:
                begins = i > 0 or self._last_s is None
                pieces.append(self._contiguous(times_s[start:stop], samples[start:stop], begins))
        return [piece for piece in pieces if len(piece.samples)]

    def _contiguous(self, times_s: F64, samples: F64, begins: bool) -> Piece:
        if begins:
            self._state = signal.sosfilt_zi(self._sos)[:, :, None] * samples[0]
            self._last_s, self._last = None, samples[:0]
        filtered, self._state = signal.sosfilt(self._sos, samples, axis=0, zi=self._state)
        known_s = times_s if self._last_s is None else np.concatenate([[self._last_s], times_s])
        known = np.concatenate([self._last, filtered])
        self._last_s, self._last = float(times_s[-1]), filtered[-1:]
        return self._new_samples(known_s, known)

    def _new_samples(self, known_s: F64, known: F64) -> Piece:
        """Grid points whose moment, one old sample early, lies within the known filtered samples."""
        # A hair of slack: times are sums of floats.
        first, last = ((s - self.start_s + self.period_s) * self.new_rate_hz for s in (known_s[0], known_s[-1]))
        points = np.arange(max(self._next, int(np.ceil(first - 1e-6))), int(np.floor(last + 1e-6)) + 1)
        if not len(points):
            return Piece(self._next, known[:0])
        self._next = int(points[-1]) + 1
        moments_s = self.start_s - self.period_s + points / self.new_rate_hz
        before = np.clip(np.searchsorted(known_s, moments_s, side="right") - 1, 0, max(len(known_s) - 2, 0))
        after = np.minimum(before + 1, len(known_s) - 1)
        width = np.maximum(known_s[after] - known_s[before], 1e-3 * self.period_s)
        share = np.clip((moments_s - known_s[before]) / width, 0.0, 1.0)[:, None]
        return Piece(int(points[0]), (1 - share) * known[before] + share * known[after])


def anti_alias(rate_hz: float, new_rate_hz: float) -> F64:
    """Second-order sections of the filter; one that passes everything where the rates are the same."""
    if abs(rate_hz / new_rate_hz - 1) < 1e-3:
        return np.array([[1.0, 0.0, 0.0, 1.0, 0.0, 0.0]])
    edges = (PASS * new_rate_hz, STOP * new_rate_hz)
    order, corner = signal.ellipord(*edges, RIPPLE_DB, STOP_DB, fs=rate_hz)
    sos: F64 = signal.ellip(order, RIPPLE_DB, STOP_DB, corner, fs=rate_hz, output="sos")
    return sos
