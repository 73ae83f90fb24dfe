"""Counts that drive a device program to its ends, for proofs of equal bits; beside slow noise and a real recording."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgebci.edge_student import EdgeStudent, lfp_like_counts
from edgebci.features.specification import Counts
from edgebci.recordings import open_recording

Kind = Callable[[EdgeStudent, int, int], Counts]


def rails(student: EdgeStudent, n_frames: int, seed: int) -> Counts:
    """Converters that stay at a rail, each channel for some samples."""
    rng = np.random.default_rng(seed)
    return np.where(_held(student, n_frames, rng) < 0.5, *_limits(student)[::-1]).astype(np.int16)


def steps(student: EdgeStudent, n_frames: int, seed: int) -> Counts:
    """Levels that jump anywhere in the range and stay there for seconds."""
    rng = np.random.default_rng(seed)
    low, high = _limits(student)
    levels = low + (high - low) * _held(student, n_frames, rng, 997)
    return levels.astype(np.int16)


def silence(student: EdgeStudent, n_frames: int, seed: int) -> Counts:
    """Slow noise for a tenth of the time, then the first row, which filters take for zero, until every one ran out."""
    counts = lfp_like_counts(student, n_frames, seed).astype(np.int16)
    counts[len(counts) // 10 :] = counts[0]
    return counts


def full_scale_noise(student: EdgeStudent, n_frames: int, seed: int) -> Counts:
    """White noise over the whole range of the converter."""
    low, high = _limits(student)
    rng = np.random.default_rng(seed)
    return rng.integers(low, high + 1, _shape(student, n_frames)).astype(np.int16)


def noise(student: EdgeStudent, n_frames: int, seed: int) -> Counts:
    """Slow noise, as LFP is."""
    return lfp_like_counts(student, n_frames, seed).astype(np.int16)


SYNTHETIC: dict[str, Kind] = {
    "noise": noise,
    "rails": rails,
    "steps": steps,
    "silence": silence,
    "full scale": full_scale_noise,
}


def real_counts(recording: Path, student: EdgeStudent, n_frames: int, seed: int) -> Counts:
    """A stretch of a converted recording, its channels over and over until the decoder has enough; gaps are zero.

    Its sampling rate is not that of the decoder: for bits, that makes no difference. `seed` is which stretch, counted
    from the beginning; they begin anew where the recording ends.
    """
    n_rows, n_channels = _shape(student, n_frames)
    with open_recording(recording) as opened:
        n_stretches = max(1, opened.info.n_samples // n_rows)
        first = seed % n_stretches * n_rows
        uv = np.nan_to_num(opened.lfp_uv(first, min(first + n_rows, opened.info.n_samples)))
    rows = np.resize(uv, (n_rows, uv.shape[1]))
    return student.features.adc.counts(rows[:, np.arange(n_channels) % uv.shape[1]]).astype(np.int16)


def _limits(student: EdgeStudent) -> tuple[int, int]:
    highest = (1 << (student.features.adc.bits - 1)) - 1
    return -highest - 1, highest


def _shape(student: EdgeStudent, n_frames: int) -> tuple[int, int]:
    return n_frames * student.features.samples_per_frame, student.n_channels


def _held(student: EdgeStudent, n_frames: int, rng: np.random.Generator, rows: int = 7) -> NDArray[np.float64]:
    """Uniform numbers in [0, 1), each of which lasts `rows` samples."""
    n, channels = _shape(student, n_frames)
    return np.repeat(rng.random((-(-n // rows), channels)), rows, axis=0)[:n]
