"""Finding where a recording can't be trusted, in one pass over its stored samples.

    rail     a sample at the recorder's limit. For integers that limit is known: a channel's extreme value is a power
             of two of some converter (-128, 127, 2047, ...). For floats it shows: ten visits of three equal samples
             or more to exactly the same extreme value.
    dropout  NaN, or one value for half a second or more.

A channel that is out for more than half of the time in which another one is not is dead: it is reported as such
and its own faults do not count as faults of the recording.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgebci.recordings.intervals import runs, total, union, where_at_least
from edgebci.recordings.model import F64

FLAT_S = 0.5
JOIN_S = 0.05
CONVERTER_BITS = (8, 10, 12, 14, 16, 18, 20, 22, 24, 32)
VISITS, VISIT_SAMPLES = 10, 3
Samples = NDArray[np.generic]


@dataclass(frozen=True)
class Quality:
    """Intervals (K, 2) in samples in which a living channel is out, and which channels live, (C,) bool."""

    rail: F64
    dropout: F64
    good: NDArray[np.bool_]


class QualityScan:
    """Give it every block of stored samples in order, then ask for the result."""

    def __init__(self, rate_hz: float, n_channels: int) -> None:
        self._flat_samples = max(3, round(FLAT_S * rate_hz))
        self._join = JOIN_S * rate_hz
        self._dropout: list[list[F64]] = [[] for _ in range(n_channels)]
        self._top, self._bottom = (_Extreme(n_channels, sign) for sign in (1, -1))
        self._tail: Samples = np.empty((0, n_channels))
        self._next = 0

    def push(self, start: int, stored: Samples) -> None:
        """Take the stored samples (T, C), before any scaling, that begin at sample `start`."""
        if start != self._next:
            self.push_gap(self._next, start)
        # Most of a sparse recording is nothing at all, and its first sample tells.
        if np.isnan(stored[0]).all() and np.isnan(stored).all():
            self._out_everywhere(start, len(stored))
        else:
            self._scan(start, stored)
        self._tail = np.concatenate([self._tail, stored[-self._flat_samples :]])[-self._flat_samples :]
        self._next = start + len(stored)

    def push_gap(self, start: int, stop: int) -> None:
        """Take samples that were never recorded."""
        self._out_everywhere(start, stop - start)
        self._tail = self._tail[:0]
        self._next = stop

    def finish(self) -> Quality:
        """Sum up."""
        dropout = [union(rows) for rows in self._dropout]
        # A channel that never moves is flat, not at a rail.
        moves = self._top.value > -self._bottom.value
        both = zip(self._top.rails(), self._bottom.rails(), moves, strict=True)
        rail = [union([*top, *bottom] if moving else []) for top, bottom, moving in both]
        out = [union([d, r]) for d, r in zip(dropout, rail, strict=True)]
        all_out = where_at_least(out, len(out))
        witnessed = self._next - total(all_out)
        good = np.array([total(rows) - total(all_out) <= 0.5 * witnessed for rows in out])
        if total(all_out) >= self._next:
            good[:] = False
        living = np.flatnonzero(good)
        return Quality(
            rail=union([rail[c] for c in living], self._join),
            dropout=union([where_at_least(dropout, len(dropout)), *(dropout[c] for c in living)], self._join),
            good=good,
        )

    def _out_everywhere(self, start: int, n_samples: int) -> None:
        row = np.array([[start, start + n_samples]], dtype=np.float64)
        for rows in self._dropout:
            rows.append(row)

    def _scan(self, start: int, stored: Samples) -> None:
        low, high = stored.min(axis=0), stored.max(axis=0)
        holed = np.isnan(low)
        for c in np.flatnonzero(holed):
            self._dropout[c].append(start + runs(np.isnan(stored[:, c])).astype(np.float64))
        self._find_flat(start, stored, low == high)
        for c in np.flatnonzero(holed):
            seen = stored[~np.isnan(stored[:, c]), c]
            # Of a channel with holes the extremes of what it has; where it has nothing, NaN reaches no extreme.
            low[c], high[c] = (seen.min(), seen.max()) if len(seen) else (np.nan, np.nan)
        self._top.push(start, stored, high)
        self._bottom.push(start, stored, low)

    def _find_flat(self, start: int, stored: Samples, constant: NDArray[np.bool_]) -> None:
        """Runs of one value, with the last samples of the block before, so that none is lost between two blocks."""
        window = np.concatenate([self._tail.astype(stored.dtype), stored])
        origin = start - len(self._tail)
        # A run of n samples covers two neighbours on a grid of n // 2: looking there first skips nearly every channel.
        grid = window[:: max(1, self._flat_samples // 2)]
        suspect = (grid[1:] == grid[:-1]).any(axis=0)
        long_enough = len(stored) >= self._flat_samples
        for c in np.flatnonzero(suspect):
            if constant[c] and long_enough:
                before = _equal_at_end(self._tail[:, c], stored[0, c])
                rows = np.array([[start - before, start + len(stored)]], dtype=np.float64)
            else:
                equal = runs(window[1:, c] == window[:-1, c]) + np.array([0, 1])
                rows = (origin + equal[equal[:, 1] - equal[:, 0] >= self._flat_samples]).astype(np.float64)
            self._dropout[c].append(rows)


def _equal_at_end(column: Samples, value: np.generic) -> int:
    different = np.flatnonzero(column != value)
    return len(column) - 1 - int(different[-1]) if len(different) else len(column)


class _Extreme:
    """The largest (sign 1) or smallest (sign -1) value of each channel so far, and where it was reached."""

    def __init__(self, n_channels: int, sign: int) -> None:
        self._sign = sign
        self.value = np.full(n_channels, -np.inf)
        self._integer, self._unsigned = False, False
        self._visits: list[list[F64]] = [[] for _ in range(n_channels)]

    def push(self, start: int, stored: Samples, extreme: Samples) -> None:
        """Take a block (T, C) and the extreme of each channel in it."""
        self._integer, self._unsigned = stored.dtype.kind in "iu", stored.dtype.kind == "u"
        signed = self._sign * extreme.astype(np.float64)
        for c in np.flatnonzero(signed >= self.value):
            if signed[c] > self.value[c]:
                self.value[c] = signed[c]
                self._visits[c] = []
            self._visits[c].append(start + runs(stored[:, c] == extreme[c]).astype(np.float64))

    def rails(self) -> list[list[F64]]:
        """For each channel the intervals at its extreme, if that extreme is a rail."""
        return [visits if self._is_rail(c, union(visits)) else [] for c, visits in enumerate(self._visits)]

    def _is_rail(self, c: int, visits: F64) -> bool:
        if self._integer and self._sign * self.value[c] in self._limits():
            return True
        return int(np.sum(visits[:, 1] - visits[:, 0] >= VISIT_SAMPLES)) >= VISITS

    def _limits(self) -> set[float]:
        if self._unsigned:
            return {0.0} if self._sign < 0 else {2.0**bits - 1 for bits in CONVERTER_BITS}
        return {-(2.0 ** (bits - 1)) if self._sign < 0 else 2.0 ** (bits - 1) - 1 for bits in CONVERTER_BITS}
