"""REALM's files: an encoder, or an encoder with its readout, with recipe and data hashes inside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from edgebci.checkpoint import TrainingRecord
from edgebci.decoding_data import Part
from edgebci.session import Session
from edgebci.training.loop import Fitted
from edgebci.training.model_file import ModelHeader, load_model, save_model
from edgebci.training.realm.model import BidirectionalEncoder, CausalEncoder, RealmDecoder, make_encoder
from edgebci.training.realm.recipe import RealmRecipe
from edgebci.training.realm.spec import EncoderSpec
from edgebci.training.record import stage_identity, stage_record


class EncoderHeader(ModelHeader):
    """Header of an encoder's file."""

    schema_version: Literal["edgebci.realm_encoder/1"] = "edgebci.realm_encoder/1"
    spec: EncoderSpec


class DecoderHeader(ModelHeader):
    """Header of a fine-tuned decoder's file."""

    schema_version: Literal["edgebci.realm_decoder/1"] = "edgebci.realm_decoder/1"
    spec: EncoderSpec
    output_names: tuple[str, ...]
    output_unit: str
    raw_skip: bool


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
    save_model(path, file.encoder, EncoderHeader(spec=file.spec, training=file.training))


def load_encoder(path: Path) -> EncoderFile:
    """Read an encoder, frozen; raises InputError where `path` is not one."""
    encoder, header = load_model(path, EncoderHeader, lambda header: make_encoder(header.spec))
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
    save_model(path, file.decoder, header)


def load_decoder(path: Path) -> DecoderFile:
    """Read a decoder, frozen; raises InputError where `path` is not one."""
    decoder, header = load_model(
        path, DecoderHeader, lambda h: RealmDecoder(make_encoder(h.spec), len(h.output_names), h.raw_skip)
    )
    return DecoderFile(decoder, header.output_names, header.output_unit, header.training)


def identity_of(
    stage: str, recipe: RealmRecipe, sessions: Sequence[Session], parts: tuple[Part, ...], source: Path | None = None
) -> str:
    """Hash of all that a stage's result depends on: recipe, data, the model it starts from, the libraries' versions."""
    return stage_identity(stage, recipe, _data_hashes(sessions, parts), source)


def record_of(
    recipe: RealmRecipe,
    sessions: Sequence[Session],
    parts: tuple[Part, ...],
    fitted: Fitted[Any],
    spec: EncoderSpec,
    source: Path | None = None,
) -> TrainingRecord:
    """Describe a finished stage; `source` is the model that it started from, teacher or student."""
    return stage_record(recipe, _data_hashes(sessions, parts), fitted, spec.frame_rate_hz, source)


def _data_hashes(sessions: Sequence[Session], parts: tuple[Part, ...]) -> dict[str, str]:
    return {f"{session.name} {part}": session.data.fingerprint(part) for session in sessions for part in parts}
