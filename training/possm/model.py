"""POSSM (Ryoo et al. 2025, arXiv 2506.05320): the same weights over a stretch of chunks and as one step per chunk.

    x = latent + attention(latent, tokens of the chunk)         x = x + feed_forward(x)
    y = backbone(x)                                             over chunks
    q = session + task;  q = q + attention(q, last k of y)      q = q + feed_forward(q)       outputs = head(q)

The latent lies at the start of its chunk, a state at the end of its chunk, a query anywhere. Where the latent lies
makes no difference: another time turns keys and values by a constant, which the matrices around them take up. Before a
stream begins, the states that a query looks at have keys and values 0.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from edgebci.documents import Document
from edgebci.possm_spec import PossmSpec
from edgebci.training.possm.attention import CrossAttention, FeedForward
from edgebci.training.possm.backbone import Backbone, States
from edgebci.training.possm.tokens import Tokens
from edgebci.training.possm.vocabulary import Vocabulary

INITIAL_SD = 0.02
"""Of embeddings."""


class PossmRegularisation(Document):
    """Dropout, where the published code has it; it drops nothing of attention, and its 0.4 on linear layers acts on
    layers of self-attention that the published sizes do not have."""

    feed_forward_dropout: float = 0.2
    backbone_dropout: float = 0.2
    """Between the layers of the backbone."""


NO_DROPOUT = PossmRegularisation(feed_forward_dropout=0.0, backbone_dropout=0.0)


class PossmState(NamedTuple):
    """What a model remembers of streams."""

    layers: States
    memory: Tensor
    """Keys and values of the last k states (b, k, 2 head_dim), the newest first."""


class Queries(NamedTuple):
    """When outputs are wanted."""

    newest: Tensor
    """The newest chunk of the stretch that each output looks at (b, F), int64; -1: the one before the stretch."""
    since_end_s: Tensor
    """Time of the output minus the end of that chunk (b, F); negative inside the chunk."""


class Core(nn.Module):
    """All but the embeddings of units and sessions."""

    def __init__(self, spec: PossmSpec, n_outputs: tuple[int, ...], dropout: PossmRegularisation = NO_DROPOUT) -> None:
        super().__init__()
        self.spec = spec
        self.blank = nn.Parameter(INITIAL_SD * torch.randn(spec.dim))
        self.latent = nn.Parameter(INITIAL_SD * torch.randn(spec.dim))
        self.encoder = CrossAttention(spec, spec.dim)
        self.encoder_feed = FeedForward(spec, dropout.feed_forward_dropout)
        self.backbone = Backbone(spec, dropout.backbone_dropout)
        self.tasks = nn.Parameter(INITIAL_SD * torch.randn(len(n_outputs), spec.dim))
        self.decoder = CrossAttention(spec, spec.hidden)
        self.decoder_feed = FeedForward(spec, dropout.feed_forward_dropout)
        self.heads = nn.ModuleList([nn.Linear(spec.dim, n) for n in n_outputs])

    def initial_state(self, batch: int) -> PossmState:
        """The state of streams that have not begun."""
        memory = self.latent.new_zeros(batch, self.spec.memory_chunks, 2 * self.spec.head_dim)
        return PossmState(self.backbone.initial_state(batch), memory)

    def encode(self, units: Tensor, tokens: Tokens) -> Tensor:
        """Embeddings of units (U, dim), and tokens of chunks (..., N), to latents (..., dim)."""
        x = self.looked_up(units, tokens) if self.spec.has_tables else self.attended(units, tokens)
        encoded: Tensor = x + self.encoder_feed(x)
        return encoded

    def attended(self, units: Tensor, tokens: Tokens) -> Tensor:
        """The latent and what it finds in the tokens (..., dim)."""
        # Keys and values of a unit are the same in all its tokens: computed once, then looked up.
        table = self.encoder.keys_values(torch.cat([self.blank.unsqueeze(0), units]))
        latent = self.latent.expand(*tokens.unit.shape[:-1], -1)
        return latent + self.encoder.read(latent, table[tokens.unit], -tokens.time_s, tokens.mask)

    def looked_up(self, units: Tensor, tokens: Tokens) -> Tensor:
        """The same where there are tables, in a fraction of the time."""
        score, value = self.token_tables(units)
        step = (tokens.time_s / (self.spec.time_step_s or 1.0)).long()
        scores = score.flatten()[tokens.unit * score.shape[1] + step]
        weights = scores.masked_fill(~tokens.mask, -torch.inf).softmax(-1)
        of_units = weights.new_zeros(*weights.shape[:-1], len(value)).scatter_add(-1, tokens.unit, weights)
        return self.latent + self.encoder.out.bias + of_units @ value

    def token_tables(self, units: Tensor) -> tuple[Tensor, Tensor]:
        """Score (U + 1, time steps) and value (U + 1, dim), projected out, of each unit; row 0 is the blank token's."""
        spec, attention = self.spec, self.encoder
        embedded = torch.cat([self.blank.unsqueeze(0), units])
        key, value = attention.keys_values(embedded).chunk(2, dim=-1)
        times_s = (torch.arange(spec.n_time_steps, device=key.device) + 0.5) * (spec.time_step_s or 0.0)
        asked = attention.to_query(attention.norm(self.latent)) / math.sqrt(spec.head_dim)
        # Turning the query back is turning the keys.
        turned = attention.rotation(asked.expand(spec.n_time_steps, -1), -times_s.to(asked.dtype))
        return key @ turned.T, value @ attention.out.weight.T

    def decode(self, query: Tensor, keys_values: Tensor, since_end_s: Tensor) -> Tensor:
        """Queries (..., dim) over k states (..., k, 2 head_dim), newest first, at times (...) after its end."""
        ages = self.spec.chunk_s * torch.arange(self.spec.memory_chunks, device=query.device)
        q = query + self.decoder.read(query, keys_values, since_end_s.unsqueeze(-1) + ages)
        decoded: Tensor = q + self.decoder_feed(q)
        return decoded


class Possm(nn.Module):
    """A core, with embeddings of the units and sessions of a vocabulary."""

    def __init__(self, spec: PossmSpec, vocabulary: Vocabulary, dropout: PossmRegularisation = NO_DROPOUT) -> None:
        super().__init__()
        self.spec, self.vocabulary = spec, vocabulary
        self.core = Core(spec, tuple(len(task.output_names) for task in vocabulary.tasks), dropout)
        self.units = nn.Parameter(INITIAL_SD * torch.randn(vocabulary.n_units, spec.dim))
        self.sessions = nn.Parameter(INITIAL_SD * torch.randn(len(vocabulary.sessions), spec.dim))
        session_tasks = torch.tensor([session.task for session in vocabulary.sessions])
        self.register_buffer("session_tasks", session_tasks, persistent=False)

    session_tasks: Tensor

    def initial_state(self, batch: int) -> PossmState:
        """The state of streams that have not begun."""
        return self.core.initial_state(batch)

    def scan(self, tokens: Tokens, queries: Queries, session: Tensor, state: PossmState) -> tuple[Tensor, PossmState]:
        """A stretch of chunks.

        Args:
            tokens: (b, C, N).
            queries: (b, F).
            session: number of each stream's session (b,), int64.
            state: of the streams before the stretch.

        Returns:
            What a head reads (b, F, dim), and the state after the stretch.
        """
        x = self.core.encode(self.units, tokens)
        y, layers = self.core.backbone.scan(x, state.layers)
        kept = torch.cat([state.memory.flip(1), self.core.decoder.keys_values(y)], dim=1)  # oldest first
        ages = torch.arange(self.spec.memory_chunks, device=kept.device)
        index = queries.newest.unsqueeze(-1) + self.spec.memory_chunks - ages  # (b, F, k)
        seen = kept.gather(1, index.flatten(1).unsqueeze(-1).expand(-1, -1, kept.shape[-1]))
        query = self._query(session).unsqueeze(1).expand(-1, index.shape[1], -1)
        decoded = self.core.decode(query, seen.reshape(*index.shape, -1), queries.since_end_s)
        return decoded, PossmState(layers, kept[:, -self.spec.memory_chunks :].flip(1))

    def step(self, tokens: Tokens, session: int, state: PossmState) -> tuple[Tensor, PossmState]:
        """One chunk of streams of one session, with the outputs at its end.

        Args:
            tokens: (b, N).
            session: number of the session.
            state: of the streams before the chunk.

        Returns:
            Standardised outputs (b, D), and the state after the chunk.
        """
        x = self.core.encode(self.units, tokens)
        y, layers = self.core.backbone.step(x, state.layers)
        memory = torch.cat([self.core.decoder.keys_values(y).unsqueeze(1), state.memory[:, :-1]], dim=1)
        numbers = torch.full((len(y),), session, device=y.device)
        decoded = self.core.decode(self._query(numbers), memory, y.new_zeros(len(y)))
        return self.read(decoded, self.vocabulary.sessions[session].task), PossmState(layers, memory)

    def read(self, decoded: Tensor, task: int) -> Tensor:
        """What was decoded (..., dim) to the standardised outputs of a task (..., D)."""
        outputs: Tensor = self.core.heads[task](decoded)
        return outputs

    def _query(self, session: Tensor) -> Tensor:
        """(b, dim)."""
        return self.sessions[session] + self.core.tasks[self.session_tasks[session]]
