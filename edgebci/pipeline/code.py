"""Which sources a piece of training depends on: what its modules import, and what those import in turn.

A study of hours is kept trial by trial. A change of code makes those trials old that could come out differently, and
no others.
"""

from __future__ import annotations

import ast
import functools
from pathlib import Path

import edgebci
from edgebci.pipeline.cache import source_digest

_TRAINING = "edgebci.training"
# What every trial sees besides the code that trains: its session, and how what it decodes is scored.
_ALWAYS = ("decoding_data.py", "metrics.py", "session.py")


def training_digest(*modules: str) -> str:
    """Digest of modules of `edgebci.training` and of all of it that they import, at once or later."""
    return source_digest(*_ALWAYS, *sorted(training_sources(*modules)))


@functools.cache
def training_sources(*modules: str) -> frozenset[str]:
    """Files, named from the package's top, of modules of `edgebci.training` and of all of it that they import."""
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        file = _file(name)
        if file is None or file in found:
            continue
        found.add(file)
        waiting += _imported((_package() / file).read_text(encoding="utf-8"))
    return frozenset(found)


def _imported(source: str) -> list[str]:
    """Modules of `edgebci.training` that a source names in an import; a function's imports count too."""
    names: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    return [name for name in names if name.startswith(_TRAINING + ".")]


def _file(module: str) -> str | None:
    """The file of a module; None where the name is a function's, or a package's."""
    path = Path(*module.split(".")[1:]).with_suffix(".py")
    return path.as_posix() if (_package() / path).is_file() else None


def _package() -> Path:
    return Path(edgebci.__file__).parent
