"""Running the whole device program as a process, on cores that QEMU's user mode runs: outputs only, no cycles.

Where the emulator is not installed, nothing is run, and that is said; on this machine's own core the same program runs
without one, which is how its parts are tested everywhere.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgebci.errors import MissingToolError, VerificationError
from edgebci.features.specification import Counts
from edgebci.firmware_sim.cores import Core
from edgebci.firmware_sim.target_run import pieces
from edgebci.firmware_sim.toolchain import NATIVE, compile_with, target_flags

_FLAGS = ("-O3", "-fomit-frame-pointer", "-static", "-nostdlib", "-ffunction-sections", "-Wl,--gc-sections")
TIMEOUT_S = 600


@dataclass(frozen=True)
class UserRun:
    """What the program gave: outputs (K, D) and valid flags (K,)."""

    outputs: NDArray[np.float32]
    valid: NDArray[np.bool_]


def compile_user(folder: Path, out: Path, core: Core) -> Path:
    """Compile every .c file of `folder` into a program for Linux on `core`; returns `out`, raises as `compile_with`."""
    sources = [*sorted(folder.glob("*.c")), NATIVE / "harness_stream.c"]
    flags = [*target_flags(core), *_FLAGS, "-fno-unwind-tables", "-fno-asynchronous-unwind-tables"]
    return compile_with(sources, out, [*flags, "-fno-stack-protector", "-I", str(folder)])


def runner(core: Core) -> list[str]:
    """The command that runs a program for `core`.

    Raises:
        MissingToolError: its emulator is not installed.
    """
    if core.emulator == "native":
        return []
    if shutil.which(core.emulator) is None:
        raise MissingToolError(f"{core.emulator} is not installed; install it (Debian: apt-get install qemu-user)")
    return [core.emulator, *(["-cpu", core.model] if core.model else [])]


def run_user(
    program: Path, core: Core, counts: Counts, missing: NDArray[np.bool_] | None, samples_per_frame: int, n_outputs: int
) -> UserRun:
    """Run a program that `compile_user` made over counts (T, C).

    Raises:
        MissingToolError: the core's emulator is not installed.
        VerificationError: the program stopped, or lost a frame.
    """
    given = stream(counts, missing, samples_per_frame)
    command = [*runner(core), str(program)]
    result = subprocess.run(command, input=given, capture_output=True, check=False, timeout=TIMEOUT_S)
    if result.returncode:
        said = result.stderr.decode(errors="replace")[:200]
        raise VerificationError(
            f"the program stopped with {result.returncode} on {core.name}: {said or 'it said nothing'}; "
            "the firmware has a defect"
        )
    return frames(result.stdout, len(counts) // samples_per_frame, n_outputs)


def stream(counts: Counts, missing: NDArray[np.bool_] | None, samples_per_frame: int) -> bytes:
    """The standard input of the program: pushes within frames, each all missing or none."""
    parts = []
    for start, stop, lost in pieces(len(counts), missing, samples_per_frame):
        parts.append(np.array([stop - start, lost], "<u4").tobytes())
        parts.append(b"" if lost else np.ascontiguousarray(counts[start:stop]).tobytes())
    return b"".join(parts)


def frames(printed: bytes, n_frames: int, n_outputs: int) -> UserRun:
    """Read the standard output of the program.

    Raises:
        VerificationError: it holds other than `n_frames` frames.
    """
    size = 4 * (n_outputs + 1)
    if len(printed) != n_frames * size:
        raise VerificationError(
            f"the program gave {len(printed) / size:g} frames where {n_frames} were due; it counts samples wrongly"
        )
    rows = np.frombuffer(printed, "<u4").reshape(n_frames, n_outputs + 1)
    return UserRun(np.ascontiguousarray(rows[:, :-1]).view(np.float32), rows[:, -1] != 0)
