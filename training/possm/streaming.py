"""POSSM on a live stream of spikes: collect those of a chunk, and decode when it ends."""

from __future__ import annotations

from collections import deque

import numpy as np
import torch

from edgebci.decoding_data import Floats
from edgebci.errors import InputError
from edgebci.training.possm.model import Possm, PossmState
from edgebci.training.possm.tokens import TOLERANCE_CHUNKS, TokenCount, Tokens, rounded_times


class SpikeStream:
    """One stream of one session. Spikes come in order of time; every step has `max_tokens` tokens and a mask.

    Times of chunks are counted, not added up, so that they hold after months. Of more spikes than `max_tokens` in a
    chunk, the oldest are dropped, and counted in `count`.
    """

    def __init__(self, model: Possm, session: str, start_s: float, finished_chunks: int = 0) -> None:
        """Begin where `finished_chunks` chunks after `start_s` have passed, with the state of power-on.

        Raises:
            InputError: the model does not know the session.
        """
        self.model, self.start_s, self.finished_chunks = model, start_s, finished_chunks
        self.index = model.vocabulary.index(session)
        self.known = model.vocabulary.sessions[self.index]
        self.count = TokenCount()
        self._state: PossmState = model.initial_state(1)
        self._spikes: deque[tuple[float, int]] = deque(maxlen=model.spec.max_tokens)
        self._arrived = 0

    @property
    def chunk_end_s(self) -> float:
        """When the chunk that is being collected is over."""
        return self.start_s + (self.finished_chunks + 1) * self.model.spec.chunk_s

    def add(self, time_s: float, unit: int) -> None:
        """Take a spike of the current chunk.

        Raises:
            InputError: the unit is unknown, or the chunk was over before the spike.
        """
        if not 0 <= unit < self.known.n_units:
            raise InputError(f"unit {unit} of {self.known.n_units}; count units from 0")
        since_s = time_s - self.start_s - self.finished_chunks * self.model.spec.chunk_s
        if since_s > (1 + TOLERANCE_CHUNKS) * self.model.spec.chunk_s:
            raise InputError(f"a spike at {time_s} s is after the chunk's end at {self.chunk_end_s} s; finish it first")
        self._spikes.append((since_s, unit))
        self._arrived += 1

    @torch.no_grad()
    def finish_chunk(self) -> Floats:
        """Decode at the end of the current chunk and begin the next: outputs (D,) in the target's unit."""
        dropped = self._arrived - len(self._spikes)
        self.count += TokenCount(self._arrived, dropped, int(dropped > 0), 1)
        standardised, self._state = self.model.step(self._tokens(), self.index, self._state)
        self._spikes.clear()
        self._arrived = 0
        self.finished_chunks += 1
        outputs = standardised[0].cpu().numpy() * np.array(self.known.sd) + np.array(self.known.mean)
        decoded: Floats = outputs.astype(np.float32)
        return decoded

    def _tokens(self) -> Tokens:
        n, width = len(self._spikes), self.model.spec.max_tokens
        unit, time_s = torch.zeros(1, width, dtype=torch.int64), torch.zeros(1, width)
        if n:
            times, units = zip(*self._spikes, strict=True)
            unit[0, :n] = torch.tensor(units) + self.model.vocabulary.first_row(self.index)
            time_s[0, :n] = torch.from_numpy(rounded_times(np.array(times), self.model.spec)[1])
        mask = torch.arange(width).unsqueeze(0) < max(n, 1)
        return Tokens(*(tensor.to(self.model.units.device) for tensor in (unit, time_s, mask)))
