"""Files of trained models: safetensors whose header says the sizes, the full recipe, and the hashes of all data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from edgebci.checkpoint import TrainingRecord, read_tensors, write_tensors
from edgebci.documents import Document
from edgebci.errors import InputError


class ModelHeader(Document):
    """What every header says; each system adds the sizes of its model, and narrows `schema_version` to a literal."""

    schema_version: str
    training: TrainingRecord
    """Recipe, SHA-256 of every data set, libraries' versions."""


Header = TypeVar("Header", bound=ModelHeader)
Model = TypeVar("Model", bound=nn.Module)


def save_model(path: Path, module: nn.Module, header: ModelHeader) -> None:
    """Write a module's tensors; the same model always gives the same bytes."""
    tensors = module.state_dict().items()
    write_tensors(path, {name: tensor.detach().cpu().numpy() for name, tensor in tensors}, header)


def load_model_tensors(path: Path, header: type[Header]) -> tuple[dict[str, Tensor], Header]:
    """Read what `save_model` wrote; raises InputError where `path` is not whole, or of another kind."""
    arrays, found = read_tensors(path, header)
    return {name: torch.from_numpy(array) for name, array in arrays.items()}, found


def load_model(path: Path, header: type[Header], make: Callable[[Header], Model]) -> tuple[Model, Header]:
    """Read a model, frozen and in evaluation mode; `make` builds an untrained one of a header's sizes.

    Raises:
        InputError: `path` is not whole, of another kind, or its tensors do not fit its sizes.
    """
    tensors, found = load_model_tensors(path, header)
    model = make(found)
    _fill(model, tensors, path)
    return model, found


def _fill(module: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Give a new module its trained weights, and freeze it."""
    try:
        module.load_state_dict(tensors)
    except RuntimeError as error:
        raise InputError(f"{path}: its tensors do not fit its sizes; train it again") from error
    module.eval().requires_grad_(requires_grad=False)
