"""How REALM's teacher learns: hidden frames of several sessions are rebuilt from those on both sides (paper, stage 1).

Neither targets nor anything outside training intervals is seen. Whole sessions that are left out of training decide,
by their own training intervals, when to stop.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgebci.progress import Progress, silent
from edgebci.session import Session
from edgebci.training.augmentation import augment
from edgebci.training.loop import Learner, Plan, fit, reproducible
from edgebci.training.masking import block_mask
from edgebci.training.realm.corpus import Corpus, Rows, cut, require_windows, split_by_lot
from edgebci.training.realm.files import EncoderFile, identity_of, record_of, save_encoder
from edgebci.training.realm.model import BidirectionalEncoder, bidirectional_layers
from edgebci.training.realm.recipe import PretrainingRecipe, RealmRecipe
from edgebci.training.realm.spec import EncoderSpec
from edgebci.training.record import partial_path
from edgebci.training.ssm import spread_time_constants


def pretrain(sessions: Sequence[Session], recipe: RealmRecipe, out: Path, progress: Progress = silent) -> EncoderFile:
    """Train the teacher and write its encoder to `out`; the predictor is not kept.

    An interrupted call leaves its state beside `out`; the same call again goes on from there, to the same bits.

    Raises:
        InputError: no whole training window, or a session with more channels than the teacher.
    """
    stage, spec = recipe.pretraining, recipe.teacher
    taught, scored = split_by_lot(sessions, stage.validation_sessions, recipe.seed)
    corpora = [Corpus(part, spec.n_channels) for part in (taught, scored)]
    for corpus in corpora:
        require_windows(corpus, stage.optimiser.window_frames, least=min(1, len(corpus.sessions)))
    plan = Plan(
        optimiser=stage.optimiser,
        seed=recipe.seed,
        patience_epochs=stage.patience_epochs if scored else None,
        identity=identity_of("pretrain", recipe, sessions, ("train",)),
        partial=partial_path(out),
        accelerator="auto",
    )
    with reproducible(recipe.seed, recipe.threads):
        model = MaskedAutoencoder(spec, stage)
        if recipe.time_constants_s != "published":
            spread_time_constants(model, recipe.time_constants_s, spec.frame_rate_hz)
        fitted = fit(MaskedAutoencoding(model, corpora[0], corpora[1], stage), plan, progress)
    record = record_of(recipe, sessions, ("train",), fitted, spec)
    file = EncoderFile(fitted.model.encoder.cpu().eval(), record)
    save_encoder(out, file)
    plan.partial.unlink(missing_ok=True)
    return file


class MaskedAutoencoder(nn.Module):
    """The teacher's encoder, the token that stands for a hidden frame, and the predictor of what was hidden."""

    def __init__(self, spec: EncoderSpec, recipe: PretrainingRecipe) -> None:
        super().__init__()
        self.encoder = BidirectionalEncoder(spec, recipe.regularisation)
        self.mask_token = nn.Parameter(torch.empty(spec.d_model).normal_(std=0.02))
        small = spec.model_copy(update={"expand": recipe.predictor_expand, "n_layers": recipe.predictor_layers})
        self.mixers = bidirectional_layers(small, recipe.regularisation)
        self.rebuild = nn.Sequential(
            nn.Linear(spec.d_model, recipe.predictor_hidden),
            nn.GELU(),
            nn.Linear(recipe.predictor_hidden, spec.d_model),
            nn.Linear(spec.d_model, spec.n_channels),
        )

    def forward(self, frames: Tensor, hidden: Tensor) -> Tensor:
        """Rebuild all frames (b, T, C) from those that are not `hidden` (b, T)."""
        tokens = torch.where(hidden.unsqueeze(-1), self.mask_token, self.encoder.tokenizer(frames))
        encoded = self.encoder.norm(self.encoder.mixed(tokens))
        rebuilt: Tensor = self.rebuild(self.mixers(encoded))
        return rebuilt


class MaskedAutoencoding(Learner[MaskedAutoencoder]):
    """Rebuild hidden frames as they were before augmentation."""

    def __init__(self, model: MaskedAutoencoder, taught: Corpus, scored: Corpus, recipe: PretrainingRecipe) -> None:
        self.model, self.taught, self.scored, self.recipe = model, taught, scored, recipe
        self.length = recipe.optimiser.window_frames

    def windows(self, rng: np.random.Generator) -> Rows:
        """All training windows, in random order."""
        return self.taught.windows(rng, self.length)

    def losses(self, rows: Rows, rng: np.random.Generator) -> dict[str, Tensor]:
        """Mean squared error at hidden, valid frames of augmented windows."""
        frames, hidden, counted = self._windows(self.taught, rows, rng)
        noisy = augment(frames.cpu(), self.taught.channels, self.recipe.augmentation, rng).to(frames.device)
        rebuilt = self.model(noisy, hidden)
        return {"masked": functional.mse_loss(rebuilt[counted], frames[counted])}

    @torch.no_grad()
    def score(self, model: MaskedAutoencoder) -> float | None:
        """Share of the variance of hidden frames that is rebuilt in the sessions left out; None without any."""
        rng, error, total = np.random.default_rng(0), 0.0, 0.0
        for rows in self.scored.batches(self.length, self.recipe.optimiser.batch_windows):
            frames, hidden, counted = self._windows(self.scored, rows, rng)
            truth = frames[counted]
            error += float((model(frames, hidden)[counted] - truth).square().sum())
            total += float((truth - truth.mean(0)).square().sum())
        return 1 - error / total if total else None

    def _windows(self, corpus: Corpus, rows: Rows, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Frames (b, T, C), which of them to hide (b, T), and at which of those the error counts (b, T)."""
        recipe, device = self.recipe, self.model.mask_token.device
        mask = block_mask(rng, (len(rows), self.length), recipe.mask_fraction, *recipe.mask_block_frames)
        hidden = torch.from_numpy(mask).to(device)
        valid = cut(corpus.valid, rows, self.length, device)
        return cut(corpus.frames, rows, self.length, device), hidden, hidden & valid
