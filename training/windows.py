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

MINIMUM_WINDOWS = 4
"""Below this, an epoch says nothing about a recording."""


def pieces(data: DecodingData, part: Part) -> list[Interval]:
    """The stretches of a part in which the front end ran without a break."""
    return [piece for start, stop in data.intervals(part) for piece in data.segments(start, stop)]


def require_enough(data: DecodingData, window_frames: int) -> None:
    """Refuse training intervals that hold fewer than `MINIMUM_WINDOWS` windows, or targets that never change."""
    found = sum((stop - start) // window_frames for start, stop in pieces(data, "train"))
    if found < MINIMUM_WINDOWS:
        raise InputError(
            f"the training intervals hold {found} windows of {window_frames} frames where at least {MINIMUM_WINDOWS} "
            "are needed; record longer or choose a smaller window_frames"
        )
    constant = np.ptp(data.targets[data.rows("train")], axis=0) == 0
    if constant.any():
        name = data.target_names[int(np.argmax(constant))]
        raise InputError(f"the target {name!r} is constant in the training intervals; choose one that varies")


def window_starts(rng: np.random.Generator, intervals: list[Interval], window_frames: int) -> npt.NDArray[np.int64]:
    """Tile each interval with windows from a random offset, in random order: frames are seen about equally often."""
    starts: list[int] = []
    for start, stop in intervals:
        last = stop - window_frames
        if last >= start:
            offset = int(rng.integers(0, min(window_frames, last - start + 1)))
            starts.extend(range(start + offset, last + 1, window_frames))
    return rng.permutation(np.array(starts, dtype=np.int64))


def session_windows(
    rng: np.random.Generator, sessions: Sequence[Session], part: Part, window_frames: int
) -> npt.NDArray[np.int64]:
    """Windows of one part of several sessions, each tiled as in `window_starts`: rows [session, start] in random order.

    Sessions are mixed, so that a batch holds several.
    """
    rows = [
        np.stack([np.full(len(starts), i), starts], axis=1)
        for i, session in enumerate(sessions)
        for starts in [window_starts(rng, pieces(session.data, part), window_frames)]
    ]
    return rng.permutation(np.concatenate([*rows, np.empty((0, 2), dtype=np.int64)]).astype(np.int64))


def gather(values: Tensor, starts: npt.NDArray[np.int64], window_frames: int) -> Tensor:
    """Windows (b, T, ...) of a recording (K, ...)."""
    index = torch.from_numpy(starts)[:, None] + torch.arange(window_frames)
    return values[index]
