"""Cutting training intervals into windows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from edgebci.decoding_data import DecodingData, Interval, Part
from edgebci.errors import InputError
from edgebci.session import Session

Starts = npt.NDArray[np.int64]
"""First frames of windows (n,)."""
MINIMUM_WINDOWS = 4
"""Below this, an epoch says nothing about a recording."""
LEAST_VALID = 0.5
"""Share of a window's frames that must count: a mean over a handful of them is noise, and over none it is NaN."""


def pieces(data: DecodingData, part: Part) -> list[Interval]:
    """The stretches of a part in which the front end ran without a break."""
    return [piece for start, stop in data.intervals(part) for piece in data.segments(start, stop)]


def require_enough(data: DecodingData, window_frames: int) -> None:
    """Refuse training intervals that hold fewer than `MINIMUM_WINDOWS` windows, or targets that never change."""
    found = len(tiles(pieces(data, "train"), window_frames, data.valid))
    if found < MINIMUM_WINDOWS:
        raise InputError(
            f"the training intervals hold {found} windows of {window_frames} mostly valid frames where at least "
            f"{MINIMUM_WINDOWS} are needed; record longer or choose a smaller window_frames"
        )
    constant = np.ptp(data.targets[data.rows("train")], axis=0) == 0
    if constant.any():
        name = data.target_names[int(np.argmax(constant))]
        raise InputError(f"the target {name!r} is constant in the training intervals; choose one that varies")


def tiles(intervals: Sequence[Interval], window_frames: int, valid: npt.NDArray[np.bool_]) -> Starts:
    """Windows side by side from the start of each interval, but for those that hold too little; `valid` is (K,)."""
    starts = [range(start, stop - window_frames + 1, window_frames) for start, stop in intervals]
    return _mostly_valid(np.array([k for tile in starts for k in tile], dtype=np.int64), window_frames, valid)


def _mostly_valid(starts: Starts, window_frames: int, valid: npt.NDArray[np.bool_]) -> Starts:
    """Those windows of which at least `LEAST_VALID` is valid."""
    counted = np.concatenate([[0], np.cumsum(valid)])
    kept: Starts = starts[counted[starts + window_frames] - counted[starts] >= LEAST_VALID * window_frames]
    return kept


def window_starts(
    rng: np.random.Generator, intervals: Sequence[Interval], window_frames: int, valid: npt.NDArray[np.bool_]
) -> Starts:
    """Tile each interval with windows from a random offset, in random order: frames are seen about equally often.

    Windows that hold too little are left out, as in `tiles`, whose windows these are where the offset leaves none.
    """
    starts: list[int] = []
    for start, stop in intervals:
        last = stop - window_frames
        if last >= start:
            offset = int(rng.integers(0, min(window_frames, last - start + 1)))
            starts.extend(range(start + offset, last + 1, window_frames))
    kept = _mostly_valid(np.array(starts, dtype=np.int64), window_frames, valid)
    return rng.permutation(kept if len(kept) else tiles(intervals, window_frames, valid))


def session_windows(
    rng: np.random.Generator, sessions: Sequence[Session], part: Part, window_frames: int
) -> npt.NDArray[np.int64]:
    """Windows of one part of several sessions, each tiled as in `window_starts`: rows [session, start] in random order.

    Sessions are mixed, so that a batch holds several.
    """
    rows = [
        np.stack([np.full(len(starts), i), starts], axis=1)
        for i, session in enumerate(sessions)
        for starts in [window_starts(rng, pieces(session.data, part), window_frames, session.data.valid)]
    ]
    return rng.permutation(np.concatenate([*rows, np.empty((0, 2), dtype=np.int64)]).astype(np.int64))


def gather(values: Tensor, starts: Starts, window_frames: int) -> Tensor:
    """Windows (b, T, ...) of a recording (K, ...)."""
    index = torch.from_numpy(starts)[:, None] + torch.arange(window_frames)
    return values[index]
