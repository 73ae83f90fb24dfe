"""Files of teachers and students: tensors, sizes, known sessions, recipe and hashes of the data that were seen."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from edgebci.checkpoint import TrainingRecord
from edgebci.decoding_data import Part
from edgebci.session import Session
from edgebci.training.crossmodal.corpus import counts_of
from edgebci.training.crossmodal.recipe import CausalBody, CrossModalRecipe, TeacherRecipe, TransformerBody
from edgebci.training.crossmodal.spec import SessionPatches
from edgebci.training.crossmodal.spike_model import SpikeAutoencoder
from edgebci.training.crossmodal.student_model import Student
from edgebci.training.loop import Fitted
from edgebci.training.model_file import ModelHeader, load_model, save_model
from edgebci.training.record import stage_identity, stage_record

SEEN: tuple[Part, ...] = ("train", "validation")


class TeacherHeader(ModelHeader):
    """Header of a spike teacher's file."""

    schema_version: Literal["edgebci.spike_teacher/1"] = "edgebci.spike_teacher/1"
    teacher: TeacherRecipe
    sessions: tuple[SessionPatches, ...]


class StudentHeader(ModelHeader):
    """Header of an LFP student's file."""

    schema_version: Literal["edgebci.lfp_student/1"] = "edgebci.lfp_student/1"
    body: CausalBody | TransformerBody
    task: Literal["frames", "behaviour"]
    sessions: tuple[SessionPatches, ...]
    n_channels: int
    n_outputs: int
    teacher_width: int


def save_teacher(path: Path, model: SpikeAutoencoder, record: TrainingRecord) -> None:
    """Write a teacher; the same one always gives the same bytes."""
    save_model(path, model, TeacherHeader(teacher=model.recipe, sessions=model.sessions, training=record))


def load_teacher(path: Path) -> SpikeAutoencoder:
    """Read a teacher, frozen; raises InputError where `path` is not one."""
    return load_model(path, TeacherHeader, lambda h: SpikeAutoencoder(h.teacher, h.sessions))[0]


def save_student(path: Path, student: Student, record: TrainingRecord) -> None:
    """Write a student; the same one always gives the same bytes."""
    header = StudentHeader(
        body=student.recipe_body,
        task=student.task,
        sessions=student.sessions,
        n_channels=student.n_channels,
        n_outputs=student.head.out_features,
        teacher_width=student.teacher_width,
        training=record,
    )
    save_model(path, student, header)


def load_student(path: Path) -> Student:
    """Read a student, frozen; raises InputError where `path` is not one."""
    return load_model(
        path,
        StudentHeader,
        lambda h: Student(h.body, h.task, h.sessions, h.n_channels, h.n_outputs, h.teacher_width),
    )[0]


def identity_of(stage: str, recipe: CrossModalRecipe, sessions: Sequence[Session], source: Path | None = None) -> str:
    """Hash of all that a stage's result depends on: recipe, data, the model it starts from, the libraries' versions."""
    return stage_identity(stage, recipe, data_hashes(sessions), source)


def record_of(
    recipe: CrossModalRecipe, sessions: Sequence[Session], fitted: Fitted[Any], source: Path | None = None
) -> TrainingRecord:
    """Describe a finished stage; `source` is the model that it started from or was taught by."""
    return stage_record(recipe, data_hashes(sessions), fitted, sessions[0].data.frame_rate_hz, source)


def data_hashes(sessions: Sequence[Session]) -> dict[str, str]:
    """Of frames, targets and spikes that a model may see, by session and part."""
    hashes = {f"{s.name} {part}": s.data.fingerprint(part) for s in sessions for part in SEEN}
    return hashes | {f"{s.name} spikes": _spike_hash(s) for s in sessions if s.spikes is not None}


def _spike_hash(session: Session) -> str:
    counts = counts_of(session)
    pieces = [counts[start:stop] for part in SEEN for start, stop in session.data.intervals(part)]
    return hashlib.sha256(np.concatenate(pieces).tobytes()).hexdigest()
