"""Values to tokens: what a patch holds, plus which patch of which session it is (arXiv 2512.12461, A.1)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgebci.errors import InputError
from edgebci.training.crossmodal.corpus import Windows
from edgebci.training.crossmodal.spec import MOST_COUNTS, EncoderSpec, SessionPatches, TokenSpec


class LfpValues(nn.Module):
    """A causal dilated convolution over the time of one patch; all patches share it."""

    def __init__(self, spec: TokenSpec, d_model: int) -> None:
        super().__init__()
        self.past = (spec.taps - 1) * spec.dilation
        self.conv = nn.Conv1d(spec.patch, d_model, spec.taps, dilation=spec.dilation)

    def forward(self, windows: Windows) -> Tensor:
        """Values (b, T, P, S) to (b, T, P, d); before the window is silence."""
        b, _, p, _ = windows.values.shape
        series = windows.values.permute(0, 2, 3, 1).flatten(0, 1)
        embedded: Tensor = self.conv(functional.pad(series, (self.past, 0)))
        return embedded.reshape(b, p, *embedded.shape[1:]).permute(0, 3, 1, 2)


class SpikeValues(nn.Module):
    """One embedding of d/S numbers for each count, side by side for the S units of a patch; zero for absent units.

    They begin in proportion to the count. From random ones, most of a token is what silence looks like, all frames are
    nearly the same to the teacher, and in tens of epochs it learns little more than mean rates.
    """

    def __init__(self, spec: TokenSpec, d_model: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(MOST_COUNTS + 1, d_model // spec.patch)
        counts = torch.arange(MOST_COUNTS + 1, dtype=torch.float32)
        self.embedding.weight = nn.Parameter(counts[:, None] * torch.randn(d_model // spec.patch).sign())

    def forward(self, windows: Windows) -> Tensor:
        """Counts (b, T, P, S) to (b, T, P, d)."""
        embedded = self.embedding(windows.values.clamp(0, MOST_COUNTS).long())
        kept: Tensor = embedded * windows.present[:, None, :, :, None]
        return kept.flatten(3)


class PatchEmbeddings(nn.Module):
    """One vector for each patch of each session.

    A session that the model does not know gets, patch by patch, the mean over known sessions that have that patch: a
    model of a single session reuses its own for any session, as published.
    """

    def __init__(self, sessions: Sequence[SessionPatches], width: int) -> None:
        super().__init__()
        self.width, self.names = width, [session.name for session in sessions]
        self.vectors = nn.ParameterList(torch.randn(session.n_patches, width) * 0.02 for session in sessions)

    def add(self, sessions: Sequence[SessionPatches]) -> None:
        """Take up sessions that are not known yet, from the mean of those that are."""
        known = [session for session in sessions if session.name not in self.names]
        vectors = [self._unknown(session.n_patches).detach().clone() for session in known]
        self.names += [session.name for session in known]
        self.vectors.extend([nn.Parameter(vector) for vector in vectors])

    def forward(self, sessions: Sequence[str], n_patches: int) -> Tensor:
        """Vectors (b, P, width), zero where a session has fewer patches."""
        # All known vectors take part, so that each always has a gradient and the optimiser keeps one order of them.
        known = [functional.pad(v, (0, 0, 0, max(0, n_patches - len(v))))[:n_patches] for v in self.vectors]
        choices = torch.stack([*known, self._unknown(n_patches)])
        rows = [self.names.index(name) if name in self.names else len(known) for name in sessions]
        return choices[rows]

    def _unknown(self, n_patches: int) -> Tensor:
        most = max((len(vectors) for vectors in self.vectors), default=0)
        if n_patches > most:
            raise InputError(
                f"a new session has {n_patches} patches where the model has seen {most}; choose fewer channels or units"
            )
        return torch.stack([torch.stack([v[p] for v in self.vectors if len(v) > p]).mean(0) for p in range(n_patches)])


class Tokens(nn.Module):
    """Windows to tokens (b, T, P, d)."""

    def __init__(self, spec: EncoderSpec, sessions: Sequence[SessionPatches]) -> None:
        super().__init__()
        kind = LfpValues if spec.tokens.kind == "lfp" else SpikeValues
        self.value = kind(spec.tokens, spec.transformer.d_model)
        self.space = PatchEmbeddings(sessions, spec.transformer.d_model)

    def forward(self, windows: Windows) -> Tensor:
        """What each patch holds, and which it is."""
        tokens: Tensor = self.value(windows) + self.where(windows)[:, None]
        return tokens

    def where(self, windows: Windows) -> Tensor:
        """Which patch of which session (b, P, d)."""
        vectors: Tensor = self.space(windows.sessions, windows.values.shape[2])
        return vectors
