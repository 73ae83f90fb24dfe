"""Which files a claim measures, and one digest over them: figures older than their code are found out.

Comments, docstrings and formatting of Python files do not count: they change nothing that is measured.
"""

from __future__ import annotations

import ast
import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path

import edgebci
from edgebci.errors import InputError
from edgebci.pipeline.imports import imported_files

README_NAME, PROOF_NAME, FIGURES_PAGE = "README.md", "examples/proof.json", "examples/figures.md"


@dataclass(frozen=True)
class Sources:
    """Modules with all of edgebci that they import, and files by glob patterns from the top of the checkout.

    Fields:
        modules: by their full names.
        globs: what is not imported: C, profiles, examples.
        but_not: globs of what is imported and no figure depends on.
    """

    modules: tuple[str, ...] = ()
    globs: tuple[str, ...] = ()
    but_not: tuple[str, ...] = ()

    def paths(self, checkout: Path) -> list[Path]:
        """The files, in the order of their names.

        Raises:
            InputError: a module is not there, or a pattern finds nothing.
        """
        left_out = {path for pattern in self.but_not for path in checkout.glob(pattern)}
        found = set(self._imported(checkout))
        for pattern in self.globs:
            matches = [path for path in checkout.glob(pattern) if path.is_file() and "__pycache__" not in path.parts]
            if not matches:
                raise InputError(f"no source matches {pattern!r} in {checkout}; correct the claim that names it")
            found.update(matches)
        return sorted(found - left_out)

    def _imported(self, checkout: Path) -> list[Path]:
        package = checkout / "edgebci"
        for module in self.modules:
            if not imported_files(package, (module,)):
                raise InputError(f"no module {module} in {checkout}; correct the claim that names it")
        # A stage's folder is a link inside the package: a file has one name, that at the top.
        files = [(package / file).resolve() for file in imported_files(package, self.modules)]
        return [checkout / file.relative_to(checkout.resolve()) for file in files]

    def digest(self, checkout: Path) -> str:
        """SHA-256 over the names of the files and what they say."""
        digest = hashlib.sha256()
        for path in self.paths(checkout):
            digest.update(path.relative_to(checkout).as_posix().encode())
            digest.update(_python_digest(path.read_bytes()) if path.suffix == ".py" else _digest(path.read_bytes()))
        return digest.hexdigest()


def find_checkout() -> Path:
    """The top of the checkout that this package runs from.

    Raises:
        InputError: the package is installed away from a checkout.
    """
    checkout = Path(edgebci.__file__).resolve().parent.parent
    if not (checkout / README_NAME).is_file() or not (checkout / "examples").is_dir():
        raise InputError(f"{checkout} is no checkout of edgebci; run edgebci proof in one, installed with make demo")
    return checkout


class _WithoutText(ast.NodeTransformer):
    """Removes statements that are nothing but a string."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_text else node


@functools.cache
def _python_digest(source: bytes) -> bytes:
    """Of what the code does; most claims share most of their files."""
    return _digest(ast.dump(_WithoutText().visit(ast.parse(source))).encode())


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()
