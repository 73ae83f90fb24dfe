"""The wheel, the sdist and the checkout hold the same package."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from filelock import FileLock

ROOT = Path(__file__).resolve().parent.parent
MAPPING = {"export": "edgebci/export", "training": "edgebci/training", "firmware_sim": "edgebci/firmware_sim"}
SOURCES = {".py", ".c", ".h", ".ld", ".j2", ".toml", ".typed"}


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from an sdist built from the checkout: what a package index would serve."""
    out = tmp_path_factory.mktemp("dist")
    # The build leaves its work in the checkout for a while: two of pytest's workers would take it from each other.
    with FileLock(tmp_path_factory.getbasetemp().parent / "wheel.lock"):
        built = subprocess.run(
            [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)],
            capture_output=True,
            text=True,
            check=False,
        )
    assert built.returncode == 0, built.stdout[-2000:] + built.stderr[-2000:]
    return next(out.glob("*.whl"))


def expected_files() -> set[str]:
    """Tracked and new sources of the checkout, by the path that they have inside the wheel."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    found = set()
    for name in listed:
        top, _, rest = name.partition("/")
        if Path(name).suffix not in SOURCES or not (ROOT / name).is_file():
            continue
        if top == "edgebci":
            found.add(name)
        elif top in MAPPING:
            found.add(f"{MAPPING[top]}/{rest}")
        elif top == "hardware_profiles":
            found.add(f"edgebci/{name}")
    return found


def test_the_wheel_holds_every_source_of_the_tree_and_nothing_else(wheel: Path) -> None:
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    expected = expected_files()
    assert len(expected) > 60
    assert held == expected


def test_the_wheel_works_away_from_the_tree(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)
    code = (
        "import edgebci, edgebci.training, edgebci.export, edgebci.firmware_sim, pathlib;"
        "from edgebci.hardware import Implant, profile_names;"
        f"assert pathlib.Path(edgebci.__file__).is_relative_to({str(tmp_path)!r}), edgebci.__file__;"
        "print(len(profile_names(Implant)))"
    )
    ran = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {code}"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) >= 2


def test_the_editable_install_finds_the_stages_in_the_checkout() -> None:
    import edgebci.export
    import edgebci.training

    for module, folder in ((edgebci.training, "training"), (edgebci.export, "export")):
        assert Path(module.__file__ or "").resolve().is_relative_to(ROOT / folder)


def test_every_dependency_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pins = {line.split("==")[0].lower().replace("_", "-") for line in (ROOT / "constraints.txt").read_text().split()}
    wanted = [*project["dependencies"], *(r for extra in project["optional-dependencies"].values() for r in extra)]
    assert len(wanted) > 20
    assert {r.split("=")[0].split(">")[0].lower() for r in wanted} <= pins
