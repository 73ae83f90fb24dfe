"""How long the command line takes to answer."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from edgebci.pipeline.proof.claim import Place, seconds_of, timed
from edgebci.pipeline.proof.figure import Figure
from edgebci.progress import Progress

REPEATS = 11


def measure_start_up(_place: Place, progress: Progress) -> tuple[Figure, ...]:
    """Seconds of `edgebci --help`, the first run left out: it reads the files into memory."""
    installed = shutil.which("edgebci", path=str(Path(sys.executable).parent))
    command = [installed] if installed else [sys.executable, "-m", "edgebci.cli.main"]
    seconds = []
    for i in range(REPEATS + 1):
        progress(i / (REPEATS + 1), "edgebci --help")
        seconds.append(seconds_of(lambda: subprocess.run([*command, "--help"], check=True, capture_output=True)))
    return (timed("help_seconds", "edgebci --help", seconds[1:], f"{REPEATS} runs"),)
