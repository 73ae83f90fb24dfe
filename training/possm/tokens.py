"""Spikes to tokens: chunk by chunk, each with a fixed most number of tokens and a mask.

A chunk holds the spikes in (its start, its end]. An empty chunk has one token, the blank one (row 0). Of more spikes
than `max_tokens`, the newest are kept; the oldest are dropped, and counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgebci.possm_spec import PossmSpec
from edgebci.session import SpikeEvents

BLANK = 0
"""Row of the token of an empty chunk; unit u of a session has row 1 + u + the units of the sessions before it."""
TOLERANCE_CHUNKS = 1e-6
"""Frame and spike times are sums of floats: what is this near to the end of a chunk lies at it."""


class Tokens(NamedTuple):
    """Spikes of chunks (..., N)."""

    unit: Tensor
    """Row of the unit, int64."""
    time_s: Tensor
    """Since the start of the chunk, float32."""
    mask: Tensor
    """Which tokens are there; at least one of each chunk."""


@dataclass(frozen=True)
class TokenCount:
    """How many spikes became tokens."""

    spikes: int = 0
    dropped: int = 0
    """Spikes that no output saw, because their chunk held more than `max_tokens`."""
    overfull_chunks: int = 0
    chunks: int = 0

    def __add__(self, other: TokenCount) -> TokenCount:
        return TokenCount(
            self.spikes + other.spikes,
            self.dropped + other.dropped,
            self.overfull_chunks + other.overfull_chunks,
            self.chunks + other.chunks,
        )

    def summary(self) -> str:
        """One sentence for a report."""
        return (
            f"{self.dropped} of {self.spikes} spikes were dropped, the oldest of each overfull chunk; "
            f"{self.overfull_chunks} of {self.chunks} chunks were overfull"
        )


@dataclass(frozen=True, eq=False)
class ChunkedSpikes:
    """Tokens of successive chunks in NumPy (C, N), and what was dropped."""

    unit: NDArray[np.int64]
    time_s: NDArray[np.float32]
    time_step: NDArray[np.int64]
    """Step of the chunk to which the time was rounded; 0 where times are exact."""
    mask: NDArray[np.bool_]
    count: TokenCount


def chunk_spikes(spikes: SpikeEvents, start_s: float, n_chunks: int, spec: PossmSpec, first_row: int) -> ChunkedSpikes:
    """Tokens of `n_chunks` chunks from `start_s` on; N is what the fullest chunk needs, at most `max_tokens`.

    Args:
        spikes: of one session; those outside the chunks are ignored.
        start_s: on the clock of the spikes.
        n_chunks: C.
        spec: length of a chunk, `max_tokens`, rounding of times.
        first_row: row of the session's unit 0, from 1.
    """
    since = spikes.times_s - start_s
    chunk = chunk_of(since, spec.chunk_s)
    inside = (chunk >= 0) & (chunk < n_chunks)
    since, chunk, unit = since[inside], chunk[inside], spikes.unit[inside] + first_row
    counts = np.bincount(chunk, minlength=n_chunks)
    width = int(min(max(counts.max(initial=1), 1), spec.max_tokens))
    too_many = np.maximum(counts - width, 0)
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])
    slot = np.arange(len(chunk)) - first[chunk] - too_many[chunk]
    kept = slot >= 0
    step, time_s = rounded_times(since[kept] - chunk[kept] * spec.chunk_s, spec)
    place = (chunk[kept], slot[kept])
    tokens = _empty(n_chunks, width)
    tokens.unit[place], tokens.time_s[place], tokens.time_step[place] = unit[kept], time_s, step
    tokens.mask[place] = True
    tokens.mask[counts == 0, 0] = True
    count = TokenCount(len(chunk), int(too_many.sum()), int((too_many > 0).sum()), n_chunks)
    return ChunkedSpikes(tokens.unit, tokens.time_s, tokens.time_step, tokens.mask, count)


def chunk_of(since_s: NDArray[np.float64], chunk_s: float) -> NDArray[np.int64]:
    """Chunk in (start, end] of which each time since the start lies, from 0; negative before the start."""
    return np.ceil(since_s / chunk_s - TOLERANCE_CHUNKS).astype(np.int64) - 1


def finished_chunk(since_s: NDArray[np.float64], chunk_s: float) -> NDArray[np.int64]:
    """Last chunk that is over at each time since the start, from 0; -1 where none is."""
    return np.floor(since_s / chunk_s + TOLERANCE_CHUNKS).astype(np.int64) - 1


def stacked(chunked: list[ChunkedSpikes], device: torch.device) -> Tokens:
    """Tokens of several windows (b, C, N), padded to the widest, and to the longest with empty chunks at the end."""
    longest, width = (max(window.unit.shape[axis] for window in chunked) for axis in (0, 1))

    def padded(name: str) -> NDArray[Any]:
        arrays = [getattr(window, name) for window in chunked]
        return np.stack([np.pad(a, ((0, longest - a.shape[0]), (0, width - a.shape[1]))) for a in arrays])

    mask = padded("mask")
    mask[..., 0] |= ~mask.any(axis=-1)
    return Tokens(*(torch.from_numpy(array).to(device) for array in (padded("unit"), padded("time_s"), mask)))


def _empty(n_chunks: int, width: int) -> ChunkedSpikes:
    shape = (n_chunks, width)
    integers = np.full(shape, BLANK, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    return ChunkedSpikes(
        integers[0], np.zeros(shape, dtype=np.float32), integers[1], np.zeros(shape, dtype=bool), TokenCount()
    )


def rounded_times(in_chunk_s: NDArray[np.float64], spec: PossmSpec) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Steps of the chunk (S,), and the times (S,) that the model is told: the middles of the steps, or exact times."""
    if spec.time_step_s is None:
        return np.zeros(len(in_chunk_s), dtype=np.int64), in_chunk_s.astype(np.float32)
    step = np.clip(chunk_of(in_chunk_s, spec.time_step_s), 0, spec.n_time_steps - 1)
    return step, ((step + 0.5) * spec.time_step_s).astype(np.float32)
