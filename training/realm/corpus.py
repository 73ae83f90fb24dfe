"""Sessions as tensors: padded to the encoder's channels, cut into windows, split into those that teach and those that
only decide when to stop."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgebci.decoding_data import DecodingData, Floats, Part
from edgebci.errors import InputError
from edgebci.session import Session
from edgebci.training.windows import pieces, session_windows, tiles

Rows = NDArray[np.int64]


class Corpus:
    """Sessions for an encoder of `n_channels`."""

    def __init__(self, sessions: Sequence[Session], n_channels: int, part: Part = "train") -> None:
        self.sessions, self.part = tuple(sessions), part
        self.frames = [padded(session.data, n_channels, session.name) for session in sessions]
        self.valid = [torch.from_numpy(session.data.valid) for session in sessions]
        self.channels = torch.arange(n_channels)

    def windows(self, rng: np.random.Generator, window_frames: int) -> Rows:
        """Rows [session, start] of one epoch, in random order (n, 2)."""
        return session_windows(rng, self.sessions, self.part, window_frames)

    def same_windows(self, window_frames: int) -> Rows:
        """Rows that are the same in every epoch, for scoring."""
        return self.windows(np.random.default_rng(0), window_frames)

    def batches(self, window_frames: int, batch_windows: int) -> list[Rows]:
        """`same_windows` in batches."""
        rows = self.same_windows(window_frames) if self.sessions else np.empty((0, 2), dtype=np.int64)
        return [rows[i : i + batch_windows] for i in range(0, len(rows), batch_windows)]


def cut(values: Sequence[Tensor], rows: Rows, window_frames: int, device: torch.device) -> Tensor:
    """Windows (b, T, ...) of one tensor (K, ...) per session."""
    windows = [values[session][start : start + window_frames] for session, start in rows.tolist()]
    with torch.autocast("cpu", enabled=False):  # it knows no half precision there, which teachers' views are kept in
        return torch.stack(windows).to(device)


def padded(data: DecodingData, n_channels: int, name: str) -> Tensor:
    """Frames (K, n_channels), absent channels zero.

    Raises:
        InputError: the session has more features than the encoder has channels.
    """
    missing = n_channels - data.frames.shape[1]
    if missing < 0:
        raise InputError(
            f"session {name} has {data.frames.shape[1]} features per frame where the encoder takes {n_channels}; "
            "set n_channels, or give raw LFP with one feature per channel"
        )
    return torch.nn.functional.pad(torch.from_numpy(data.frames), (0, missing))


def require_windows(corpus: Corpus, window_frames: int, least: int = 1) -> None:
    """Refuse a corpus whose intervals hold fewer than `least` windows."""
    found = sum(
        len(tiles(pieces(session.data, corpus.part), window_frames, session.data.valid)) for session in corpus.sessions
    )
    if found < least:
        raise InputError(
            f"the {corpus.part} intervals hold {found} windows of {window_frames} mostly valid frames where at least "
            f"{least} are needed; give longer recordings or choose a smaller window_frames"
        )


def split_by_lot(sessions: Sequence[Session], share: float, seed: int) -> tuple[list[Session], list[Session]]:
    """Sessions to learn from and, `share` of them drawn by `seed`, sessions to score; none of the latter for one."""
    order = np.random.default_rng(seed).permutation(len(sessions))
    scored = {int(i) for i in order[: _count(len(sessions), share)]}
    return [s for i, s in enumerate(sessions) if i not in scored], [s for i, s in enumerate(sessions) if i in scored]


def split_by_name(sessions: Sequence[Session], share: float) -> tuple[list[Session], list[Session]]:
    """Sessions to learn from and, the first `share` of them by name, sessions to score; none of the latter for one."""
    ordered = sorted(sessions, key=lambda session: session.name)
    count = _count(len(sessions), share)
    return ordered[count:], ordered[:count]


def _count(sessions: int, share: float) -> int:
    """At least one where there are several and any are asked for, never all."""
    return 0 if not share else min(max(1, round(share * sessions)), sessions - 1)


def target_scale(sessions: Sequence[Session]) -> list[tuple[Floats, Floats]]:
    """Mean and standard deviation of each session's target axes over its training frames, (D,) each.

    Raises:
        InputError: an axis that is constant there.
    """
    scales = []
    for session in sessions:
        targets = session.data.targets[session.data.rows("train")]
        mean, sd = targets.mean(axis=0), targets.std(axis=0)
        if not sd.all():
            name = session.data.target_names[int(np.argmin(sd))]
            raise InputError(
                f"the target {name!r} of session {session.name} is constant in the training intervals; "
                "choose one that varies"
            )
        scales.append((mean, sd))
    return scales
