"""What programs may rely on: the names that `edgebci` exports, at no cost until they are used."""

from __future__ import annotations

import ast
import doctest
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import edgebci

ROOT = Path(__file__).resolve().parent.parent
HEAVY = {"torch", "onnxruntime", "onnx", "matplotlib", "scipy", "numpy", "pydantic", "h5py", "sklearn", "unicorn"}
# Removing or renaming one of these breaks the programs of others: say so in CHANGELOG.md.
PUBLIC = [
    "Band",
    "Bundle",
    "CapacityError",
    "Checkpoint",
    "Comparison",
    "ComputePart",
    "DecoderSpec",
    "EdgebciError",
    "FeatureSpec",
    "FixedDecoder",
    "FrontEnd",
    "Implant",
    "InputError",
    "Interval",
    "Manifest",
    "MissingToolError",
    "Quantity",
    "QuantizedDecoder",
    "Radio",
    "Recording",
    "RecordingWriter",
    "Report",
    "Score",
    "SyntheticSpec",
    "Tissue",
    "Verdict",
    "VerificationError",
    "__version__",
    "compare",
    "load_checkpoint",
    "load_profile",
    "load_report",
    "open_bundle",
    "open_recording",
    "profile_names",
    "score",
    "synthesize",
]


def test_the_public_names_are_these() -> None:
    assert edgebci.__all__ == sorted(PUBLIC)
    assert dir(edgebci) == sorted(PUBLIC)


def test_every_public_name_is_there_and_documented() -> None:
    undocumented = [name for name in PUBLIC if name != "__version__" and not getattr(edgebci, name).__doc__]
    assert undocumented == []


def test_a_type_checker_sees_what_a_program_gets() -> None:
    tree = ast.parse((ROOT / "edgebci" / "__init__.py").read_text())
    (guarded,) = [node for node in tree.body if isinstance(node, ast.If)]
    shown = {
        alias.name: node.module for node in guarded.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert shown == {name: module for module, names in edgebci._PUBLIC.items() for name in names}
    assert {*shown, "__version__"} == set(PUBLIC)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        getattr(edgebci, "no_such_" + "name")


@pytest.mark.parametrize("module", ["edgebci", "edgebci.cli.main"])
def test_importing_brings_nothing_heavy(module: str) -> None:
    # What makes it quick; seconds are measured by `edgebci proof`, not asserted here.
    code = f"import sys, {module}; print(' '.join(name.split('.')[0] for name in sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "edgebci" in loaded
    assert set(loaded) & HEAVY == set()


def with_examples() -> list[str]:
    sources = [p for p in (ROOT / "edgebci").rglob("*.py") if "\n>>> " in p.read_text() or "    >>> " in p.read_text()]
    return [".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for p in sources]


@pytest.mark.parametrize("module", with_examples())
def test_examples_in_docstrings_run(module: str) -> None:
    found = doctest.testmod(importlib.import_module(module), optionflags=doctest.ELLIPSIS)
    assert found.attempted > 0
    assert found.failed == 0
