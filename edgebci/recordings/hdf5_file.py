"""Opening an HDF5 file, or saying in one sentence why it can't be opened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from edgebci.documents import nearest
from edgebci.errors import InputError

SUFFIXES = (".h5", ".hdf5", ".nwb")


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """Open `path` for reading.

    Raises:
        InputError: it is missing, a folder, cut short, or not HDF5.
    """
    if not path.is_file():
        raise InputError(_missing(path))
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise InputError(_unreadable(path, str(error))) from error
    with file:
        yield file


def _missing(path: Path) -> str:
    if path.is_dir():
        return f"{path} is a folder, not a recording; give an NWB (HDF5) or temporaldata .h5 file"
    folder = path.parent
    beside = sorted(p.name for p in folder.iterdir() if p.suffix in SUFFIXES) if folder.is_dir() else []
    hint = nearest(path.name, beside) if beside else f"the folder {folder} holds no recording: check the path"
    return f"no file {path}; {hint}"


def _unreadable(path: Path, reason: str) -> str:
    size = path.stat().st_size
    if size == 0:
        return f"{path} is empty; copy it again from where it came"
    if "truncated" in reason or "addr overflow" in reason:
        return f"{path} is cut short (only {size} bytes arrived); copy it again from where it came"
    if "signature not found" in reason:
        return f"{path} is not an HDF5 file; give an NWB (HDF5) or temporaldata .h5 file"
    return f"cannot read {path} ({reason}); check its permissions, or copy it again"
