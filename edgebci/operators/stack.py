"""The last frames of a stream side by side: what a readout over lags sees.

Row j is j frames old; frames before the stream began are zero. The state (lags, width) holds the rows that the next
frame needs, the newest first. The same in float, and in int8 counts, where nothing is rounded.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Row = TypeVar("Row", bound=np.generic)
STACK = "stack.readout"


def windows(before: NDArray[Row], newest: NDArray[Row]) -> NDArray[Row]:
    """For each of T steps the rows from the newest to the oldest (T, k, H), from the k - 1 before and (T, H)."""
    rows = np.concatenate([before[::-1], newest])
    k = len(before) + 1
    return np.stack([rows[t : t + k][::-1] for t in range(len(newest))])


def stacked(before: NDArray[Row], newest: NDArray[Row]) -> tuple[NDArray[Row], NDArray[Row]]:
    """Rows side by side (T, (lags + 1) H), and the state after each step (T, lags, H)."""
    rows = windows(before, newest)
    return rows.reshape(len(rows), -1), rows[:, :-1]
