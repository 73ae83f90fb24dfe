"""Cross-modal distillation: spikes teach a decoder of LFP on some sessions; another one is decoded from LFP alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgebci.checkpoint import Checkpoint
from edgebci.decoding_data import Floats
from edgebci.errors import InputError
from edgebci.files import sha256
from edgebci.pipeline.cache import run_stage, share
from edgebci.pipeline.imports import training_digest
from edgebci.pipeline.studies.trial import Way
from edgebci.pipeline.systems.frame_system import FrameSystem
from edgebci.pipeline.systems.system import Plot
from edgebci.progress import Progress
from edgebci.session import Session

if TYPE_CHECKING:
    from edgebci.training.crossmodal.recipe import CrossModalRecipe

FILE = "model.safetensors"
_MODULES = tuple(f"edgebci.training.crossmodal.{name}" for name in ("files", "readout", "spike_teacher", "student"))


@dataclass(frozen=True)
class Kind:
    """One model of a study. `name` is of its folder, `teacher` the kind that teaches it, if any.

    The controls: `shifted` turns spikes round in time, for the teacher and wherever it teaches; `exchanged` shows the
    teacher the spikes of another session than the student's LFP. `by_cosine`: aligned as published,
    whatever the recipe.
    """

    name: str
    teacher: Kind | None = None
    is_teacher: bool = False
    supervised: bool | None = None
    """Whether the student learns behaviour; None: as the recipe says."""
    shifted: bool = False
    exchanged: bool = False
    by_cosine: bool = False


TEACHER = Kind("teacher", is_teacher=True)
SHIFTED_TEACHER = Kind("shifted teacher", is_teacher=True, shifted=True)
STUDENT = Kind("student", TEACHER)
UNTAUGHT = Kind("without a teacher")
TAUGHT = Kind("cross-modal", TEACHER, supervised=False)
ALONE = Kind("LFP only", supervised=False)
SHIFTED = Kind("shifted spikes", SHIFTED_TEACHER, supervised=False, shifted=True)
EXCHANGED = Kind("spikes of another session", TEACHER, supervised=False, exchanged=True)
TAUGHT_BY_COSINE = Kind("cross-modal by cosine", TEACHER, supervised=False, by_cosine=True)
TAUGHT_WITH_LABELS = Kind("cross-modal, supervised", TEACHER, supervised=True)
SHIFTED_WITH_LABELS = Kind("shifted spikes, supervised", SHIFTED_TEACHER, supervised=True, shifted=True)
ALONE_WITH_LABELS = Kind("LFP only, supervised", supervised=True)


@dataclass(frozen=True)
class Models:
    """Teachers and students of some sessions, one of each kind for every seed; finished ones are kept."""

    sessions: tuple[Session, ...]
    recipe: CrossModalRecipe
    root: Path
    progress: Progress
    teacher: Path | None = None
    """A teacher that exists already, for every seed; None: one is trained."""

    @cached_property
    def identity(self) -> str:
        """What all of them depend on besides kind and seed, as text."""
        from edgebci.training.crossmodal.files import data_hashes

        seen = data_hashes(self.sessions).values()
        return "\n".join([self.recipe.model_dump_json(), *seen, sha256(self.teacher) if self.teacher else ""])

    @property
    def window_frames(self) -> int:
        """Of students that look both ways, when they decode too."""
        return self.recipe.student.optimiser.window_frames

    def path(self, kind: Kind, seed: int) -> Path:
        """The file of one model, trained now if it is not there."""
        if kind is TEACHER and self.teacher:
            return self.teacher
        teacher = self.path(kind.teacher, seed) if kind.teacher else None
        inputs = [self.identity, repr(kind), str(seed)]

        def work(folder: Path) -> None:
            self._train(kind, seed, teacher, folder / FILE)

        stage = run_stage(self.root, _name(kind, seed), inputs, work, training_digest(*_MODULES))
        return stage.folder / FILE

    def _train(self, kind: Kind, seed: int, teacher: Path | None, out: Path) -> None:
        from edgebci.training.crossmodal.spike_teacher import pretrain
        from edgebci.training.crossmodal.student import distill

        recipe = recipe_of(self.recipe, kind, seed)
        sessions = exchanged(self.sessions) if kind.exchanged else self.sessions
        if kind.is_teacher:
            pretrain(sessions, recipe, out, self.progress)
        else:
            distill(sessions, teacher, recipe, out, self.progress)


def _name(kind: Kind, seed: int) -> str:
    return f"{kind.name}_{seed}"


def recipe_of(recipe: CrossModalRecipe, kind: Kind, seed: int) -> CrossModalRecipe:
    """The recipe of one kind: all else, the number of updates included, is the same for all."""
    student = recipe.student.model_copy(update={} if kind.teacher else {"alignment_weight": 0.0})
    if kind.by_cosine:
        student = student.model_copy(update={"alignment": "cosine"})
    if kind.supervised is not None:
        student = student.model_copy(update={"task": "behaviour" if kind.supervised else "frames"})
    return recipe.model_copy(update={"seed": seed, "student": student, "shift_spikes": kind.shifted})


def exchanged(sessions: Sequence[Session]) -> tuple[Session, ...]:
    """Each session with the LFP of the next, cut or repeated to its length: right teacher, wrong LFP."""
    others = (*sessions[1:], sessions[0])
    return tuple(
        replace(one, data=replace(one.data, frames=np.resize(other.data.frames, one.data.frames.shape)))
        for one, other in zip(sessions, others, strict=True)
    )


@dataclass(frozen=True)
class Family:
    """The models of each subject; or one set of models for all."""

    members: tuple[Models, ...]

    def of(self, session: Session) -> Models:
        """The models that decode a session.

        Raises:
            InputError: several sets of models, and none of the session's subject.
        """
        for models in self.members:
            if len(self.members) == 1 or models.sessions[0].subject == session.subject:
                return models
        raise InputError(f"nothing was trained for {session.subject}, the subject of session {session.name}")

    def train(self, kinds: Sequence[Kind], seeds: Sequence[int]) -> None:
        """Train those that no other process is at; what waits for nothing comes first, so that two share a subject."""
        teachers = [kind.teacher for kind in kinds if kind.teacher]
        ordered = dict.fromkeys([*teachers, *sorted(kinds, key=lambda kind: kind.teacher is not None)])
        share(
            (models.root, _name(kind, seed), partial(models.path, kind, seed))
            for seed in seeds
            for models in self.members
            for kind in ordered
        )

    @cached_property
    def identity(self) -> str:
        """What they depend on besides kind and seed, as text."""
        return "\n".join(models.identity for models in self.members)


def fitted_way(family: Family, kind: Kind) -> Way:
    """A frozen student with a readout fitted to the session's training labels."""

    def decode(session: Session, seed: int, _folder: Path, _progress: Progress) -> Floats:
        return _decoded(family.of(session), kind, seed, [session], session)

    return Way(kind.name, family.identity, decode, _MODULES)


def unlabelled_way(family: Family, kind: Kind) -> Way:
    """The same with a readout of the sessions that taught: no label of the decoded session is used."""

    def decode(session: Session, seed: int, _folder: Path, _progress: Progress) -> Floats:
        models = family.of(session)
        return _decoded(models, kind, seed, models.sessions, session)

    return Way(f"{kind.name}, no labels of the session", family.identity, decode, _MODULES)


def spikes_way(family: Family) -> Way:
    """The teacher itself with a readout: it sees the session's spikes, and looks both ways."""

    def decode(session: Session, seed: int, _folder: Path, _progress: Progress) -> Floats:
        from edgebci.training.crossmodal.files import load_teacher
        from edgebci.training.crossmodal.readout import decode, fit_readout, spike_view

        models = family.of(session)
        view = spike_view(load_teacher(models.path(TEACHER, seed)))
        return decode(view, fit_readout(view, [session], models.recipe.ridge_penalties), session)

    return Way("spike teacher", family.identity, decode, _MODULES)


def _decoded(models: Models, kind: Kind, seed: int, labelled: Sequence[Session], session: Session) -> Floats:
    from edgebci.training.crossmodal.files import load_student
    from edgebci.training.crossmodal.readout import decode, fit_readout, lfp_view

    view = lfp_view(load_student(models.path(kind, seed)), models.window_frames)
    return decode(view, fit_readout(view, labelled, models.recipe.ridge_penalties), session)


@dataclass(frozen=True)
class CrossModalSystem(FrameSystem):
    """One teacher and one student of all pretraining sessions, and a readout for each held-out one."""

    models: Models

    def learn(self, seeds: tuple[int, ...]) -> None:
        """Teacher and student of every seed."""
        Family((self.models,)).train((TEACHER, UNTAUGHT, STUDENT), seeds)

    def ways(self) -> tuple[Way, ...]:
        """The student without its teacher, and with it."""
        family = Family((self.models,))
        return fitted_way(family, UNTAUGHT), fitted_way(family, STUDENT)

    def costs(self, session: Session) -> str:
        """Parameters, MACs, bytes and state of the student."""
        from edgebci.training.crossmodal.costs import student_costs

        return student_costs(self.models.recipe.student, session)

    def plots(self, sessions: Sequence[Session], seed: int, folder: Path) -> tuple[Plot, ...]:
        """How alike the views of spikes and of LFP are, on sessions that have spikes."""
        from edgebci.pipeline.systems.alignment import picture, write_alignment

        seen = [session for session in sessions if session.spikes is not None]
        if not seen:
            return ()
        table = write_alignment(Family((self.models,)), (STUDENT, UNTAUGHT), seen, seed, folder)
        note = (
            f"{table.n_sessions} held-out sessions, seed {seed}; maps are fitted to each session's training part and "
            "measured on its test part. Channels that a student is not shown are zero."
        )
        return (Plot("Alignment of the views of spikes and of LFP", picture(table), note),)

    def deployable(self, session: Session, seed: int, trial: Path) -> Checkpoint:  # noqa: ARG002 (nothing lies there)
        """The student with its readout of the session."""
        from edgebci.training.crossmodal.export_form import to_checkpoint
        from edgebci.training.crossmodal.files import StudentHeader, load_student
        from edgebci.training.crossmodal.readout import fit_readout, lfp_view
        from edgebci.training.model_file import load_model_tensors

        path, models = self.models.path(STUDENT, seed), self.models
        student = load_student(path)
        readout = fit_readout(lfp_view(student, models.window_frames), [session], models.recipe.ridge_penalties)
        _, header = load_model_tensors(path, StudentHeader)
        return to_checkpoint(student, readout, session, header.training)
