"""Running a model over a recording, in bounded memory, and counting the spikes that it could not take."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from edgebci.decoding_data import Floats
from edgebci.session import Session
from edgebci.training.possm.corpus import Stretch, stretch_of
from edgebci.training.possm.model import Possm, Queries
from edgebci.training.possm.tokens import ChunkedSpikes, TokenCount, Tokens

PIECE_CHUNKS = 1024
"""Chunks of a stretch that are computed at once; does not change the result."""


@dataclass(frozen=True, eq=False)
class Decoded:
    """What a session's spikes say."""

    outputs: Floats
    """At every frame (K, D), in the target's unit."""
    tokens: TokenCount
    """What became of the spikes."""


@torch.no_grad()
def decode(model: Possm, session: Session) -> Decoded:
    """Decode a whole recording, from zero state wherever its front end began anew.

    Raises:
        InputError: the model does not know the session.
    """
    outputs, count = [], TokenCount()
    for start, stop in session.data.segments(0, len(session.data.frames)):
        piece, found = decode_stretch(model, session, start, stop)
        outputs.append(piece)
        count += found
    known = model.vocabulary.sessions[model.vocabulary.index(session.name)]
    scaled = torch.cat(outputs).cpu().numpy() * np.array(known.sd) + np.array(known.mean)
    return Decoded(scaled.astype(np.float32), count)


@torch.no_grad()
def decode_stretch(model: Possm, session: Session, start: int, stop: int) -> tuple[Tensor, TokenCount]:
    """Standardised outputs (stop - start, D) of frames [start, stop), from zero state."""
    index = model.vocabulary.index(session.name)
    stretch = stretch_of(session, start, stop, model.spec, model.vocabulary.first_row(index))
    state, number = model.initial_state(1), torch.tensor([index], device=model.units.device)
    decoded = []
    for first in range(0, len(stretch.chunks.unit), PIECE_CHUNKS):
        tokens, queries = _piece(stretch, first, model.units.device)
        x, state = model.scan(tokens, queries, number, state)
        decoded.append(model.read(x[0], model.vocabulary.sessions[index].task))
    return torch.cat(decoded), stretch.chunks.count


def _piece(stretch: Stretch, first: int, device: torch.device) -> tuple[Tokens, Queries]:
    """Chunks from `first` on, and the queries whose newest chunk is among them, or before the first of all."""
    newest, chunks = stretch.newest, slice(first, first + PIECE_CHUNKS)
    frames = (newest >= (first or -1)) & (newest < first + PIECE_CHUNKS)
    queries = Queries(
        torch.from_numpy(newest[frames] - first).unsqueeze(0).to(device),
        torch.from_numpy(stretch.since_end_s[frames]).unsqueeze(0).to(device),
    )
    return _tokens(stretch.chunks, chunks, device), queries


def _tokens(chunks: ChunkedSpikes, wanted: slice, device: torch.device) -> Tokens:
    arrays = (chunks.unit[wanted], chunks.time_s[wanted], chunks.mask[wanted])
    return Tokens(*(torch.from_numpy(array).unsqueeze(0).to(device) for array in arrays))
