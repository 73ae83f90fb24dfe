"""From counts to referenced integers: offset, missing rows, saturation, reference. Exact, so every form shares it.

Only good channels exist here; dead ones are dropped from the row on arrival. Per row of counts, in this order:

    for each good channel c
        if the row is missing:                flagged += 1;  if not hold: held[c] = 0
        else if count is at a rail:           flagged += 1                    (held[c] stays: the last good value)
        else:  if not known[c]: offset[c] = count, known[c] = 1
               held[c] = count - offset[c]
    reference = sum of held (average) | two middle values of sorted held, added (median; the middle one twice if
                G is odd) | 0 (none)
    step[c] = multiplier * held[c] - reference                                 (int32, exact)
    missing_run = missing_run + 1 if the row is missing, else 0
    if missing_run >= reset_after_samples: reset_due = 1

Per frame, every samples_per_frame rows (a missing row counts, so frames keep their rhythm):

    at its first row:  if reset_due: held = 0, known = 0, frames = 0, reset_due = 0, reset_before = 1
                       (filters, power averages, normaliser and decoder state start anew too; missing_run goes on)
    at its last row:   frames += 1
                       artefact = flagged > flagged_limit;  flagged = 0
                       valid    = frames > startup_frames and not artefact
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgebci.arithmetic import I32
from edgebci.features.coefficients import IntegerPath
from edgebci.features.front_end import Bool
from edgebci.features.specification import Counts


@dataclass(frozen=True)
class Conditioned:
    """K whole frames.

    Fields:
        steps: (K, D, G) int32 in units of uv_per_step.
        valid, artefact: (K,) bool.
        reset_before: (K,) bool: everything starts anew with this frame.
    """

    steps: I32
    valid: Bool
    artefact: Bool
    reset_before: Bool


def segments(reset_before: Bool) -> list[slice]:
    """Runs of frames without a reset inside; a reset, where there is one, is before the first of a run."""
    n_frames = len(reset_before)
    starts = sorted({0, *np.flatnonzero(reset_before).tolist()}) if n_frames else []
    return [slice(start, stop) for start, stop in zip(starts, [*starts[1:], n_frames], strict=True)] if starts else []


class Conditioner:
    """The integer path as a stream: give it rows in any portions, it returns the frames they finish."""

    def __init__(self, path: IntegerPath) -> None:
        self._path = path
        n_good = len(path.good)
        self._pending_counts: I32 = np.zeros((0, n_good), dtype=np.int32)
        self._pending_missing: Bool = np.zeros(0, dtype=bool)
        self._missing_run = 0
        self._reset_due = False
        self._frames_since_start = 0
        self._start_anew()

    def push(self, counts: Counts, missing: Bool | None = None) -> Conditioned:
        """Take (T, C) counts (a missing row's counts are ignored) and (T,) missing; return the frames finished."""
        assert counts.shape == (len(counts), self._path.n_channels), "counts are (T, C)"
        absent = np.zeros(len(counts), dtype=bool) if missing is None else missing
        good = counts[:, self._path.good].astype(np.int32)
        good = np.concatenate([self._pending_counts, good]) if len(self._pending_counts) else good
        absent = np.concatenate([self._pending_missing, absent])
        whole = len(good) - len(good) % self._path.samples_per_frame
        self._pending_counts, self._pending_missing = good[whole:], absent[whole:]
        return self._frames(good[:whole], absent[:whole])

    def _frames(self, counts: I32, missing: Bool) -> Conditioned:
        d = self._path.samples_per_frame
        reset_before = self._resets(missing)
        n_frames = len(reset_before)
        steps = np.empty((n_frames, d, counts.shape[1]), dtype=np.int32)
        result = Conditioned(steps, np.empty(n_frames, bool), np.empty(n_frames, bool), reset_before)
        for frames in segments(reset_before):
            if reset_before[frames.start]:
                self._start_anew()
            rows = slice(frames.start * d, frames.stop * d)
            held, flagged = self._held(counts[rows], missing[rows])
            steps[frames] = self._referenced(held).reshape(-1, d, counts.shape[1])
            age = self._frames_since_start + np.arange(1, frames.stop - frames.start + 1)
            self._frames_since_start = int(age[-1])
            artefact = flagged.reshape(-1, d).sum(axis=1) > self._path.flagged_limit
            result.artefact[frames] = artefact
            result.valid[frames] = (age > self._path.startup_frames) & ~artefact
        return result

    def _start_anew(self) -> None:
        n_good = len(self._path.good)
        self._held_values: I32 = np.zeros(n_good, dtype=np.int32)
        self._offsets: I32 = np.zeros(n_good, dtype=np.int32)
        self._known: Bool = np.zeros(n_good, dtype=bool)
        self._frames_since_start = 0

    def _resets(self, missing: Bool) -> Bool:
        """Which frames begin with a reset: those after a frame in which the missing run reached its limit."""
        reached = self._missing_runs(missing) >= self._path.reset_after_samples
        due = reached.reshape(-1, self._path.samples_per_frame).any(axis=1)
        before = np.concatenate([[self._reset_due], due])
        self._reset_due = bool(before[-1])
        return before[:-1]

    def _missing_runs(self, missing: Bool) -> NDArray[np.intp]:
        """Length of the run of missing rows that ends at each row."""
        count = np.arange(1, len(missing) + 1)
        last_present = np.maximum.accumulate(np.where(missing, 0, count))
        runs: NDArray[np.intp] = np.where(last_present == 0, count + self._missing_run, count - last_present)
        if len(runs):
            self._missing_run = int(runs[-1])
        return runs

    def _held(self, counts: I32, missing: Bool) -> tuple[I32, NDArray[np.intp]]:
        """Differences from the offset with every gap filled, (T, G), and the number of flagged channels per row."""
        path = self._path
        usable = (counts > path.lowest_count) & (counts < path.highest_count) & ~missing[:, None]
        self._learn_offsets(counts, usable)
        differences = counts - self._offsets
        if not usable.all():
            zero = missing[:, None] & (not path.hold)
            differences = _fill_forward(np.where(usable, differences, 0), usable | zero, self._held_values)
        self._held_values = differences[-1]
        return differences, (~usable).sum(axis=1)

    def _learn_offsets(self, counts: I32, usable: Bool) -> None:
        """The offset of a channel is its first usable count."""
        if self._known.all():
            return
        new = usable.any(axis=0) & ~self._known
        self._offsets = np.where(new, counts[usable.argmax(axis=0), np.arange(counts.shape[1])], self._offsets)
        self._known = self._known | new

    def _referenced(self, held: I32) -> I32:
        n_good = held.shape[1]
        if self._path.reference == "average":
            reference = held.sum(axis=1, dtype=np.int32)
        elif self._path.reference == "median":
            ranked = np.partition(held, [(n_good - 1) // 2, n_good // 2], axis=1)
            reference = ranked[:, (n_good - 1) // 2] + ranked[:, n_good // 2]
        else:
            return held
        steps: I32 = np.int32(self._path.multiplier) * held - reference[:, None]
        return steps


def _fill_forward(values: I32, known: Bool, first: I32) -> I32:
    """Replace each unknown value by the last known one of its column, or by `first` before there is one."""
    rows = np.arange(1, len(values) + 1)[:, None]
    source = np.maximum.accumulate(np.where(known, rows, 0), axis=0)
    return np.take_along_axis(np.concatenate([first[None], values]), source, axis=0)
