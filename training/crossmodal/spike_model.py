"""The spike teacher's network: hidden (time, patch) tokens are rebuilt as Poisson rates (arXiv 2512.12461, A.1)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgebci.training.crossmodal.corpus import Windows
from edgebci.training.crossmodal.recipe import TeacherRecipe
from edgebci.training.crossmodal.spec import SessionPatches
from edgebci.training.crossmodal.tokens import PatchEmbeddings
from edgebci.training.crossmodal.transformer import PatchEncoder, Transformer, every_token

SLOWEST_RATE = 1e-3
"""Spikes per frame at which a silent unit, or an absent one, begins."""


class SpikeAutoencoder(nn.Module):
    """Encoder of the tokens that are seen, predictor of those that are not. Students learn from `encoder`."""

    def __init__(self, recipe: TeacherRecipe, sessions: Sequence[SessionPatches]) -> None:
        super().__init__()
        self.recipe, patch = recipe, recipe.encoder.tokens.patch
        width, narrow = recipe.encoder.transformer.d_model, recipe.predictor.d_model
        self.encoder = PatchEncoder(recipe.encoder, sessions)
        self.mask_token = nn.Parameter(torch.randn(width) * 0.02)
        self.to_predictor = nn.Linear(width, narrow)
        self.predictor = Transformer(recipe.predictor)
        self.down = nn.Linear(narrow, recipe.rate_width)
        self.log_rate = nn.Linear(recipe.rate_width, patch)
        self.base_rate = PatchEmbeddings(sessions, patch)

    @property
    def sessions(self) -> tuple[SessionPatches, ...]:
        """The sessions that it has embeddings for."""
        space = self.encoder.tokens.space
        return tuple(
            SessionPatches(name=name, n_patches=len(vectors))
            for name, vectors in zip(space.names, space.vectors, strict=True)
        )

    def add(self, sessions: Sequence[SessionPatches]) -> None:
        """Take up new sessions."""
        self.encoder.tokens.space.add(sessions)
        self.base_rate.add(sessions)

    @torch.no_grad()
    def start_at(self, session: str, rates: Tensor) -> None:
        """Let the rates of a session begin at their means (P, S): they are far from 0 in logarithm, and all that is
        left to learn is what changes."""
        index = self.base_rate.names.index(session)
        self.base_rate.vectors[index].copy_(rates.clamp(min=SLOWEST_RATE).log())

    def forward(self, windows: Windows, hidden: Tensor) -> Tensor:
        """Log rates (b, T, P, S) of all tokens from those that are not `hidden` (b, T, P).

        Hidden tokens never enter the encoder: it is given the seen ones side by side, with their frames.
        """
        real, frame = every_token(windows)
        tokens, seen = self.encoder.tokens(windows).flatten(1, 2), real & ~hidden.flatten(1)
        order = torch.argsort((~seen).int(), dim=1, stable=True)[:, : int(seen.sum(dim=1).max())]
        index = order.unsqueeze(-1).expand(-1, -1, tokens.shape[-1])
        encoded = self.encoder.transformer(tokens.gather(1, index), seen.gather(1, order), frame.gather(1, order))
        filled = self._masked(windows).scatter(1, index, encoded)
        filled = torch.where(seen.unsqueeze(-1), filled, self._masked(windows))
        predicted = self.predictor(self.to_predictor(filled), real, frame)
        rates: Tensor = self.log_rate(self.down(predicted)).reshape(windows.values.shape)
        base: Tensor = self.base_rate(windows.sessions, hidden.shape[2])
        return rates + base[:, None]

    def _masked(self, windows: Windows) -> Tensor:
        """What stands for tokens that are not seen (b, T P, d): the mask, and which patch it is."""
        where: Tensor = self.mask_token + self.encoder.tokens.where(windows)
        return where.repeat(1, windows.values.shape[1], 1)


def hide(windows: Windows, fraction: float, rng: np.random.Generator) -> Tensor:
    """Draw `fraction` of each window's real tokens, uniformly over time and patches (b, T, P); some are left."""
    b, t, p, _ = windows.values.shape
    real = every_token(windows)[0]
    lots = torch.from_numpy(rng.random((b, t * p))).to(real.device).masked_fill(~real, 2.0)
    count = (fraction * real.sum(dim=1)).round().long().clamp(min=1)
    return (lots.argsort(dim=1).argsort(dim=1) < count[:, None]).reshape(b, t, p)


def poisson_loss(log_rates: Tensor, windows: Windows, hidden: Tensor, valid: Tensor) -> Tensor:
    """Mean Poisson negative log-likelihood, without the term of the counts alone, over present units of hidden tokens
    (b, T, P) in valid frames (b, T)."""
    counted = hidden[..., None] & windows.present[:, None] & valid[..., None, None]
    loss: Tensor = functional.poisson_nll_loss(log_rates[counted], windows.values[counted], log_input=True)
    return loss
