"""Checkpoints: a safetensors file whose header says, as JSON, what the tensors are and how they were trained."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import JsonValue
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from edgebci.decoder_spec import DecoderSpec
from edgebci.documents import Document, parse
from edgebci.errors import InputError
from edgebci.files import replacing

Floats = npt.NDArray[np.float32]
Header = TypeVar("Header", bound=Document)

_KEY = "edgebci"
"""The only metadata key: safetensors writes several in random order, and the same weights must give the same file."""


class TrainingRecord(Document):
    """How a checkpoint came about."""

    recipe: dict[str, JsonValue]
    """Every hyper-parameter, the seed included."""
    data_sha256: dict[str, str]
    """Hash of what was seen, by part: train, validation."""
    teacher_sha256: str | None = None
    """Hash of the teacher's checkpoint file, where there was a teacher."""
    frame_rate_hz: float
    epochs_run: int
    best_epoch: int
    validation_r2: float | None = None
    """Mean over axes at the best epoch, in detection of AUROC; None where validation was not looked at."""
    validation_scores: tuple[float, ...] = ()
    """After each epoch; empty where validation was not looked at."""
    versions: dict[str, str]


class DecoderHeader(Document):
    """Header of a causal decoder's checkpoint."""

    schema_version: Literal["edgebci.checkpoint/1"] = "edgebci.checkpoint/1"
    spec: DecoderSpec
    training: TrainingRecord


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A trained causal decoder: outputs are in the target's unit."""

    spec: DecoderSpec
    parameters: Mapping[str, Floats]
    """By the names and shapes of `spec.parameter_shapes()`."""
    training: TrainingRecord


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a decoder; the same decoder always gives the same bytes."""
    header = DecoderHeader(spec=checkpoint.spec, training=checkpoint.training)
    write_tensors(path, checkpoint.parameters, header)


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a decoder.

    Raises:
        InputError: the file is missing, cut short, of another kind, or its tensors do not fit its spec.
    """
    tensors, header = read_tensors(path, DecoderHeader)
    wanted = header.spec.parameter_shapes()
    for name in sorted(wanted.keys() | tensors.keys()):
        found = tensors[name].shape if name in tensors else "absent"
        if found != wanted.get(name):
            raise InputError(
                f"{path}: tensor {name!r} is {found} where its spec says {wanted.get(name, 'absent')}; train it again"
            )
        if not np.isfinite(tensors[name]).all():
            raise InputError(f"{path}: tensor {name!r} holds NaN or infinity; train it again")
    return Checkpoint(header.spec, tensors, header.training)


def write_tensors(path: Path, tensors: Mapping[str, npt.NDArray[np.generic]], header: Document) -> None:
    """Write named tensors and their header."""
    contiguous = {name: np.asarray(tensor, order="C") for name, tensor in tensors.items()}
    with replacing(path) as temporary:
        save_file(contiguous, temporary, metadata={_KEY: header.model_dump_json()})


def read_tensors(
    path: Path, model: type[Header], again: str = "train it again"
) -> tuple[dict[str, npt.NDArray[np.float32]], Header]:
    """Read what `write_tensors` wrote; raises InputError when it is not that, or not a `model`.

    `again` tells how to get a whole file.
    """
    if not path.is_file():
        raise InputError(f"no checkpoint {path}; train first, or correct the path")
    try:
        with safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get(_KEY, "null")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except SafetensorError as error:
        raise InputError(f"{path} is not a whole safetensors file ({error}); {again}") from error
    return tensors, parse(json.loads(text), model, str(path))
