"""The schema of a kind of profile as JSON Schema, for an editor that completes and checks TOML while it is written."""

from __future__ import annotations

from typing import Any

from edgebci.documents import nearest
from edgebci.errors import InputError
from edgebci.hardware import MODELS

_RANGE = ("low", "typical", "high")


def profile_schema(kind: str) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of one kind of profile.

    Raises:
        InputError: there is no such kind.
    """
    if kind not in MODELS:
        raise InputError(f"no kind of profile {kind!r}; {nearest(kind, list(MODELS))}")
    schema = MODELS[kind].model_json_schema(by_alias=True)
    schema["$defs"]["Quantity"] = _number(schema["$defs"]["Quantity"])
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": f"edgebci-{kind}.schema.json"} | schema


def _number(quantity: dict[str, Any]) -> dict[str, Any]:
    """A number as it is written: `value` stands for a range whose ends are equal."""
    common = [name for name in quantity["required"] if name not in _RANGE]
    return quantity | {
        "properties": quantity["properties"] | {"value": {"title": "Value", "type": "number"}},
        "required": common,
        "oneOf": [
            {"required": ["value"], "not": {"anyOf": [{"required": [name]} for name in _RANGE]}},
            {"required": list(_RANGE), "not": {"required": ["value"]}},
        ],
    }
