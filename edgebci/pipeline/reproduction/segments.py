"""REALM's published split: segments of 5 s, drawn at random into 72 % training, 8 % validation and 20 % test.

    order = randperm(n), seeded with seed + md5(session) mod 2^31
    cut at floor(0.72 n) and floor(0.80 n)

Of Flint, whole windows of 10 s are first left out where the hand's speed varies beyond Tukey's fence; of the rest,
pairs of segments are drawn, so that both halves of a window land in one part. Neighbouring segments of training and
test touch: that is the published protocol, not a recommendation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Permutation = Callable[[int, int], list[int]]
"""(seed, n) to the numbers 0 to n - 1 in random order; the published one is torch's."""

SEGMENT_FRAMES = 500
"""5 s at 100 Hz."""
WINDOW_FRAMES = 2 * SEGMENT_FRAMES
TRAIN, TRAIN_AND_VALIDATION = 0.72, 0.80


@dataclass(frozen=True)
class SegmentSplit:
    """Numbers of the segments of each part, in the order in which they were drawn."""

    train: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]

    @property
    def counts(self) -> tuple[int, int, int]:
        """Of training, validation, test."""
        return len(self.train), len(self.validation), len(self.test)


def draw(session: str, n_segments: int, seed: int, permutation: Permutation, in_pairs: bool) -> SegmentSplit:
    """Split a session's segments; `session` by the name that the papers give it, for it is a part of the seed."""
    n_drawn = n_segments // 2 if in_pairs else n_segments
    order = permutation(session_seed(session, seed), n_drawn)
    # Rounded first: 0.80 of a hundred must not become 79.
    cuts = [int(round(share * n_drawn, 9)) for share in (TRAIN, TRAIN_AND_VALIDATION)]
    parts = (order[: cuts[0]], order[cuts[0] : cuts[1]], order[cuts[1] :])
    return SegmentSplit(*(_halves(part) if in_pairs else tuple(part) for part in parts))


def session_seed(session: str, seed: int) -> int:
    """What the published split seeds its generator with."""
    return seed + int(hashlib.md5(session.encode(), usedforsecurity=False).hexdigest(), 16) % 2**31


def segment_starts(velocity: NDArray[np.floating], leave_out_artefacts: bool) -> NDArray[np.int64]:
    """First frame of each segment (n,) of a session whose frames have these velocities (K, D)."""
    if not leave_out_artefacts:
        return np.arange(len(velocity) // SEGMENT_FRAMES, dtype=np.int64) * SEGMENT_FRAMES
    windows = np.flatnonzero(calm_windows(velocity)) * WINDOW_FRAMES
    return np.stack([windows, windows + SEGMENT_FRAMES], axis=1).ravel().astype(np.int64)


def calm_windows(velocity: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Which windows of 10 s have a standard deviation of velocity, over time and axes, under Tukey's upper fence (n,).

    The axes count alike: each is standardised over the session first.
    """
    z = (velocity - velocity.mean(axis=0)) / np.maximum(velocity.std(axis=0), 1e-12)
    n_windows = len(z) // WINDOW_FRAMES
    spread = z[: n_windows * WINDOW_FRAMES].reshape(n_windows, WINDOW_FRAMES, -1).std(axis=(1, 2))
    low, high = np.percentile(spread, (25, 75)) if n_windows else (0.0, 0.0)
    calm: NDArray[np.bool_] = spread <= high + 1.5 * (high - low)
    return calm


def _halves(windows: list[int]) -> tuple[int, ...]:
    return tuple(2 * window + half for window in windows for half in (0, 1))
