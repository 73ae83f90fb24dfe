"""Which of the package's own files some modules run: they themselves, what they import, and what that imports in turn.

Figures and finished trials are kept for as long as the files that they came from stay as they are, and no longer.
"""

from __future__ import annotations

import ast
import functools
from pathlib import Path

import edgebci
from edgebci.pipeline.cache import source_digest

_NAME = "edgebci"
_TRAINING = "edgebci.training"
# What every trial sees besides the code that trains: its session, and how what it decodes is scored.
_ALWAYS = ("decoding_data.py", "metrics.py", "session.py")


def training_digest(*modules: str) -> str:
    """Digest of modules of `edgebci.training` and of all of it that they import, at once or later."""
    return source_digest(*_ALWAYS, *sorted(training_sources(*modules)))


def package_digest(*modules: str) -> str:
    """Digest of modules and of all of the package that they import, at once or later."""
    return source_digest(*sorted(imported_files(Path(edgebci.__file__).parent, modules)))


def training_sources(*modules: str) -> frozenset[str]:
    """Files, named from the package's top, of modules of `edgebci.training` and of all of it that they import."""
    return imported_files(Path(edgebci.__file__).parent, modules, within=_TRAINING)


@functools.cache
def imported_files(package: Path, modules: tuple[str, ...], within: str = _NAME) -> frozenset[str]:
    """Files of `modules` and of all that they import, named from the top of `package`.

    Imports inside functions count, imports for the type checker do not. Names outside `within` are not followed.
    """
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        file = _file(package, waiting.pop())
        if file is None or file in found:
            continue
        found.add(file)
        imported = _imported((package / file).read_bytes())
        waiting += [name for name in imported if name == within or name.startswith(f"{within}.")]
    return frozenset(found)


@functools.cache
def _imported(source: bytes) -> tuple[str, ...]:
    """Every name that may be a module; `from a import b` may mean a.b. Many modules lead to the same file."""
    names: list[str] = []
    for node in _run(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    return tuple(names)


def _run(node: ast.AST) -> list[ast.AST]:
    """All nodes below, without what `if TYPE_CHECKING` guards."""
    nodes: list[ast.AST] = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            continue
        nodes += [child, *_run(child)]
    return nodes


def _file(package: Path, module: str) -> str | None:
    """The file of a module or package; None where the name is a function's or a class's."""
    path = Path(*module.split(".")[1:])
    for file in (path.with_suffix(".py") if path.name else Path("__init__.py"), path / "__init__.py"):
        if (package / file).is_file():
            return file.as_posix()
    return None
