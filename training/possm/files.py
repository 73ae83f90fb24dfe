"""POSSM's file: a model with the embeddings of the sessions that it knows, with recipe and data hashes inside."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from edgebci.checkpoint import TrainingRecord, read_tensors, write_tensors
from edgebci.decoding_data import Part
from edgebci.documents import Document
from edgebci.errors import InputError
from edgebci.files import sha256
from edgebci.possm_spec import PossmSpec
from edgebci.session import Session
from edgebci.training.loop import Fitted
from edgebci.training.possm.model import Possm
from edgebci.training.possm.recipe import PossmRecipe
from edgebci.training.possm.vocabulary import Vocabulary
from edgebci.training.record import _versions

SEEN: tuple[Part, ...] = ("train", "validation")


class PossmHeader(Document):
    """Header of a model's file."""

    schema_version: Literal["edgebci.possm_model/1"] = "edgebci.possm_model/1"
    spec: PossmSpec
    vocabulary: Vocabulary
    training: TrainingRecord


@dataclass(frozen=True, eq=False)
class PossmFile:
    """A trained model, ready to decode the sessions that it knows."""

    model: Possm
    training: TrainingRecord


def save_possm(path: Path, file: PossmFile) -> None:
    """Write a model; the same one always gives the same bytes."""
    model = file.model
    header = PossmHeader(spec=model.spec, vocabulary=model.vocabulary, training=file.training)
    write_tensors(path, {name: tensor.cpu().numpy() for name, tensor in model.state_dict().items()}, header)


def load_possm(path: Path) -> PossmFile:
    """Read a model, frozen; raises InputError where `path` is not one."""
    tensors, header = read_tensors(path, PossmHeader)
    model = Possm(header.spec, header.vocabulary)
    try:
        model.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in tensors.items()})
    except RuntimeError as error:
        raise InputError(f"{path}: its tensors do not fit its sizes; train it again") from error
    model.eval().requires_grad_(requires_grad=False)
    return PossmFile(model, header.training)


def identity_of(stage: str, recipe: PossmRecipe, sessions: Sequence[Session], source: Path | None) -> str:
    """Hash of all that a stage's result depends on: recipe, data, the model it starts from, the libraries' versions."""
    texts = [stage, recipe.model_dump_json(), *data_hashes(sessions).values(), str(_versions())]
    return hashlib.sha256("\n".join([*texts, sha256(source) if source else ""]).encode()).hexdigest()


def record_of(
    recipe: PossmRecipe, sessions: Sequence[Session], fitted: Fitted[Any], source: Path | None
) -> TrainingRecord:
    """Describe a finished stage; `source` is the model that it started from."""
    return TrainingRecord(
        recipe=recipe.model_dump(mode="json", by_alias=True),
        data_sha256=data_hashes(sessions),
        teacher_sha256=sha256(source) if source else None,
        frame_rate_hz=sessions[0].data.frame_rate_hz,
        epochs_run=len(fitted.history),
        best_epoch=fitted.best_epoch,
        validation_r2=fitted.score,
        versions=_versions(),
    )


def data_hashes(sessions: Sequence[Session]) -> dict[str, str]:
    """Of targets and spikes that a model may see, by session and part."""
    hashes = {f"{s.name} {part}": s.data.fingerprint(part) for s in sessions for part in SEEN}
    return hashes | {f"{s.name} spikes": _spike_hash(s) for s in sessions}


def _spike_hash(session: Session) -> str:
    digest, data, spikes = hashlib.sha256(), session.data, session.spikes
    if spikes is None:
        raise InputError(f"session {session.name} has no sorted spikes; choose one that has")
    for start, stop in (interval for part in SEEN for interval in data.intervals(part)):
        begin_s = float(data.times_s[start] - 1 / data.frame_rate_hz)
        seen = spikes.between(begin_s, float(data.times_s[stop - 1]))
        digest.update(seen.times_s.tobytes() + seen.unit.tobytes())
    return digest.hexdigest()
