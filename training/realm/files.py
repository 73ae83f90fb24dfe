"""REALM's files: an encoder, or an encoder with its readout, with recipe and data hashes inside."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from edgebci.training.loop import Fitted
from edgebci.training.realm.model import BidirectionalEncoder, CausalEncoder, RealmDecoder, make_encoder
from edgebci.training.realm.recipe import RealmRecipe
from edgebci.training.realm.spec import EncoderSpec
from edgebci.training.record import _versions


class EncoderHeader(Document):
    """Header of an encoder's file."""

    schema_version: Literal["edgebci.realm_encoder/1"] = "edgebci.realm_encoder/1"
    spec: EncoderSpec
    training: TrainingRecord


class DecoderHeader(Document):
    """Header of a fine-tuned decoder's file."""

    schema_version: Literal["edgebci.realm_decoder/1"] = "edgebci.realm_decoder/1"
    spec: EncoderSpec
    output_names: tuple[str, ...]
    output_unit: str
    raw_skip: bool
    training: TrainingRecord


@dataclass(frozen=True, eq=False)
class EncoderFile:
    """A trained encoder, ready to encode."""

    encoder: CausalEncoder | BidirectionalEncoder
    training: TrainingRecord

    @property
    def spec(self) -> EncoderSpec:
        """Its sizes."""
        return self.encoder.spec


@dataclass(frozen=True, eq=False)
class DecoderFile:
    """A fine-tuned decoder; its outputs are in `output_unit`."""

    decoder: RealmDecoder
    output_names: tuple[str, ...]
    output_unit: str
    training: TrainingRecord


def save_encoder(path: Path, file: EncoderFile) -> None:
    """Write an encoder; the same one always gives the same bytes."""
    _write(path, file.encoder, EncoderHeader(spec=file.spec, training=file.training))


def load_encoder(path: Path) -> EncoderFile:
    """Read an encoder, frozen; raises InputError where `path` is not one."""
    tensors, header = read_tensors(path, EncoderHeader)
    encoder = make_encoder(header.spec)
    _fill(encoder, tensors, path)
    return EncoderFile(encoder, header.training)


def save_decoder(path: Path, file: DecoderFile) -> None:
    """Write a decoder; the same one always gives the same bytes."""
    header = DecoderHeader(
        spec=file.decoder.encoder.spec,
        output_names=file.output_names,
        output_unit=file.output_unit,
        raw_skip=file.decoder.skip is not None,
        training=file.training,
    )
    _write(path, file.decoder, header)


def load_decoder(path: Path) -> DecoderFile:
    """Read a decoder, frozen; raises InputError where `path` is not one."""
    tensors, header = read_tensors(path, DecoderHeader)
    decoder = RealmDecoder(make_encoder(header.spec), len(header.output_names), header.raw_skip)
    _fill(decoder, tensors, path)
    return DecoderFile(decoder, header.output_names, header.output_unit, header.training)


def identity_of(
    stage: str, recipe: RealmRecipe, sessions: Sequence[Session], parts: tuple[Part, ...], source: Path | None = None
) -> str:
    """Hash of all that a stage's result depends on: recipe, data, the model it starts from, the libraries' versions."""
    texts = [stage, recipe.model_dump_json(), *_data_hashes(sessions, parts).values(), str(_versions())]
    return hashlib.sha256("\n".join([*texts, sha256(source) if source else ""]).encode()).hexdigest()


def record_of(
    recipe: RealmRecipe,
    sessions: Sequence[Session],
    parts: tuple[Part, ...],
    fitted: Fitted[Any],
    spec: EncoderSpec,
    source: Path | None = None,
) -> TrainingRecord:
    """Describe a finished stage; `source` is the model that it started from, teacher or student."""
    return TrainingRecord(
        recipe=recipe.model_dump(mode="json", by_alias=True),
        data_sha256=_data_hashes(sessions, parts),
        teacher_sha256=sha256(source) if source else None,
        frame_rate_hz=spec.frame_rate_hz,
        epochs_run=len(fitted.history),
        best_epoch=fitted.best_epoch,
        validation_r2=None,
        versions=_versions(),
    )


def _data_hashes(sessions: Sequence[Session], parts: tuple[Part, ...]) -> dict[str, str]:
    return {f"{session.name} {part}": session.data.fingerprint(part) for session in sessions for part in parts}


def _write(path: Path, module: nn.Module, header: Document) -> None:
    write_tensors(path, {name: tensor.cpu().numpy() for name, tensor in module.state_dict().items()}, header)


def _fill(module: nn.Module, tensors: Mapping[str, NDArray[np.float32]], path: Path) -> None:
    """Give a new module its trained weights, frozen."""
    try:
        module.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in tensors.items()})
    except RuntimeError as error:
        raise InputError(f"{path}: its tensors do not fit its sizes; train it again") from error
    module.eval().requires_grad_(requires_grad=False)
