"""Writing a public recording's LFP: decimated causally, gaps kept, and what can't be trusted found before filtering."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgebci.errors import InputError
from edgebci.progress import Progress
from edgebci.public_recordings.decimation import CausalDecimator
from edgebci.recordings.intervals import total
from edgebci.recordings.model import F64
from edgebci.recordings.quality import QualityScan
from edgebci.recordings.splits import TimeSplit
from edgebci.recordings.writer import RecordingWriter

LFP_RATE_HZ = 1000.0
"""What our front ends expect."""


class Block(NamedTuple):
    """Samples as they are stored."""

    times_s: F64
    """(T,), ascending."""
    stored: NDArray[np.generic]
    """(T, C)."""


def write_lfp(
    writer: RecordingWriter,
    blocks: Iterable[Block],
    decimator: CausalDecimator,
    uv_per_step: float,
    n_samples: int,
    progress: Progress,
) -> None:
    """Append all blocks, n_samples in all, and set quality intervals and good channels.

    Raises:
        InputError: no channel carries a signal, or timestamps go backwards.
    """
    n_channels = len(writer.channel_names)
    scan, clock = QualityScan(1 / decimator.period_s, n_channels), _RowClock()
    seen = 0
    for block in blocks:
        scan.push(seen, block.stored)
        clock.push(seen, block.times_s)
        seen += len(block.stored)
        for piece in decimator.push(block.times_s, block.stored.astype(np.float64) * uv_per_step):
            if piece.first > writer.n_samples:
                writer.append_gap(piece.first - writer.n_samples)
            writer.append_lfp(piece.samples)
        progress(seen / n_samples, f"{writer.n_samples / decimator.new_rate_hz:.0f} s of LFP")
    quality = scan.finish()
    if not quality.good.any():
        raise InputError("every channel is flat or missing all the time; get the file again")
    writer.set_good_channels(quality.good)
    dead = [name for name, good in zip(writer.channel_names, quality.good, strict=True) if not good]
    if dead:
        writer.add_note(f"flat, missing or at the rail most of the time, so not used: {', '.join(dead)}")
    for name, rows in (("rail", quality.rail), ("dropout", quality.dropout)):
        writer.set_intervals(name, clock.seconds(rows))
        if len(rows):
            writer.add_note(f"{name}: {total(clock.seconds(rows)):.3g} s in {len(rows)} stretches")


def write_split(writer: RecordingWriter, behavior_s: F64) -> None:
    """Set train, valid and test by time, for those who do not follow the papers' random segments.

    Raises:
        InputError: LFP and behaviour do not overlap.
    """
    lfp_end_s = writer.start_s + writer.n_samples / writer.lfp_rate_hz
    start_s, end_s = max(writer.start_s, float(behavior_s[0])), min(lfp_end_s, float(behavior_s[-1]))
    if end_s <= start_s:
        raise InputError(
            f"behaviour covers {behavior_s[0]:g}-{behavior_s[-1]:g} s and the LFP {writer.start_s:g}-{lfp_end_s:g} s, "
            "which do not overlap; give files of one session"
        )
    try:
        parts = TimeSplit().intervals(start_s, end_s)
    except InputError as too_short:
        writer.add_note(f"not split into train, valid and test: {too_short}")
        return
    for name, bounds in parts.items():
        writer.set_intervals(name, bounds)


class _RowClock:
    """When rows of the file were, from the first and last time of each block."""

    def __init__(self) -> None:
        self._rows: list[int] = []
        self._times_s: list[float] = []

    def push(self, first: int, times_s: F64) -> None:
        self._rows += [first, first + len(times_s) - 1]
        self._times_s += [float(times_s[0]), float(times_s[-1])]

    def seconds(self, rows: F64) -> F64:
        return np.interp(rows, self._rows, self._times_s)
