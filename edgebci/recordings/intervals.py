"""Sets of intervals as (K, 2) arrays of start and end."""

from __future__ import annotations

import numpy as np

from edgebci.recordings.model import F64


def union(sets: list[F64]) -> F64:
    """Merge sets of (K, 2) intervals into one ascending, disjoint set."""
    rows = np.concatenate(sets) if sets else np.empty((0, 2))
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    if not len(rows):
        return rows
    ends = np.maximum.accumulate(rows[:, 1])
    first = np.concatenate([[True], rows[1:, 0] > ends[:-1]])
    last = np.concatenate([first[1:], [True]])
    return np.stack([rows[first, 0], ends[last]], axis=1)
