"""Which of its kinds a bundle is, told from its manifest; a damaged one is still told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from edgebci.bundle import MANIFEST, BundleFiles, Manifest, require_manifest
from edgebci.documents import load_json
from edgebci.errors import InputError
from edgebci.foreign.bundle import ForeignManifest
from edgebci.possm_bundle import PossmManifest

Kind = Literal["frames", "spikes", "foreign"]
_MODELS: dict[str, tuple[Kind, type[BundleFiles]]] = {
    "edgebci.bundle": ("frames", Manifest),
    "edgebci.possm_bundle": ("spikes", PossmManifest),
    "edgebci.foreign_bundle": ("foreign", ForeignManifest),
}


def manifest_of(folder: Path) -> tuple[Kind, BundleFiles]:
    """Read the manifest, whatever kind of bundle it is; files are not looked at.

    Raises:
        InputError: no bundle there, a cut manifest, or one of another kind or version.
    """
    require_manifest(folder)
    try:
        said = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{folder / MANIFEST} is not valid JSON ({error}); export the decoder again") from error
    schema = said.get("schema_version") if isinstance(said, dict) else None
    name = schema.partition("/")[0] if isinstance(schema, str) else ""
    if name not in _MODELS:
        raise InputError(f"{folder / MANIFEST} is {schema!r}, known are {', '.join(_MODELS)}; export the decoder again")
    kind, model = _MODELS[name]
    return kind, load_json(folder / MANIFEST, model)
