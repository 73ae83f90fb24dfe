"""Reading TOML and JSON documents into pydantic models, with one sentence for everything that is wrong."""

from __future__ import annotations

import difflib
import json
import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from edgebci.errors import InputError


class Document(BaseModel):
    """Base of every model that is read from a file: frozen, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


Model = TypeVar("Model", bound=BaseModel)


def load_toml(path: Path, model: type[Model]) -> Model:
    """Read a TOML file into `model`.

    Raises:
        InputError: the file is missing, is not TOML, or does not fit the model (all faults at once).
    """
    return parse(_read_toml(path), model, str(path))


def schema_of(path: Path) -> str:
    """What a TOML file says that it is; raises InputError where it says nothing, or is no TOML."""
    schema = _read_toml(path).get("schema")
    if not isinstance(schema, str):
        raise InputError(f"{path}: the key 'schema' is missing; add what the file is, for example schema = \"...\"")
    return schema


def load_json(path: Path, model: type[Model]) -> Model:
    """Read a JSON file into `model`; raises InputError as load_toml does."""
    try:
        content = json.loads(_read_text(path))
    except json.JSONDecodeError as error:
        raise InputError(f"{path} is not valid JSON ({error}); it may be cut short: write it again") from error
    return parse(content, model, str(path))


def parse(content: object, model: type[Model], where: str) -> Model:
    """Validate plain data against `model`; `where` names its origin in the message of an InputError."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        faults = "; ".join(_sentence(fault, model) for fault in error.errors())
        raise InputError(f"{where}: {faults}") from error


def nearest(name: str, allowed: list[str]) -> str:
    """Say which of `allowed` was probably meant, or list them all."""
    close = difflib.get_close_matches(name, allowed, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"allowed: {', '.join(allowed)}"


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise InputError(f"no file {path}; {_neighbours(path)}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path} as text ({error}); give a UTF-8 file") from error


def _neighbours(path: Path) -> str:
    siblings = sorted(p.name for p in path.parent.glob(f"*{path.suffix}")) if path.parent.is_dir() else []
    return (
        nearest(path.name, siblings)
        if siblings
        else f"the folder {path.parent} has no {path.suffix} file: check the path"
    )


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(_read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path} is not valid TOML: {error}; correct that line") from error


def _sentence(fault: ErrorDetails, model: type[BaseModel]) -> str:
    place = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return f"unknown key {place!r}, {nearest(str(fault['loc'][-1]), _keys_beside(fault['loc'], model))}"
    if fault["type"] == "missing":
        return f"the key {place!r} is missing; add it"
    reason = fault["msg"].removeprefix("Value error, ")
    return f"{place!r} is {_shown(fault['input'])}: {reason}" if place else reason


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _keys_beside(location: tuple[int | str, ...], model: type[BaseModel]) -> list[str]:
    """The field names that are allowed where the unknown key stood."""
    current: object = model
    for part in location[:-1]:
        fields = getattr(current, "model_fields", {})
        if part in fields:
            current = _inner_model(fields[part].annotation)
    return sorted(field.alias or name for name, field in getattr(current, "model_fields", {}).items())


def _inner_model(annotation: object) -> object:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _inner_model(argument)
        if found is not None:
            return found
    return None
