"""Running the whole device program on its own, on cores that QEMU runs: as a process, or on a board.

Where the emulator is not installed, nothing is run, and that is said; on this machine's own core the same program runs
without one, which is how its parts are tested everywhere.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgebci.errors import MissingToolError, VerificationError
from edgebci.features.specification import Counts
from edgebci.firmware_sim.cores import Core
from edgebci.firmware_sim.native_hooks import qemu_plugin
from edgebci.firmware_sim.target_run import pieces
from edgebci.firmware_sim.toolchain import NATIVE, compile_with, target_flags

_FLAGS = (
    *("-O3", "-fomit-frame-pointer", "-static", "-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections"),
    *("-fno-unwind-tables", "-fno-asynchronous-unwind-tables", "-fno-stack-protector"),
)
_BOARD_FLAGS = ("-T", str(NATIVE / "link_an547.ld"), "-Wl,-e,edgebci_reset_entry")
_BOARD_OPTIONS = ("-display", "none", "-monitor", "none", "-serial", "none", "-semihosting-config", "enable=on")
_PACKAGES = {"qemu-system-arm": "qemu-system-arm"}
TIMEOUT_S = 600


@dataclass(frozen=True)
class UserRun:
    """What the program gave: outputs (K, D), valid flags (K,), and the context after the last sample.

    Instructions are counted, the program's start and its input and output among them; None where that cannot be had.
    """

    outputs: NDArray[np.float32]
    valid: NDArray[np.bool_]
    state: bytes
    stack_bytes: int  # at its deepest; 0 where that is not known
    instructions: int | None = None


@dataclass(frozen=True)
class AloneRun:
    """What a program put out, and what the plugin counted: nothing where there was none."""

    printed: bytes
    counted: bytes

    @property
    def instructions(self) -> int | None:
        """From the program's start to its end."""
        return int.from_bytes(self.counted[:8], "little") if self.counted else None


def compile_user(folder: Path, out: Path, core: Core, debug_lines: bool = False) -> Path:
    """Compile every .c file of `folder` into a program that runs on its own; returns `out`.

    Raises:
        MissingToolError, VerificationError: as `compile_with`.
    """
    return compile_alone([*sorted(folder.glob("*.c")), NATIVE / "harness_stream.c"], out, core, folder, debug_lines)


def compile_alone(sources: list[Path], out: Path, core: Core, include: Path, debug_lines: bool = False) -> Path:
    """Compile a program that begins at `_start`, with the streams of native/stream_*.h; returns and raises likewise."""
    alone = _BOARD_FLAGS if core.is_thumb else ("-nostdlib",)
    flags = [*target_flags(core), *_FLAGS, *alone, "-I", str(include.resolve()), "-I", str(NATIVE)]
    return compile_with(sources, out, [*flags, *(["-gline-tables-only"] if debug_lines else [])])


def runner(core: Core) -> list[str]:
    """The command that runs a program for `core`.

    Raises:
        MissingToolError: its emulator is not installed.
    """
    if core.emulator == "native":
        return []
    if shutil.which(core.emulator) is None:
        package = _PACKAGES.get(core.emulator, "qemu-user")
        raise MissingToolError(f"{core.emulator} is not installed; install it (Debian: apt-get install {package})")
    if core.is_thumb:
        return [core.emulator, "-M", core.model, *_BOARD_OPTIONS, "-kernel"]
    return [core.emulator, *(["-cpu", core.model] if core.model else [])]


def run_user(
    program: Path, core: Core, counts: Counts, missing: NDArray[np.bool_] | None, samples_per_frame: int, n_outputs: int
) -> UserRun:
    """Run a program that `compile_user` made over counts (T, C).

    Raises:
        MissingToolError: the core's emulator is not installed.
        VerificationError: the program stopped, or lost a frame.
    """
    done = run_alone(program, core, stream(counts, missing, samples_per_frame))
    return replace(frames(done.printed, len(counts) // samples_per_frame, n_outputs), instructions=done.instructions)


def run_alone(program: Path, core: Core, given: bytes, plugin: tuple[str, ...] = ()) -> AloneRun:
    """Run a program that `compile_alone` made on the bytes that it is `given`; raises as `run_user`.

    `plugin`: what more native/qemu_counter.c is to count.
    """
    command = [*runner(core), str(program.resolve())]
    with tempfile.TemporaryDirectory(prefix="edgebci-stream-") as name:
        folder = Path(name)
        (folder / "pushes").write_bytes(given)
        result = _start(_counted(command, plugin), folder)
        if result.returncode and b"plugin" in result.stderr:  # of another version of QEMU's interface
            result = _start(command, folder)
        if result.returncode:
            said = result.stderr.decode(errors="replace")[:200]
            raise VerificationError(
                f"the program stopped with {result.returncode} on {core.name}: {said or 'it said nothing'}; "
                "the firmware has a defect"
            )
        printed = (folder / "frames").read_bytes() if core.is_thumb else result.stdout
        counted = folder / "counted"
        return AloneRun(printed, counted.read_bytes() if counted.exists() else b"")


def _counted(command: list[str], plugin: tuple[str, ...]) -> list[str]:
    """The command of an emulator with the plugin that counts; any other as it is."""
    emulator, *rest = command
    return [emulator, "-plugin", ",".join((str(qemu_plugin()), "out=counted", *plugin)), *rest] if rest else command


def _start(command: list[str], folder: Path) -> subprocess.CompletedProcess[bytes]:
    with (folder / "pushes").open("rb") as pushes:
        return subprocess.run(command, stdin=pushes, capture_output=True, check=False, timeout=TIMEOUT_S, cwd=folder)


def stream(counts: Counts, missing: NDArray[np.bool_] | None, samples_per_frame: int) -> bytes:
    """What the program takes in: pushes within frames, each all missing or none."""
    parts = []
    for start, stop, lost in pieces(len(counts), missing, samples_per_frame):
        parts.append(np.array([stop - start, lost], "<u4").tobytes())
        parts.append(b"" if lost else np.ascontiguousarray(counts[start:stop]).tobytes())
    return b"".join(parts)


def frames(printed: bytes, n_frames: int, n_outputs: int) -> UserRun:
    """Read what the program gave.

    Raises:
        VerificationError: it holds other than `n_frames` frames.
    """
    stack_bytes, state_bytes = (int.from_bytes(printed[i : i + 4], "little") for i in (-8, len(printed) - 4))
    rest, size = len(printed) - 8 - state_bytes, 4 * (n_outputs + 1)
    if rest != n_frames * size:
        raise VerificationError(
            f"the program gave {rest / size:g} frames where {n_frames} were due; it counts samples wrongly"
        )
    rows = np.frombuffer(printed[:rest], "<u4").reshape(n_frames, n_outputs + 1)
    outputs = np.ascontiguousarray(rows[:, :-1]).view(np.float32)
    return UserRun(outputs, rows[:, -1] != 0, printed[rest:-8], stack_bytes)
