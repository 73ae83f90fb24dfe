"""Sets of intervals as (K, 2) arrays of start and end, in seconds or samples."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgebci.recordings.model import F64


def union(sets: list[F64], join_gap: float = 0.0) -> F64:
    """Merge sets of intervals into one ascending, disjoint set; those at most `join_gap` apart become one."""
    rows = np.concatenate([np.empty((0, 2)), *sets])
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    if not len(rows):
        return rows
    ends = np.maximum.accumulate(rows[:, 1])
    first = np.concatenate([[True], rows[1:, 0] > ends[:-1] + join_gap])
    last = np.concatenate([first[1:], [True]])
    return np.stack([rows[first, 0], ends[last]], axis=1)


def where_at_least(sets: list[F64], count: int) -> F64:
    """Where at least `count` of the sets, each ascending and disjoint, hold at once."""
    rows = np.concatenate([np.empty((0, 2)), *sets])
    times, place = np.unique(rows.ravel(), return_inverse=True)
    depth = np.zeros(len(times) + 1, dtype=np.int64)
    np.add.at(depth, place.reshape(-1, 2)[:, 0], 1)
    np.add.at(depth, place.reshape(-1, 2)[:, 1], -1)
    inside = np.cumsum(depth) >= count
    return times[runs(inside)] if len(times) else np.empty((0, 2))


def runs(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """First index and one past the last (K, 2) of every run of True in a mask (T,)."""
    padded = np.concatenate([[False], mask, [False]])
    return np.flatnonzero(padded[1:] != padded[:-1]).reshape(-1, 2)


def total(rows: F64) -> float:
    """Summed length of a disjoint set."""
    return float(np.sum(rows[:, 1] - rows[:, 0]))
