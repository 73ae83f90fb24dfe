"""Finished stages of a run are kept; a stage is done again only when what went into it changed.

A run folder holds one folder for each stage. `stage.json` in it is written last, with the fingerprint of everything
that the stage depends on: its part of the configuration, the fingerprints of the stages before it, and the sources
of edgebci itself. A folder without that file is a stage that was interrupted: it is kept for the stage to resume
from if it was started with the same fingerprint, and removed if not. Two processes on the same folder never do the
same stage at once: the second waits for the first and takes what it made.
"""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import ValidationError

import edgebci
from edgebci.documents import Document
from edgebci.errors import InputError
from edgebci.files import make_folder, write_text

_SOURCE_SUFFIXES = {".py", ".c", ".h", ".ld", ".j2"}


class StageRecord(Document):
    """What `stage.json` says of a finished stage, and `started.json` of one that is under way."""

    fingerprint: str
    seconds: float


@dataclass(frozen=True)
class Stage:
    """A finished stage: where its files are and what they were made from."""

    name: str
    folder: Path
    fingerprint: str
    seconds: float
    was_kept: bool


def run_stage(
    root: Path, name: str, inputs: list[str], work: Callable[[Path], None], sources: str | None = None
) -> Stage:
    """Do `work(folder)` unless a finished folder with the same inputs is there; wait where another process is at it.

    Args:
        root: the run's folder.
        name: of the stage and of its folder.
        inputs: fingerprints and JSON of all that the result depends on.
        work: writes the stage's files into the folder it is given.
        sources: digest of the code that the stage runs; None is all of the package.
    """
    fingerprint = hashlib.sha256(json.dumps([name, sources or source_digest(), *inputs]).encode()).hexdigest()
    kept = _finished(root / name, fingerprint)
    if kept:
        return kept
    with _lock(root, name):
        return _finished(root / name, fingerprint) or _work(root / name, fingerprint, work)


def share(stages: Iterable[tuple[Path, str, Callable[[], object]]]) -> None:
    """Do each stage (root, name, how) that no other process is at; whoever then needs one of those waits for it.

    So a grid of stages that is started twice on one folder takes half as long.
    """
    for root, name, do in stages:
        if not _is_busy(root, name):
            do()


def _is_busy(root: Path, name: str) -> bool:
    lock = _lock(root, name)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False


def _lock(root: Path, name: str) -> FileLock:
    make_folder(root)
    return FileLock(root / f".{name}.lock")


def _finished(folder: Path, fingerprint: str) -> Stage | None:
    record = _record(folder / "stage.json")
    if record is None or record.fingerprint != fingerprint:
        return None
    return Stage(folder.name, folder, fingerprint, record.seconds, was_kept=True)


def _work(folder: Path, fingerprint: str, work: Callable[[Path], None]) -> Stage:
    _begin(folder, fingerprint)
    started = time.monotonic()
    work(folder)
    seconds = time.monotonic() - started
    _write_record(folder / "stage.json", fingerprint, seconds)
    return Stage(folder.name, folder, fingerprint, seconds, was_kept=False)


@functools.cache
def source_digest(*parts: str) -> str:
    """SHA-256 over the names and bytes of the package's own sources: all, or files and folders named from its top."""
    package = Path(edgebci.__file__).parent
    digest = hashlib.sha256()
    found = {path for name in parts or (".",) for path in _walk(package / name) if path.suffix in _SOURCE_SUFFIXES}
    for path in sorted(found):
        digest.update(path.relative_to(package).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _walk(folder: Path) -> list[Path]:
    """A file itself, or all below a folder; unlike Path.rglob it follows a checkout's links to the stage folders."""
    if not folder.is_dir():
        return [folder]
    found: list[Path] = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _walk(entry)
        else:
            found.append(entry)
    return found


def _begin(folder: Path, fingerprint: str) -> None:
    """Make the folder ready: keep what an interrupted run with the same inputs left, remove anything else."""
    started = _record(folder / "started.json")
    if started is None or started.fingerprint != fingerprint:
        _remove(folder)
    _write_record(folder / "started.json", fingerprint, 0.0)


def _remove(folder: Path) -> None:
    if not folder.exists():
        return
    if not (folder / "started.json").exists() and any(folder.iterdir()):
        raise InputError(f"{folder} exists and was not made by edgebci run; move it away or choose another --out")
    shutil.rmtree(folder)


def _record(path: Path) -> StageRecord | None:
    try:
        return StageRecord.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError):
        return None


def _write_record(path: Path, fingerprint: str, seconds: float) -> None:
    write_text(path, StageRecord(fingerprint=fingerprint, seconds=seconds).model_dump_json(indent=2))
