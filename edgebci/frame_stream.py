"""A stretch of normalised frames with the moments at which a decoder starts anew, and what it should have said."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgebci.arithmetic import F32
from edgebci.decoding_data import DecodingData, Part


@dataclass(frozen=True, eq=False)
class FrameStream:
    """Frames in order of time; fields share their first axis, T."""

    frames: F32
    """(T, n_inputs)."""
    reset_before: NDArray[np.bool_]
    """(T,) true where the states start from zero: at the first frame of an interval and after a reset of features."""
    truth: NDArray[np.float64]
    """(T, n_outputs) behaviour in its own unit."""
    scored: NDArray[np.bool_]
    """(T,) frames that count."""

    def __len__(self) -> int:
        return len(self.frames)


def part_stream(data: DecodingData, part: Part) -> FrameStream:
    """One part of a recording, its intervals one after another."""
    intervals = data.intervals(part)
    frames = np.concatenate([np.arange(start, stop) for start, stop in intervals])
    resets = np.zeros(len(data.frames), bool) if data.reset_before is None else data.reset_before.copy()
    resets[[start for start, _ in intervals]] = True
    return FrameStream(
        frames=data.frames[frames],
        reset_before=resets[frames],
        truth=data.targets[frames].astype(np.float64),
        scored=data.valid[frames],
    )
