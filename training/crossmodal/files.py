"""Files of teachers and students: tensors, sizes, known sessions, recipe and hashes of the data that were seen."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edgebci.checkpoint import TrainingRecord, read_tensors, write_tensors
from edgebci.decoding_data import Part
from edgebci.documents import Document
from edgebci.errors import InputError
from edgebci.files import sha256
from edgebci.session import Session
from edgebci.training.crossmodal.corpus import counts_of
from edgebci.training.crossmodal.recipe import CausalBody, CrossModalRecipe, TeacherRecipe, TransformerBody
from edgebci.training.crossmodal.spec import SessionPatches
from edgebci.training.crossmodal.spike_model import SpikeAutoencoder
from edgebci.training.crossmodal.student_model import Student
from edgebci.training.loop import Fitted
from edgebci.training.record import _versions

SEEN: tuple[Part, ...] = ("train", "validation")


class TeacherHeader(Document):
    """Header of a spike teacher's file."""

    schema_version: Literal["edgebci.spike_teacher/1"] = "edgebci.spike_teacher/1"
    teacher: TeacherRecipe
    sessions: tuple[SessionPatches, ...]
    training: TrainingRecord


class StudentHeader(Document):
    """Header of an LFP student's file."""

    schema_version: Literal["edgebci.lfp_student/1"] = "edgebci.lfp_student/1"
    body: CausalBody | TransformerBody
    task: Literal["frames", "behaviour"]
    sessions: tuple[SessionPatches, ...]
    n_channels: int
    n_outputs: int
    teacher_width: int
    training: TrainingRecord


def save_teacher(path: Path, model: SpikeAutoencoder, record: TrainingRecord) -> None:
    """Write a teacher; the same one always gives the same bytes."""
    _write(path, model, TeacherHeader(teacher=model.recipe, sessions=model.sessions, training=record))


def load_teacher(path: Path) -> SpikeAutoencoder:
    """Read a teacher, frozen; raises InputError where `path` is not one."""
    tensors, header = read_tensors(path, TeacherHeader)
    model = SpikeAutoencoder(header.teacher, header.sessions)
    _fill(model, tensors, path)
    return model


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
    _write(path, student, header)


def load_student(path: Path) -> Student:
    """Read a student, frozen; raises InputError where `path` is not one."""
    tensors, h = read_tensors(path, StudentHeader)
    student = Student(h.body, h.task, h.sessions, h.n_channels, h.n_outputs, h.teacher_width)
    _fill(student, tensors, path)
    return student


def identity_of(stage: str, recipe: CrossModalRecipe, sessions: Sequence[Session], source: Path | None = None) -> str:
    """Hash of all that a stage's result depends on: recipe, data, the model it starts from, the libraries' versions."""
    texts = [stage, recipe.model_dump_json(), *data_hashes(sessions).values(), str(_versions())]
    return hashlib.sha256("\n".join([*texts, sha256(source) if source else ""]).encode()).hexdigest()


def record_of(
    recipe: CrossModalRecipe, sessions: Sequence[Session], fitted: Fitted[Any], source: Path | None = None
) -> TrainingRecord:
    """Describe a finished stage; `source` is the model that it started from or was taught by."""
    return TrainingRecord(
        recipe=recipe.model_dump(mode="json", by_alias=True),
        data_sha256=data_hashes(sessions),
        teacher_sha256=sha256(source) if source else None,
        frame_rate_hz=sessions[0].data.frame_rate_hz,
        epochs_run=len(fitted.history),
        best_epoch=fitted.best_epoch,
        validation_r2=None,
        versions=_versions(),
    )


def data_hashes(sessions: Sequence[Session]) -> dict[str, str]:
    """Of frames, targets and spikes that a model may see, by session and part."""
    hashes = {f"{s.name} {part}": s.data.fingerprint(part) for s in sessions for part in SEEN}
    return hashes | {f"{s.name} spikes": _spike_hash(s) for s in sessions if s.spikes is not None}


def _spike_hash(session: Session) -> str:
    counts = counts_of(session)
    pieces = [counts[start:stop] for part in SEEN for start, stop in session.data.intervals(part)]
    return hashlib.sha256(np.concatenate(pieces).tobytes()).hexdigest()


def _write(path: Path, module: nn.Module, header: Document) -> None:
    write_tensors(path, {name: tensor.cpu().numpy() for name, tensor in module.state_dict().items()}, header)


def _fill(module: nn.Module, tensors: Mapping[str, NDArray[np.float32]], path: Path) -> None:
    """Give a new module its trained weights, frozen."""
    try:
        module.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in tensors.items()})
    except RuntimeError as error:
        raise InputError(f"{path}: its tensors do not fit its sizes; train it again") from error
    module.eval().requires_grad_(requires_grad=False)
