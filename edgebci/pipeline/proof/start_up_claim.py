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
    """Seconds of `edgebci --help` and of an import, the first run left out: it reads the files into memory."""
    installed = shutil.which("edgebci", path=str(Path(sys.executable).parent))
    command = [installed] if installed else [sys.executable, "-m", "edgebci.cli.main"]
    bare, imported = ([sys.executable, "-c", program] for program in ("pass", "import edgebci"))
    begun = _seconds([*command, "--help"], progress)
    return (
        timed("help_seconds", "edgebci --help", begun, f"{REPEATS} runs"),
        timed("import_seconds", "python -c 'import edgebci'", _seconds(imported, progress), f"{REPEATS} runs"),
        timed("bare_seconds", "python by itself", _seconds(bare, progress), f"{REPEATS} runs"),
    )


def _seconds(command: list[str], progress: Progress) -> list[float]:
    """Of each run."""
    seconds = []
    for i in range(REPEATS + 1):
        progress(i / (REPEATS + 1), " ".join(command[-2:]))
        seconds.append(seconds_of(lambda: subprocess.run(command, check=True, capture_output=True)))
    return seconds[1:]
