"""How the spike teacher learns: masked autoencoding over several sessions, then over the target's own.

Only spikes of training intervals teach; validation intervals decide when to stop; test intervals are never seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from edgebci.progress import Progress, silent
from edgebci.session import Session
from edgebci.training.crossmodal.corpus import Corpus, device_of, indices, require_windows
from edgebci.training.crossmodal.files import identity_of, load_teacher, record_of, save_teacher
from edgebci.training.crossmodal.recipe import CrossModalRecipe
from edgebci.training.crossmodal.spike_model import SpikeAutoencoder, hide, poisson_loss
from edgebci.training.crossmodal.teaching import spikes_of
from edgebci.training.loop import Learner, Plan, fit, reproducible
from edgebci.training.recipe import Optimiser
from edgebci.training.record import partial_path
from edgebci.training.windows import Starts


def pretrain(sessions: Sequence[Session], recipe: CrossModalRecipe, out: Path, progress: Progress = silent) -> None:
    """Train the teacher on the spikes of all sessions and write it to `out`.

    An interrupted call leaves its state beside `out`; the same call again goes on from there.

    Raises:
        InputError: a session without sorted spikes, or no whole window.
    """
    _train(sessions, recipe, out, None, progress)


def fine_tune(
    sessions: Sequence[Session], pretrained: Path, recipe: CrossModalRecipe, out: Path, progress: Progress = silent
) -> None:
    """Go on from `pretrained` with the target session alone (or a few), which is added if it is new; as `pretrain`."""
    _train(sessions, recipe, out, pretrained, progress)


def _train(
    sessions: Sequence[Session], recipe: CrossModalRecipe, out: Path, source: Path | None, progress: Progress
) -> None:
    stage = recipe.teacher
    optimiser = stage.fine_tuning if source else stage.optimiser
    corpus = Corpus(sessions, spike_patch=stage.encoder.tokens.patch, shift_seed=recipe.shift_seed)
    for part in ("train", "validation"):
        require_windows(corpus, part, optimiser.window_frames)
    plan = Plan(
        optimiser=optimiser,
        seed=recipe.seed,
        patience_epochs=stage.patience_epochs,
        identity=identity_of("fine-tune" if source else "pretrain", recipe, sessions, source),
        partial=partial_path(out),
        accelerator="auto",
        devices=recipe.devices,
    )
    with reproducible(recipe.seed, recipe.threads):
        learner = MaskedSpikes(_starting_model(corpus, recipe, source), corpus, stage.mask_fraction, optimiser)
        fitted = fit(learner, plan, progress)
    save_teacher(out, fitted.model, record_of(recipe, sessions, fitted, source))
    plan.partial.unlink(missing_ok=True)


def _starting_model(corpus: Corpus, recipe: CrossModalRecipe, source: Path | None) -> SpikeAutoencoder:
    patches = spikes_of(corpus).patches
    if source is None:
        model, new = SpikeAutoencoder(recipe.teacher, patches), {patch.name for patch in patches}
    else:
        model = load_teacher(source).requires_grad_()
        new = {patch.name for patch in patches} - {session.name for session in model.sessions}
        model.add(patches)
    for name, rates in mean_rates(corpus).items():
        if name in new:
            model.start_at(name, rates)
    return model


def mean_rates(corpus: Corpus) -> dict[str, Tensor]:
    """Mean count per frame of each unit (P, S) over valid training frames, by session."""
    spikes, found = spikes_of(corpus), {}
    for i, session in enumerate(corpus.sessions):
        rows = torch.from_numpy(session.data.rows("train") + int(corpus.first[i]))
        found[session.name] = spikes.values[rows].mean(dim=0).reshape(-1, spikes.patch)[: spikes.counts[i]]
    return found


class MaskedSpikes(Learner[SpikeAutoencoder]):
    """Poisson log-likelihood of counts that were hidden."""

    score_name = "validation log-likelihood"

    def __init__(self, model: SpikeAutoencoder, corpus: Corpus, fraction: float, optimiser: Optimiser) -> None:
        self.model, self.corpus, self.fraction, self.optimiser = model, corpus, fraction, optimiser

    def windows(self, rng: np.random.Generator) -> Starts:
        """All training windows, in random order (n,)."""
        return self.corpus.windows(rng, "train", self.optimiser.window_frames)

    def losses(self, rows: Starts, rng: np.random.Generator) -> dict[str, Tensor]:
        """Mean over hidden tokens."""
        return {"masked": self._loss(self.model, rows, rng)}

    @torch.no_grad()
    def score(self, model: SpikeAutoencoder) -> float:
        """Log-likelihood on validation windows, with the same tokens hidden each time."""
        rng, size = np.random.default_rng(0), self.optimiser.batch_windows
        tiles = self.corpus.tiles("validation", self.optimiser.window_frames)
        batches = [tiles[i : i + size] for i in range(0, len(tiles), size)]
        losses = [float(self._loss(model, batch, rng)) for batch in batches]
        return -float(np.average(losses, weights=[len(batch) for batch in batches]))

    def _loss(self, model: SpikeAutoencoder, rows: Starts, rng: np.random.Generator) -> Tensor:
        index, device = indices(rows, self.optimiser.window_frames), device_of(model)
        windows = spikes_of(self.corpus).windows(index, self.corpus.session_of(rows)).to(device)
        hidden = hide(windows, self.fraction, rng)
        return poisson_loss(model(windows, hidden), windows, hidden, self.corpus.valid[index].to(device))
