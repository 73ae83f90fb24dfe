"""Writing files so that a crash, a full disk or Ctrl-C never leaves half of one."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgebci.errors import InputError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; rename it into place if the block succeeds, remove it if not.

    Raises:
        InputError: the disk is full or the folder can't be written.
    """
    temporary = _temporary_beside(path)
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise _explained(error, path) from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """Give an empty temporary folder beside `folder`; rename it into place if the block succeeds, remove it if not.

    Raises:
        InputError: the disk is full or the folder can't be written.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as place:
            fresh, previous = Path(place, "new"), Path(place, "old")
            fresh.mkdir()
            yield fresh
            if folder.exists():
                folder.replace(previous)
            fresh.replace(folder)
    except OSError as error:
        raise _explained(error, folder) from error


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, into which files can be written; one that is there is left as it is.

    Raises:
        InputError: it can't be made or written into.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {folder}: {error.strerror}; choose another") from error
    if not os.access(folder, os.W_OK):
        raise InputError(f"the folder {folder} is read-only; choose another, or let it be written into")


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 beside `path` and rename it into place."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _temporary_beside(path: Path) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # The suffix stays last: some writers choose their format by it.
        temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}{path.suffix}")
        # Not mkstemp: its files are closed to everyone else, also after they have got their name.
        temporary.touch(exist_ok=False)
    except OSError as error:
        raise _explained(error, path) from error
    return temporary


def _explained(error: OSError, path: Path) -> Exception:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return InputError(f"no space left on the disk that holds {path.parent}; free some and run the command again")
    if error.errno in (errno.EACCES, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EEXIST):
        return InputError(f"cannot write {path}: {error.strerror}; choose another folder with --out")
    return error
