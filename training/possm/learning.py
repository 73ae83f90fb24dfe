"""How POSSM learns: from random weights on one session or many, and on new sessions by unit identification or in full.

    train             everything, from random weights: pretraining on many sessions, or from scratch on one
    identify_units    new embeddings of units and sessions; all else is as the pretrained model has it
    fine_tune         the same for some epochs, then everything

Each writes a model to `out`; an interrupted call leaves its state beside `out`, and the same call again goes on from
there. The loss is the mean squared error of standardised targets; training stops by R2 of the validation intervals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from edgebci.metrics import r2
from edgebci.progress import Progress, part, silent
from edgebci.session import Session
from edgebci.training.loop import Fitted, Learner, Plan, fit, reproducible
from edgebci.training.possm.backbone import spread_over
from edgebci.training.possm.corpus import Corpus, Rows, require_windows
from edgebci.training.possm.decoding import decode_stretch
from edgebci.training.possm.files import PossmFile, identity_of, load_possm, record_of, save_possm
from edgebci.training.possm.model import Possm
from edgebci.training.possm.recipe import PossmRecipe, Stage, UnitDropout
from edgebci.training.possm.vocabulary import Vocabulary, vocabulary_of
from edgebci.training.record import partial_path
from edgebci.training.windows import pieces


def train(sessions: Sequence[Session], recipe: PossmRecipe, out: Path, progress: Progress = silent) -> PossmFile:
    """Train all weights from random ones; sessions may be of several datasets and tasks.

    Raises:
        InputError: a session without sorted spikes, without a whole window, or with a constant target.
    """
    job = _Job(sessions, recipe, vocabulary_of(sessions), out, None)
    with reproducible(recipe.seed, recipe.threads):
        fitted = job.fit("train", job.new_model(), recipe.training, progress)
    return job.finished(fitted, "train")


def identify_units(
    sessions: Sequence[Session], source: Path, recipe: PossmRecipe, out: Path, progress: Progress = silent
) -> PossmFile:
    """Find embeddings of new sessions and their units for the model at `source`, whose other weights stay.

    Raises:
        InputError: as `train`, or a task that the model at `source` has no readout for.
    """
    job = _adapting(sessions, source, recipe, out)
    with reproducible(recipe.seed, recipe.threads):
        fitted = job.fit("identify", job.new_model(frozen=True), recipe.unit_identification, progress)
    return job.finished(fitted, "identify")


def fine_tune(
    sessions: Sequence[Session], source: Path, recipe: PossmRecipe, out: Path, progress: Progress = silent
) -> PossmFile:
    """Unit identification, then training of all weights of the model at `source` on new sessions.

    Raises:
        InputError: as `identify_units`.
    """
    job, before = _adapting(sessions, source, recipe, out), recipe.identification_before_tuning
    share = before.optimiser.epochs / (before.optimiser.epochs + recipe.fine_tuning.optimiser.epochs)
    with reproducible(recipe.seed, recipe.threads):
        identified = job.fit("identify_first", job.new_model(frozen=True), before, part(progress, 0.0, share))
        model = job.new_model()
        model.load_state_dict(identified.model.state_dict())
        fitted = job.fit("tune", model, recipe.fine_tuning, part(progress, share, 1.0))
    return job.finished(fitted, "identify_first", "tune")


def n_trained(model: Possm) -> int:
    """Numbers that an optimiser may change."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


class PossmLearner(Learner[Possm]):
    """Decode standardised targets of several sessions."""

    def __init__(self, model: Possm, corpora: tuple[Corpus, Corpus], stage: Stage, dropout: UnitDropout | None) -> None:
        self.model, (self.taught, self.scored), self.dropout = model, corpora, dropout
        self.length = stage.optimiser.window_frames

    def windows(self, rng: np.random.Generator) -> Rows:
        """All training windows of all sessions, in random order."""
        return self.taught.windows(rng, self.length)

    def losses(self, rows: Rows, rng: np.random.Generator) -> dict[str, Tensor]:
        """Mean squared error at valid frames, mean over windows that have any."""
        batch = self.taught.batch(rows, self.length, self.model.units.device, self.dropout, rng)
        decoded, _ = self.model.scan(
            batch.tokens, batch.queries, batch.session, self.model.initial_state(len(batch.session))
        )
        tasks = self.model.session_tasks[batch.session].tolist()
        windows = zip(decoded, tasks, batch.targets, batch.valid, strict=True)
        errors = [
            functional.mse_loss(self.model.read(x[valid], task), target[valid])
            for x, task, target, valid in windows
            if bool(valid.any())
        ]
        return {"task": torch.stack(errors).mean() if errors else 0.0 * decoded.sum()}

    def score(self, model: Possm) -> float:
        """R2 over the validation intervals, mean over axes and sessions; each interval begins from zero state."""
        return float(np.mean([self._session_r2(model, i) for i in range(len(self.scored.sessions))]))

    def _session_r2(self, model: Possm, number: int) -> float:
        session, decoded, truth = self.scored.sessions[number], [], []
        for start, stop in pieces(session.data, self.scored.part):
            valid = self.scored.valid[number][start:stop]
            decoded.append(decode_stretch(model, session, start, stop)[0].cpu()[valid])
            truth.append(self.scored.targets[number][start:stop][valid])
        return float(r2(torch.cat(truth).double().numpy(), torch.cat(decoded).double().numpy()).mean())


@dataclass(frozen=True, eq=False)
class _Job:
    """What the stages of one call share."""

    sessions: Sequence[Session]
    recipe: PossmRecipe
    vocabulary: Vocabulary
    out: Path
    source: Path | None

    def new_model(self, frozen: bool = False) -> Possm:
        """Fresh embeddings around a fresh core, or around the source's, which may be frozen."""
        model = Possm(self.recipe.model, self.vocabulary, self.recipe.regularisation)
        spread_over(model, self.recipe.time_constants_s, self.recipe.model.chunk_s)
        if self.source is not None:
            model.core.load_state_dict(load_possm(self.source).model.core.state_dict())
        model.core.requires_grad_(requires_grad=not frozen)
        return model

    def fit(self, name: str, model: Possm, stage: Stage, progress: Progress) -> Fitted[Possm]:
        """Train one stage, or go on with it."""
        taught, scored = (
            Corpus(self.sessions, self.vocabulary, self.recipe.model, part) for part in ("train", "validation")
        )
        require_windows(taught, stage.optimiser.window_frames)
        require_windows(scored, 2)
        plan = Plan(
            optimiser=stage.optimiser,
            seed=self.recipe.seed,
            patience_epochs=stage.patience_epochs,
            identity=identity_of(name, self.recipe, self.sessions, self.source),
            partial=self._partial(name),
        )
        return fit(PossmLearner(model, (taught, scored), stage, self.recipe.unit_dropout), plan, progress)

    def finished(self, fitted: Fitted[Possm], *stages: str) -> PossmFile:
        """Write the model and forget the unfinished runs."""
        record = record_of(self.recipe, self.sessions, fitted, self.source)
        model = fitted.model.cpu().eval().requires_grad_(requires_grad=False)
        file = PossmFile(model, record)
        save_possm(self.out, file)
        for stage in stages:
            self._partial(stage).unlink(missing_ok=True)
        return file

    def _partial(self, stage: str) -> Path:
        return partial_path(self.out.with_name(f"{self.out.stem}.{stage}{self.out.suffix}"))


def _adapting(sessions: Sequence[Session], source: Path, recipe: PossmRecipe, out: Path) -> _Job:
    """A job that starts from a trained model, whose sizes it takes."""
    trained = load_possm(source).model
    sized = recipe.model_copy(update={"model": trained.spec})
    return _Job(sessions, sized, vocabulary_of(sessions, trained.vocabulary.tasks), out, source)
