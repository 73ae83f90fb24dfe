"""POSSM's file: a model with the embeddings of the sessions that it knows, with recipe and data hashes inside."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from edgebci.checkpoint import TrainingRecord
from edgebci.decoding_data import Part
from edgebci.possm_spec import PossmSpec
from edgebci.session import Session
from edgebci.training.loop import Fitted
from edgebci.training.model_file import ModelHeader, load_model, save_model
from edgebci.training.possm.corpus import spikes_of
from edgebci.training.possm.model import Possm
from edgebci.training.possm.recipe import PossmRecipe
from edgebci.training.possm.vocabulary import Vocabulary
from edgebci.training.record import stage_identity, stage_record

SEEN: tuple[Part, ...] = ("train", "validation")


class PossmHeader(ModelHeader):
    """Header of a model's file."""

    schema_version: Literal["edgebci.possm_model/1"] = "edgebci.possm_model/1"
    spec: PossmSpec
    vocabulary: Vocabulary


@dataclass(frozen=True, eq=False)
class PossmFile:
    """A trained model, ready to decode the sessions that it knows."""

    model: Possm
    training: TrainingRecord


def save_possm(path: Path, file: PossmFile) -> None:
    """Write a model; the same one always gives the same bytes."""
    model = file.model
    header = PossmHeader(spec=model.spec, vocabulary=model.vocabulary, training=file.training)
    save_model(path, model, header)


def load_possm(path: Path) -> PossmFile:
    """Read a model, frozen; raises InputError where `path` is not one."""
    model, header = load_model(path, PossmHeader, lambda header: Possm(header.spec, header.vocabulary))
    return PossmFile(model, header.training)


def identity_of(stage: str, recipe: PossmRecipe, sessions: Sequence[Session], source: Path | None) -> str:
    """Hash of all that a stage's result depends on: recipe, data, the model it starts from, the libraries' versions."""
    return stage_identity(stage, recipe, data_hashes(sessions), source)


def record_of(
    recipe: PossmRecipe, sessions: Sequence[Session], fitted: Fitted[Any], source: Path | None
) -> TrainingRecord:
    """Describe a finished stage; `source` is the model that it started from."""
    rate_hz = sessions[0].data.frame_rate_hz
    return stage_record(recipe, data_hashes(sessions), fitted, rate_hz, source, fitted.score)


def data_hashes(sessions: Sequence[Session]) -> dict[str, str]:
    """Of targets and spikes that a model may see, by session and part."""
    hashes = {f"{s.name} {part}": s.data.fingerprint(part) for s in sessions for part in SEEN}
    return hashes | {f"{s.name} spikes": _spike_hash(s) for s in sessions}


def _spike_hash(session: Session) -> str:
    digest, data, spikes = hashlib.sha256(), session.data, spikes_of(session)
    for start, stop in (interval for part in SEEN for interval in data.intervals(part)):
        begin_s = float(data.times_s[start] - 1 / data.frame_rate_hz)
        seen = spikes.between(begin_s, float(data.times_s[stop - 1]))
        digest.update(seen.times_s.tobytes() + seen.unit.tobytes())
    return digest.hexdigest()
