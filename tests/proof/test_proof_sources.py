"""The digest of a claim's sources: changes with what is computed, and with nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgebci.errors import InputError
from edgebci.pipeline.proof.claims import CLAIMS
from edgebci.pipeline.proof.sources import Sources, find_checkout

CODE = '"""What."""\n\nA = 1\n\n\ndef f(x: int) -> int:\n    """Add."""\n    return x + A\n'


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "code.py").write_text(CODE)
    (tmp_path / "kernel.c").write_text("int x;\n")
    return tmp_path


SOURCES = Sources(globs=("*.py", "*.c"))


@pytest.mark.parametrize(
    "other",
    [
        CODE.replace("Add.", "Adds A to x."),
        CODE.replace("A = 1", "A = 1  # one"),
        CODE.replace("x + A", "(x + A)"),
        CODE + '"""More."""\n',
    ],
)
def test_comments_docstrings_and_formatting_do_not_count(tree: Path, other: str) -> None:
    before = SOURCES.digest(tree)
    (tree / "code.py").write_text(other)
    assert SOURCES.digest(tree) == before


@pytest.mark.parametrize(
    ("old", "new"), [("A = 1", "A = 2"), ("x + A", "A + x"), ("def f", "def g"), ("return x", 'return "x"; x')]
)
def test_code_counts(tree: Path, old: str, new: str) -> None:
    before = SOURCES.digest(tree)
    (tree / "code.py").write_text(CODE.replace(old, new))
    assert SOURCES.digest(tree) != before


def test_names_of_files_every_byte_of_c_and_new_files_count(tree: Path) -> None:
    digests = [SOURCES.digest(tree)]
    (tree / "kernel.c").write_text("int x; /* */\n")
    digests.append(SOURCES.digest(tree))
    (tree / "kernel.c").rename(tree / "kernels.c")
    digests.append(SOURCES.digest(tree))
    (tree / "new.py").write_text("")
    digests.append(SOURCES.digest(tree))
    assert len(set(digests)) == 4
    assert Sources(globs=("*.py", "*.c"), but_not=("new.py",)).digest(tree) == digests[2]


def test_a_pattern_that_finds_nothing_is_refused(tree: Path) -> None:
    with pytest.raises(InputError, match=r"no source matches '\*.toml'"):
        Sources(globs=("*.toml",)).digest(tree)


def test_a_module_brings_what_it_imports_and_what_that_imports(tmp_path: Path) -> None:
    package = tmp_path / "edgebci"
    package.mkdir()
    stage = tmp_path / "training"
    stage.mkdir()
    (package / "training").symlink_to(Path("..") / "training")
    (package / "first.py").write_text("import numpy\n\ndef f():\n    from edgebci.training import second\n")
    (stage / "second.py").write_text("from edgebci.third import x\nif TYPE_CHECKING:\n    import edgebci.fourth\n")
    for name in ("third", "fourth", "fifth"):
        (package / f"{name}.py").write_text("x = 1\n")
    found = Sources(("edgebci.first",)).paths(tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in found] == [
        "edgebci/first.py",
        "edgebci/third.py",
        "training/second.py",
    ]
    with pytest.raises(InputError, match=r"no module edgebci\.sixth"):
        Sources(("edgebci.sixth",)).paths(tmp_path)


def test_the_quickstart_depends_on_every_stage_but_not_on_the_command_line_or_the_proof() -> None:
    checkout = find_checkout()
    quickstart = next(claim for claim in CLAIMS if claim.name == "quickstart")
    names = {path.relative_to(checkout).as_posix() for path in quickstart.sources.paths(checkout)}
    needed = {
        "training/ssm.py",
        "export/kernels/edgebci_math.h",
        "firmware_sim/native/link.ld",
        "examples/quickstart.toml",
    }
    assert needed <= names
    assert not [name for name in names if name.startswith(("edgebci/cli", "edgebci/pipeline/proof/prove", "tests"))]


def test_claims_have_names_of_their_own_and_know_their_files() -> None:
    checkout = find_checkout()
    assert len({claim.name for claim in CLAIMS}) == len(CLAIMS) == 31
    for claim in CLAIMS:
        own = [p for p in claim.sources.paths(checkout) if p.parent.name == "proof"]
        assert own, f"{claim.name} must be measured again when its own measurement changes"
