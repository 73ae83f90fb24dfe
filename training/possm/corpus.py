"""Sessions as batches of windows: tokens of chunks, when outputs are wanted, and what they should be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgebci.decoding_data import DecodingData, Floats, Part
from edgebci.errors import InputError
from edgebci.possm_spec import PossmSpec
from edgebci.session import Session, SpikeEvents
from edgebci.training.possm.model import Queries
from edgebci.training.possm.recipe import UnitDropout
from edgebci.training.possm.tokens import ChunkedSpikes, Tokens, chunk_of, chunk_spikes, finished_chunk, stacked
from edgebci.training.possm.vocabulary import Vocabulary
from edgebci.training.windows import pieces, session_windows

Rows = NDArray[np.int64]


class Batch(NamedTuple):
    """Windows b of F frames, in C chunks of N tokens."""

    tokens: Tokens
    queries: Queries
    session: Tensor
    """(b,)."""
    targets: list[Tensor]
    """Standardised targets of each window (F, D); D is the task's."""
    valid: Tensor
    """(b, F)."""


@dataclass(frozen=True, eq=False)
class Stretch:
    """Frames [start, stop) of a session as chunks: spikes after the start of the first frame, up to the last's time."""

    chunks: ChunkedSpikes
    newest: NDArray[np.int64]
    """Of each frame's query (F,)."""
    since_end_s: Floats


class Corpus:
    """Sessions for a model that knows them."""

    def __init__(
        self, sessions: Sequence[Session], vocabulary: Vocabulary, spec: PossmSpec, part: Part = "train"
    ) -> None:
        self.sessions, self.vocabulary, self.spec, self.part = tuple(sessions), vocabulary, spec, part
        self.indices = [vocabulary.index(session.name) for session in sessions]
        self.targets = [standardised(session.data, vocabulary, session.name) for session in sessions]
        self.valid = [torch.from_numpy(session.data.valid) for session in sessions]

    def windows(self, rng: np.random.Generator, window_frames: int) -> Rows:
        """Rows [session, start] of one epoch, in random order (n, 2)."""
        return session_windows(rng, self.sessions, self.part, window_frames)

    def batch(
        self,
        rows: Rows,
        window_frames: int,
        device: torch.device,
        dropout: UnitDropout | None = None,
        rng: np.random.Generator | None = None,
    ) -> Batch:
        """Windows of rows [session, start]; with `dropout` and `rng`, each sees some of its units only."""
        stretches = [self._stretch(s, start, start + window_frames, dropout, rng) for s, start in rows.tolist()]
        cut = [(session, slice(start, start + window_frames)) for session, start in rows.tolist()]
        return Batch(
            tokens=stacked([stretch.chunks for stretch in stretches], device),
            queries=Queries(
                torch.from_numpy(np.stack([stretch.newest for stretch in stretches])).to(device),
                torch.from_numpy(np.stack([stretch.since_end_s for stretch in stretches])).to(device),
            ),
            session=torch.tensor([self.indices[session] for session, _ in cut], device=device),
            targets=[self.targets[session][frames].to(device) for session, frames in cut],
            valid=torch.stack([self.valid[session][frames] for session, frames in cut]).to(device),
        )

    def _stretch(
        self, number: int, start: int, stop: int, dropout: UnitDropout | None, rng: np.random.Generator | None
    ) -> Stretch:
        session = self.sessions[number]
        keep = None if dropout is None or rng is None else kept_units(spikes_of(session).n_units, dropout, rng)
        return stretch_of(session, start, stop, self.spec, self.vocabulary.first_row(self.indices[number]), keep)


def stretch_of(
    session: Session,
    start: int,
    stop: int,
    spec: PossmSpec,
    first_row: int,
    keep: NDArray[np.bool_] | None = None,
) -> Stretch:
    """Cut frames [start, stop) into chunks; with `keep` (U,), only the spikes of those units.

    No spike after the last frame is used, even where its chunk goes on.
    """
    data = session.data
    times_s = data.times_s[start:stop]
    begin_s = float(times_s[0] - 1 / data.frame_rate_hz)
    since = times_s - begin_s
    spikes = spikes_of(session).between(begin_s, float(times_s[-1]))
    if keep is not None:
        kept = keep[spikes.unit]
        spikes = SpikeEvents(spikes.times_s[kept], spikes.unit[kept], spikes.n_units)
    n_chunks = int(chunk_of(since[-1:], spec.chunk_s)[0]) + 1
    strict = spec.within_chunk == "strict"
    newest = finished_chunk(since, spec.chunk_s) if strict else chunk_of(since, spec.chunk_s)
    since_end = since - (newest + 1) * spec.chunk_s
    chunks = chunk_spikes(spikes, begin_s, n_chunks, spec, first_row)
    return Stretch(chunks, newest, since_end.astype(np.float32))


def kept_units(n_units: int, dropout: UnitDropout, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Which units (U,) a window is seen with."""
    counts = np.arange(dropout.least, dropout.most + 1)
    density = np.interp(counts, [dropout.least, dropout.mode, dropout.most], [1.0, dropout.peak, 1.0])
    drawn = int(rng.choice(counts, p=density / density.sum()))
    kept = np.zeros(n_units, dtype=bool)
    kept[rng.permutation(n_units)[:drawn]] = True
    return kept


def standardised(data: DecodingData, vocabulary: Vocabulary, name: str) -> Tensor:
    """Targets (K, D) with the mean 0 and sd 1 over the session's training frames."""
    known = vocabulary.sessions[vocabulary.index(name)]
    scaled = (data.targets - np.array(known.mean)) / np.array(known.sd)
    return torch.from_numpy(scaled.astype(np.float32))


def require_windows(corpus: Corpus, window_frames: int) -> None:
    """Refuse a corpus whose intervals hold no window."""
    for session in corpus.sessions:
        if not any(stop - start >= window_frames for start, stop in pieces(session.data, corpus.part)):
            raise InputError(
                f"the {corpus.part} intervals of session {session.name} hold no window of {window_frames} frames; "
                "record longer or choose a smaller window_frames"
            )


def spikes_of(session: Session) -> SpikeEvents:
    """Its spikes; raises InputError where nothing was sorted."""
    if session.spikes is None:
        raise InputError(f"session {session.name} has no sorted spikes; choose one that has, or train on LFP alone")
    return session.spikes
