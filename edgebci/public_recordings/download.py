"""Downloading one file: it goes on where it was cut, and is checked before it gets its name.

pooch decides whether there is anything to do and checks the MD5; the part in between, which pooch always begins anew,
asks the server for the rest of what is on disk (HTTP Range).
"""

from __future__ import annotations

import http.client
import shutil
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pooch

from edgebci.errors import InputError
from edgebci.files import make_folder
from edgebci.progress import Progress, silent
from edgebci.public_recordings.records import TIMEOUT_S, RemoteFile, unreachable

BLOCK_BYTES = 1 << 20
ATTEMPTS = 5
"""In a row that bring nothing new before the download gives up."""
PAUSE_S = 2.0
"""After the first of them; then twice, three times as long."""
SPARE_BYTES = 64 << 20
"""Left free on the disk."""
_CUT = (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError)


def download(file: RemoteFile, folder: Path, progress: Progress = silent) -> Path:
    """Bring a file into `folder`, where a whole one is kept and a part is continued.

    Raises:
        InputError: no network, the connection broke for good, no space, or the bytes are not those of the record.
    """
    target, part = folder / file.name, _part(folder, file)
    if not target.exists():
        _require_space(file, folder, part)
    pooch.get_logger().setLevel("ERROR")
    try:
        pooch.retrieve(
            file.url,
            f"md5:{file.md5}",
            fname=file.name,
            path=folder,
            downloader=_Resuming(file, part, progress),
        )
    except ValueError as error:
        raise InputError(
            f"{file.name} arrived damaged: its MD5 is not the {file.md5} that the record states; what came is removed: "
            "run the command again"
        ) from error
    return target


@dataclass
class _Resuming:
    """What pooch calls to fill a temporary file."""

    file: RemoteFile
    part: Path
    progress: Progress

    def __call__(self, url: str, output_file: str, _pooch: object) -> None:
        futile = 0
        while (have := _size(self.part)) < self.file.size_bytes:
            try:
                self._go_on(url, have)
                fault: Exception = ConnectionError("the connection broke")
            except urllib.error.HTTPError as error:
                raise InputError(unreachable(url, error)) from error
            except _CUT as error:
                fault = error
            futile = 0 if _size(self.part) > have else futile + 1
            if futile >= ATTEMPTS:
                raise InputError(self._given_up(url, fault)) from fault
            time.sleep(futile * PAUSE_S)
        self.part.replace(output_file)

    def _go_on(self, url: str, have: int) -> None:
        request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer, self.part.open(_mode(answer.status)) as out:
            while block := answer.read(BLOCK_BYTES):
                out.write(block)
                self.progress(min(1.0, out.tell() / self.file.size_bytes), f"download {self.file.name}")

    def _given_up(self, url: str, fault: Exception) -> str:
        have = _size(self.part)
        if not have:
            return unreachable(url, fault)
        return (
            f"the connection broke after {have / 1e6:.1f} of {self.file.size_bytes / 1e6:.1f} MB of {self.file.name}; "
            "run the command again to go on from there"
        )


def _mode(status: int) -> Literal["ab", "wb"]:
    """A server that does not know Range answers 200 and begins anew, and so do we."""
    return "ab" if status == http.client.PARTIAL_CONTENT else "wb"


def _part(folder: Path, file: RemoteFile) -> Path:
    """Named by the MD5, so that a part of an older version is not continued with a newer one."""
    make_folder(folder)
    return folder / f".{file.name}.{file.md5[:8]}.part"


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _require_space(file: RemoteFile, folder: Path, part: Path) -> None:
    needed, free = file.size_bytes - _size(part), shutil.disk_usage(folder).free
    if needed + SPARE_BYTES > free:
        raise InputError(
            f"{file.name} needs {needed / 1e9:.2f} GB more and the disk of {folder} has {free / 1e9:.2f} GB free; "
            "free some, or choose another folder with --to"
        )
