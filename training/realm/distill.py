"""How REALM's student learns: to see at each moment what the teacher sees with hindsight (paper, stage 2).

loss = alignment_weight * (1 - cosine to the teacher's last layer)
       + reconstruction_weight * squared error of some frames, rebuilt from the student's last layer
       + task_weight * squared error of the standardised target

Without a task weight no label is used. Projection, rebuilding head and task head belong to training and are not kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgebci.decoding_data import Part
from edgebci.errors import InputError
from edgebci.progress import Progress, silent
from edgebci.session import Session
from edgebci.training.augmentation import augment
from edgebci.training.loop import Learner, Plan, fit, reproducible
from edgebci.training.misalignment import misalignment
from edgebci.training.realm.corpus import Corpus, Rows, cut, require_windows, split_by_name, target_scale
from edgebci.training.realm.encoding import fastest_device, residual_stream
from edgebci.training.realm.files import (
    EncoderFile,
    identity_of,
    load_encoder,
    record_of,
    save_encoder,
)
from edgebci.training.realm.freezing import freeze
from edgebci.training.realm.model import CausalEncoder
from edgebci.training.realm.recipe import DistillationRecipe, RealmRecipe
from edgebci.training.record import partial_path
from edgebci.training.ssm import spread_time_constants
from edgebci.training.windows import pieces


def distill(
    sessions: Sequence[Session], teacher: Path | None, recipe: RealmRecipe, out: Path, progress: Progress = silent
) -> EncoderFile:
    """Train a causal student towards a frozen teacher's file (None: without one) and write its encoder to `out`.

    Sessions left out of training, or else every session's validation intervals, decide when to stop. An interrupted
    call leaves its state beside `out`; the same call again goes on from there, to the same bits.

    Raises:
        InputError: no whole window to train on or to score, or a teacher that does not fit.
    """
    stage, spec = recipe.distillation, recipe.student
    taught, scored = split_by_name(sessions, stage.validation_sessions)
    parts: tuple[Part, ...] = ("train",) if scored else ("train", "validation")
    corpora = [Corpus(taught, spec.n_channels), Corpus(scored or taught, spec.n_channels, parts[-1])]
    for corpus in corpora:
        require_windows(corpus, stage.optimiser.window_frames)
    plan = Plan(
        optimiser=stage.optimiser,
        seed=recipe.seed,
        patience_epochs=stage.patience_epochs,
        identity=identity_of("distill", recipe, sessions, parts, teacher),
        partial=partial_path(out),
        accelerator="auto",
    )
    frozen = None if teacher is None else _fitting(load_encoder(teacher), recipe)
    with reproducible(recipe.seed, recipe.threads):
        lessons = [Lesson.of(corpus, frozen, stage) for corpus in corpora]
        student = Student(recipe, frozen, lessons[0].n_targets)
        fitted = fit(Distillation(student, lessons[0], lessons[1], stage), plan, progress)
    record = record_of(recipe, sessions, parts, fitted, spec, teacher)
    file = EncoderFile(fitted.model.encoder.cpu().eval(), record)
    save_encoder(out, file)
    plan.partial.unlink(missing_ok=True)
    return file


@dataclass(frozen=True, eq=False)
class Lesson:
    """Sessions, what the teacher sees in them, and their standardised targets."""

    corpus: Corpus
    views: list[Tensor] | None
    """Direction of the teacher's last layer at each frame (K, its d_model), one per session; zero where not looked."""
    targets: list[Tensor] | None
    """(K, D), one per session; None where no label is used."""

    @staticmethod
    def of(corpus: Corpus, teacher: EncoderFile | None, recipe: DistillationRecipe) -> Lesson:
        """Run the teacher over the corpus once: it is frozen, so what it says is the same in every epoch."""
        views = None
        if teacher is not None and recipe.alignment_weight:
            views = teacher_views(teacher, corpus, recipe.optimiser.window_frames)
        return Lesson(corpus, views, _targets(corpus.sessions) if recipe.task_weight else None)

    @property
    def n_targets(self) -> int:
        """Target axes; 0 where no label is used."""
        return 0 if self.targets is None else self.targets[0].shape[1]


class Student(nn.Module):
    """The encoder, and the heads that exist during training only."""

    def __init__(self, recipe: RealmRecipe, teacher: EncoderFile | None, n_targets: int) -> None:
        super().__init__()
        spec, stage = recipe.student, recipe.distillation
        self.encoder = CausalEncoder(spec, stage.regularisation)
        if recipe.time_constants_s != "published":
            spread_time_constants(self.encoder, recipe.time_constants_s, spec.frame_rate_hz)
        if teacher is not None and stage.copy_tokenizer:
            self.encoder.tokenizer.load_state_dict(teacher.encoder.tokenizer.state_dict())
        width = spec.d_model if teacher is None else teacher.spec.d_model
        self.to_teacher = nn.Identity() if width == spec.d_model else nn.Linear(spec.d_model, width)
        rebuild = (nn.Linear(spec.d_model, spec.d_model), nn.GELU(), nn.Linear(spec.d_model, spec.n_channels))
        self.rebuild = nn.Sequential(*rebuild) if stage.reconstruction_weight else None
        self.head = nn.Linear(spec.d_model, n_targets) if n_targets else None
        # The last layer is aligned before the final norm, which therefore learns from labels only.
        if self.head is None:
            freeze(self.encoder.norm)


class Distillation(Learner[Student]):
    """Align, rebuild, decode."""

    def __init__(self, model: Student, taught: Lesson, scored: Lesson, recipe: DistillationRecipe) -> None:
        self.model, self.taught, self.scored, self.recipe = model, taught, scored, recipe
        self.length = recipe.optimiser.window_frames

    def windows(self, rng: np.random.Generator) -> Rows:
        """All training windows, in random order."""
        return self.taught.corpus.windows(rng, self.length)

    def losses(self, rows: Rows, rng: np.random.Generator) -> dict[str, Tensor]:
        """The weighted parts of the loss on augmented windows."""
        return self._parts(self.model, self.taught, rows, rng, augmented=True)

    @torch.no_grad()
    def score(self, model: Student) -> float:
        """Minus the loss on the frames that decide when to stop."""
        rng, total, count = np.random.default_rng(0), 0.0, 0
        for rows in self.scored.corpus.batches(self.length, self.recipe.optimiser.batch_windows):
            parts = self._parts(model, self.scored, rows, rng, augmented=False)
            total += float(torch.stack(list(parts.values())).sum()) * len(rows)
            count += len(rows)
        return -total / count

    def _parts(
        self, model: Student, lesson: Lesson, rows: Rows, rng: np.random.Generator, augmented: bool
    ) -> dict[str, Tensor]:
        recipe, corpus, device = self.recipe, lesson.corpus, model.encoder.tokenizer.mix.weight.device
        frames = cut(corpus.frames, rows, self.length, torch.device("cpu"))
        seen = augment(frames, corpus.channels, recipe.augmentation, rng) if augmented else frames
        frames, valid = frames.to(device), cut(corpus.valid, rows, self.length, device)
        x = model.encoder(seen.to(device))
        parts: dict[str, Tensor] = {}
        if lesson.views is not None:
            view = cut(lesson.views, rows, self.length, device)[valid].float()
            parts["alignment"] = recipe.alignment_weight * misalignment(model.to_teacher(x[valid]), view, "cosine")
        if model.rebuild is not None:
            drawn = torch.from_numpy(rng.random(valid.shape) < recipe.reconstruction_fraction).to(device) & valid
            rebuilt = functional.mse_loss(model.rebuild(x[drawn]), frames[drawn])
            parts["reconstruction"] = recipe.reconstruction_weight * rebuilt
        if model.head is not None and lesson.targets is not None:
            decoded = model.head(model.encoder.norm(x[valid]))
            truth = cut(lesson.targets, rows, self.length, device)[valid]
            parts["task"] = recipe.task_weight * functional.mse_loss(decoded, truth)
        return parts


def teacher_views(teacher: EncoderFile, corpus: Corpus, window_frames: int) -> list[Tensor]:
    """Direction of the teacher's last layer at each frame of the corpus's part; zeros elsewhere, where it may not look.

    Directions are kept in half precision: a cosine needs no more, and many sessions have millions of frames.
    """
    views, encoder = [], teacher.encoder.to(fastest_device())
    for session, frames in zip(corpus.sessions, corpus.frames, strict=True):
        seen = torch.zeros(len(frames), teacher.spec.d_model, dtype=torch.float16)
        for start, stop in pieces(session.data, corpus.part):
            residual = residual_stream(encoder, frames[start:stop], window_frames)
            seen[start:stop] = functional.normalize(residual, dim=-1).cpu().half()
        views.append(seen)
    return views


def _fitting(teacher: EncoderFile, recipe: RealmRecipe) -> EncoderFile:
    if recipe.distillation.copy_tokenizer and not teacher.spec.same_tokenizer(recipe.student):
        raise InputError(
            "the teacher's tokenizer does not fit the student's sizes; train that teacher, or drop copy_tokenizer"
        )
    if teacher.spec.n_channels != recipe.student.n_channels:
        raise InputError(
            f"the teacher takes {teacher.spec.n_channels} channels and the student {recipe.student.n_channels}; "
            "give both the same n_channels"
        )
    return teacher


def _targets(sessions: Sequence[Session]) -> list[Tensor]:
    scales = target_scale(sessions)
    return [torch.from_numpy((s.data.targets - mean) / sd) for s, (mean, sd) in zip(sessions, scales, strict=True)]
