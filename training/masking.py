"""Which frames masked autoencoding hides: contiguous blocks, so that a neighbour does not give the answer away."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def block_mask(
    rng: np.random.Generator, shape: tuple[int, int], fraction: float, shortest: int, longest: int
) -> npt.NDArray[np.bool_]:
    """Hide exactly round(fraction * T) frames of each window, in blocks of `shortest` to `longest` frames.

    Blocks may touch or overlap; the last one is cut so that the count is exact.

    Returns:
        True where hidden, of `shape` (b, T).
    """
    return np.stack([_one_window(rng, shape[1], fraction, shortest, longest) for _ in range(shape[0])])


def _one_window(
    rng: np.random.Generator, frames: int, fraction: float, shortest: int, longest: int
) -> npt.NDArray[np.bool_]:
    mask = np.zeros(frames, dtype=np.bool_)
    wanted = round(fraction * frames)
    while (left := wanted - int(mask.sum())) > 0:
        length = int(rng.integers(shortest, longest + 1))
        start = int(rng.integers(1 - length, frames))
        open_frames = np.flatnonzero(~mask[max(start, 0) : start + length]) + max(start, 0)
        mask[open_frames[:left]] = True
    return mask
