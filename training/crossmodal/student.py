"""How the LFP student learns: its task, and what the frozen spike teacher sees of the same frames.

    loss = mean squared error of the task + weight * misalignment            (arXiv 2512.12461, A.1; supervised: Eq. 3)

One session or several at once; nothing outside training intervals teaches, validation intervals decide when to stop.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from edgebci.errors import InputError
from edgebci.progress import Progress, silent
from edgebci.session import Session
from edgebci.training.augmentation import augment, channels_of
from edgebci.training.crossmodal.corpus import Corpus, Modality, Windows, device_of, indices, require_windows
from edgebci.training.crossmodal.files import identity_of, load_teacher, record_of, save_student
from edgebci.training.crossmodal.recipe import CausalBody, CrossModalRecipe, StudentRecipe
from edgebci.training.crossmodal.spike_model import SpikeAutoencoder
from edgebci.training.crossmodal.standardised import standardised
from edgebci.training.crossmodal.student_model import Student, patch_of
from edgebci.training.crossmodal.teaching import principal_views, standardised_views, teacher_views
from edgebci.training.loop import Learner, Plan, fit, reproducible
from edgebci.training.misalignment import misalignment
from edgebci.training.record import partial_path
from edgebci.training.ssm import spread_time_constants
from edgebci.training.windows import Starts


def distill(
    sessions: Sequence[Session], teacher: Path | None, recipe: CrossModalRecipe, out: Path, progress: Progress = silent
) -> None:
    """Train a student on the LFP of `sessions` and write it to `out`; without a teacher, alignment_weight must be 0.

    An interrupted call leaves its state beside `out`; the same call again goes on from there.

    Raises:
        InputError: a teacher is missing or not wanted, a session has no spikes to teach with, no whole window.
    """
    stage = recipe.student
    if (teacher is None) != (stage.alignment_weight == 0):
        raise InputError(
            f"alignment_weight is {stage.alignment_weight} {'without' if teacher is None else 'with'} a teacher; "
            "give a teacher exactly where the weight is above 0"
        )
    frozen = load_teacher(teacher) if teacher else None
    corpus = _corpus(sessions, recipe, frozen)
    for part in ("train", "validation"):
        require_windows(corpus, part, stage.optimiser.window_frames)
    plan = Plan(
        optimiser=stage.optimiser,
        seed=recipe.seed,
        patience_epochs=stage.patience_epochs,
        identity=identity_of("distill", recipe, sessions, teacher),
        partial=partial_path(out),
        accelerator="auto",
        devices=recipe.devices,
    )
    with reproducible(recipe.seed, recipe.threads):
        taught = _taught(frozen, corpus, stage) if frozen else None
        student = new_student(corpus, stage, 0 if taught is None else taught.shape[1])
        fitted = fit(Distillation(student, taught, corpus, stage), plan, progress)
    save_student(out, fitted.model, record_of(recipe, sessions, fitted, teacher))
    plan.partial.unlink(missing_ok=True)


def new_student(corpus: Corpus, recipe: StudentRecipe, teacher_width: int) -> Student:
    """A student for the sessions of a corpus, untrained; `teacher_width` 0 without a teacher."""
    n_channels = max(session.data.frames.shape[1] for session in corpus.sessions)
    n_outputs = n_channels if recipe.task == "frames" else corpus.sessions[0].data.targets.shape[1]
    student = Student(recipe.body, recipe.task, lfp_of(corpus).patches, n_channels, n_outputs, teacher_width)
    if isinstance(recipe.body, CausalBody):
        rate_hz = corpus.sessions[0].data.frame_rate_hz
        spread_time_constants(student, recipe.body.time_constants_s, rate_hz)
    return student


def _taught(teacher: SpikeAutoencoder, corpus: Corpus, recipe: StudentRecipe) -> Tensor:
    """What is to be learned from the teacher, frame by frame (K, d)."""
    views = teacher_views(teacher, corpus)
    if recipe.standardise_teacher:
        views = standardised_views(views, corpus)
    return principal_views(views, corpus, recipe.teacher_components) if recipe.teacher_components else views


class Distillation(Learner[Student]):
    """The task and the teacher, on the same windows."""

    score_name = "minus the validation loss"

    def __init__(self, model: Student, taught: Tensor | None, corpus: Corpus, recipe: StudentRecipe) -> None:
        self.model, self.taught, self.corpus, self.recipe = model, taught, corpus, recipe
        self.length = recipe.optimiser.window_frames
        self.channels = _channels(corpus)
        self.wanted = standardised(corpus.sessions) if recipe.task == "behaviour" else None

    def windows(self, rng: np.random.Generator) -> Starts:
        """All training windows, in random order (n,)."""
        return self.corpus.windows(rng, "train", self.length)

    def losses(self, rows: Starts, rng: np.random.Generator) -> dict[str, Tensor]:
        """Squared error of the task, and misalignment with the teacher where there is one, on augmented windows."""
        return self._losses(self.model, rows, rng)

    @torch.no_grad()
    def score(self, model: Student) -> float:
        """The negative loss on validation windows: with labels that of behaviour alone, which the student is for;
        without, the same trade as in training."""
        tiles, size = self.corpus.tiles("validation", self.length), self.recipe.optimiser.batch_windows
        batches = [tiles[i : i + size] for i in range(0, len(tiles), size)]
        losses = [self._validation_loss(model, batch) for batch in batches]
        return -float(np.average(losses, weights=[len(batch) for batch in batches]))

    def _validation_loss(self, model: Student, rows: Starts) -> float:
        losses = self._losses(model, rows)
        counted = ["task"] if self.wanted is not None else list(losses)
        return sum(float(losses[name]) for name in counted)

    def _losses(self, model: Student, rows: Starts, rng: np.random.Generator | None = None) -> dict[str, Tensor]:
        index, session, device = indices(rows, self.length), self.corpus.session_of(rows), device_of(model)
        lfp = lfp_of(self.corpus).windows(index, session).to(device)
        counted = self.corpus.valid[index].to(device)
        counted[:, : self.recipe.burn_in_frames] = False
        seen = model(lfp if rng is None else self._augmented(lfp, rng))
        losses = {"task": self._task(model.head(seen), lfp, index, counted)}
        if self.taught is not None:
            taught, said = self.taught[index].to(device)[counted], model.to_teacher(seen)[counted]
            losses["alignment"] = self.recipe.alignment_weight * misalignment(said, taught, self.recipe.alignment)
        return losses

    def _augmented(self, lfp: Windows, rng: np.random.Generator) -> Windows:
        frames = augment(lfp.values.flatten(2).cpu(), self.channels, self.recipe.augmentation, rng)
        values = frames.to(lfp.values.device).reshape(lfp.values.shape)
        return Windows(values * lfp.present[:, None], lfp.present, lfp.sessions)

    def _task(self, found: Tensor, lfp: Windows, index: Tensor, counted: Tensor) -> Tensor:
        if self.wanted is not None:
            return functional.mse_loss(found[counted], self.wanted[index].to(found.device)[counted])
        n = found.shape[-1]
        present = lfp.present.flatten(1)[:, None, :n] & counted.unsqueeze(-1)
        return functional.mse_loss(found[present], lfp.values.flatten(2)[..., :n][present])


def _channels(corpus: Corpus) -> Tensor:
    """Channel of each input (P * S,), that of the session with the most; padding has channels of its own."""
    widest = max(corpus.sessions, key=lambda session: session.data.frames.shape[1])
    channels = channels_of(widest.data)
    padding = lfp_of(corpus).values.shape[1] - len(channels)
    return torch.cat([channels, int(channels.max()) + 1 + torch.arange(padding)])


def lfp_of(corpus: Corpus) -> Modality:
    """The corpus's LFP."""
    assert corpus.lfp is not None
    return corpus.lfp


def _corpus(sessions: Sequence[Session], recipe: CrossModalRecipe, teacher: SpikeAutoencoder | None) -> Corpus:
    spike_patch = teacher.recipe.encoder.tokens.patch if teacher else None
    return Corpus(sessions, patch_of(recipe.student.body), spike_patch, recipe.shift_seed)
