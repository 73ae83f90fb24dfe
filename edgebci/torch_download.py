"""Say, before anything is downloaded, when the configured package index would bring a CUDA build of PyTorch.

Run as a script by the Makefile before edgebci is installed, so it uses the standard library only.
"""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from typing import Any

REQUIREMENT = "torch==2.13.0"
_CUDA_PREFIXES = ("nvidia-", "cuda-", "triton")


@dataclass(frozen=True)
class Download:
    """One file that pip would fetch; `size_bytes` is None where the server does not say."""

    name: str
    url: str
    size_bytes: int | None


def planned(index: str | None) -> list[Download]:
    """Ask pip what installing PyTorch would fetch; empty where pip can't tell (the installation then explains)."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--report", "-", REQUIREMENT]
    command += ["--index-url", index] if index else []
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        return []
    return cuda_files(json.loads(answer.stdout))


def cuda_files(report: dict[str, Any]) -> list[Download]:
    """The files of a pip installation report that belong to a CUDA build, PyTorch's own among them; else empty."""
    files = {item["metadata"]["name"].lower(): item["download_info"]["url"] for item in report["install"]}
    cuda = [name for name in files if name.startswith(_CUDA_PREFIXES)]
    wanted = [*cuda, "torch"] if cuda else []
    return [Download(name, files[name], _size_bytes(files[name])) for name in wanted if name in files]


def warning(downloads: list[Download]) -> str:
    """The sentence for the user."""
    known = sum(d.size_bytes or 0 for d in downloads) / 1e9
    at_least = "" if all(d.size_bytes for d in downloads) else "at least "
    return (
        f"The configured package index brings a CUDA build of PyTorch: {len(downloads)} files, {at_least}{known:.1f} "
        "GB to download. edgebci needs the CPU build only; to take it from an index that has it, press Ctrl-C and run: "
        "make demo TORCH_INDEX=<address of a CPU index, see PyTorch's installation page>"
    )


def _size_bytes(url: str) -> int | None:
    try:
        request = urllib.request.Request(url, method="HEAD")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.headers["Content-Length"])
    except (OSError, ValueError, TypeError):
        return None


if __name__ == "__main__":
    found = planned(sys.argv[1] if len(sys.argv) > 1 else None)
    if found:
        sys.stderr.write(warning(found) + "\n")
