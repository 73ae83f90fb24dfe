"""The state of an unfinished training run on disk, so that it can go on as if nothing had happened."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from pydantic import JsonValue
from torch import Tensor

from edgebci.checkpoint import read_tensors, write_tensors
from edgebci.documents import Document
from edgebci.errors import InputError


class EpochRecord(Document):
    """What one epoch did."""

    losses: dict[str, float]
    """Mean of each weighted part of the loss."""
    score: float | None
    """On validation, the higher the better; None where validation is not looked at."""

    def note(self, score_name: str) -> str:
        """One short line for a progress bar."""
        parts = ", ".join(f"{name} {value:.3f}" for name, value in self.losses.items())
        return parts if self.score is None else f"{parts}, {score_name} {self.score:.3f}"


class EpochPosition(Document):
    """How far an unfinished epoch is."""

    losses: tuple[dict[str, float], ...]
    """Of each update so far."""
    batches: int
    """Updates of the whole epoch."""
    generator: dict[str, JsonValue]
    """State of the epoch's numpy generator; that of torch is a tensor of the file."""


class RunHeader(Document):
    """Header of a saved run: it is continued only by the very same run."""

    schema_version: Literal["edgebci.training_run/2"] = "edgebci.training_run/2"
    identity: str
    """Hash of recipe, sizes and data."""
    devices: str
    """What it runs on: on others, sums round differently."""
    history: tuple[EpochRecord, ...]
    position: EpochPosition | None
    """None: between two epochs."""


def save_run(path: Path, tensors: Mapping[str, Tensor], header: RunHeader) -> None:
    """Write the state of a run; an interruption leaves the previous state."""
    write_tensors(path, {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}, header)


def load_run(path: Path, identity: str, devices: str) -> tuple[dict[str, Tensor], RunHeader] | None:
    """Read the state of a run, or None where there is none, it is broken, or it is another run's."""
    try:
        tensors, header = read_tensors(path, RunHeader)
    except InputError:
        return None
    if (header.identity, header.devices) != (identity, devices):
        return None
    return {name: torch.from_numpy(tensor) for name, tensor in tensors.items()}, header
