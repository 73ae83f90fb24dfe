"""Parts of a long measurement that are kept as they end, so that an interrupted one goes on where it stopped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from edgebci.documents import Document, load_json
from edgebci.files import write_text

Part = TypeVar("Part", bound=Document)


def kept(folder: Path, name: str, model: type[Part], measure: Callable[[], Part]) -> Part:
    """What `measure` gives, from `{name}.json` in `folder` where an earlier run left it; written when it is new."""
    path = folder / f"{name}.json"
    if path.is_file():
        return load_json(path, model)
    found = measure()
    folder.mkdir(parents=True, exist_ok=True)
    write_text(path, found.model_dump_json(indent=2) + "\n")
    return found
