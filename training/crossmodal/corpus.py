"""Several sessions end to end on one axis of frames, and windows of them cut into patches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from edgebci.decoding_data import DecodingData, Floats, Interval, Part
from edgebci.errors import InputError
from edgebci.session import Session
from edgebci.training.crossmodal.spec import SessionPatches
from edgebci.training.windows import Starts, pieces, tiles, window_starts


@dataclass(frozen=True, eq=False)
class Windows:
    """A batch of one modality. b windows, T frames, P patches of S channels or units; absent ones are zero."""

    values: Tensor
    """(b, T, P, S)"""
    present: Tensor
    """Which channels or units there are (b, P, S)."""
    sessions: tuple[str, ...]
    """Whose windows they are (b,)."""

    @property
    def patches(self) -> Tensor:
        """Patches with anything in them (b, P)."""
        return self.present.any(dim=-1)

    def to(self, device: torch.device) -> Windows:
        """The same windows where a model computes."""
        return Windows(self.values.to(device), self.present.to(device), self.sessions)


class Modality:
    """The LFP frames or the spike counts of every session, zero padded to whole patches and to the same number."""

    def __init__(self, arrays: Sequence[Floats], names: Sequence[str], patch: int) -> None:
        self.names, self.patch = tuple(names), patch
        self.counts = [-(-array.shape[1] // patch) for array in arrays]
        width = max(self.counts) * patch
        self.values = torch.cat([torch.from_numpy(_widened(array, width)) for array in arrays])
        lanes = torch.arange(width)
        self.present = torch.stack([lanes < array.shape[1] for array in arrays]).reshape(len(arrays), -1, patch)

    @property
    def patches(self) -> tuple[SessionPatches, ...]:
        """What a model must have embeddings for."""
        return tuple(SessionPatches(name=n, n_patches=c) for n, c in zip(self.names, self.counts, strict=True))

    def windows(self, index: Tensor, session: Tensor) -> Windows:
        """Windows at these frames (b, T) of the common axis, each of one session (b,)."""
        values = self.values[index].reshape(*index.shape, -1, self.patch)
        return Windows(values, self.present[session], tuple(self.names[i] for i in session.tolist()))


class Corpus:
    """Sessions end to end: frame k of session i is frame `first[i] + k`.

    Raises:
        InputError: no session, two of the same name, or one without the spikes that are asked for.
    """

    def __init__(
        self,
        sessions: Sequence[Session],
        lfp_patch: int | None = None,
        spike_patch: int | None = None,
        shift_seed: int | None = None,
    ) -> None:
        names = [session.name for session in sessions]
        if not names or len(set(names)) < len(names):
            raise InputError(
                f"{len(names)} sessions, {len(set(names))} names; give one or more, each with its own name"
            )
        self.sessions = tuple(sessions)
        self.first = np.cumsum([0, *(len(session.data.frames) for session in sessions)])
        self.valid = torch.cat([torch.from_numpy(session.data.valid) for session in sessions])
        self.lfp = Modality([s.data.frames for s in sessions], names, lfp_patch) if lfp_patch else None
        spikes = [counts_of(s, shift_seed) for s in sessions] if spike_patch else []
        self.spikes = Modality(spikes, names, spike_patch) if spike_patch else None

    def intervals(self, part: Part) -> list[Interval]:
        """The unbroken stretches of one part of every session, on the common axis."""
        return [
            (int(first) + start, int(first) + stop)
            for first, session in zip(self.first, self.sessions, strict=False)
            for start, stop in pieces(session.data, part)
        ]

    def tiles(self, part: Part, window_frames: int) -> Starts:
        """Starts of windows side by side, the same each time, for scoring."""
        return tiles(self.intervals(part), window_frames, self.valid.numpy())

    def windows(self, rng: np.random.Generator, part: Part, window_frames: int) -> Starts:
        """Starts of windows from random offsets, in random order, for training."""
        return window_starts(rng, self.intervals(part), window_frames, self.valid.numpy())

    def session_of(self, starts: Starts) -> Tensor:
        """Which session each window is of (b,)."""
        return torch.from_numpy(np.searchsorted(self.first, starts, side="right") - 1)


def indices(starts: Starts, window_frames: int) -> Tensor:
    """Frames of windows (b, T)."""
    return torch.from_numpy(starts)[:, None] + torch.arange(window_frames)


def device_of(model: nn.Module) -> torch.device:
    """Where a model's parameters are: batches go there."""
    return next(model.parameters()).device


def counts_of(session: Session, shift_seed: int | None = None) -> Floats:
    """Spike counts (K, U); with a seed, turned round by a long random offset inside each interval: the control.

    Offsets are between a quarter and three quarters of an interval, so spikes keep their statistics, lose their LFP,
    and never cross from one part into another.
    """
    counts = session.spike_counts()
    if shift_seed is None:
        return counts
    rng = np.random.default_rng([shift_seed, *session.name.encode()])
    for start, stop in _all_intervals(session.data):
        quarter = (stop - start) // 4
        counts[start:stop] = np.roll(counts[start:stop], quarter + int(rng.integers(2 * quarter + 1)), axis=0)
    return counts


def require_windows(corpus: Corpus, part: Part, window_frames: int) -> None:
    """Refuse a part without one window of mostly valid frames."""
    if not len(corpus.tiles(part, window_frames)):
        raise InputError(
            f"no {part} interval holds a window of {window_frames} mostly valid frames; record longer or choose a "
            "smaller one"
        )


def _all_intervals(data: DecodingData) -> list[Interval]:
    return sorted((*data.train, *data.validation, *data.test))


def _widened(array: Floats, width: int) -> Floats:
    return np.pad(array, ((0, 0), (0, width - array.shape[1])))
