"""Running the C of a decoder that takes frames of floats: to host twin and emulator, frames are rows of counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgebci.arithmetic import F32, I32
from edgebci.firmware_sim.host_twin import HostTwin
from edgebci.firmware_sim.target_run import TargetRun, run_on_target
from edgebci.firmware_sim.toolchain import NATIVE, Compiler, Optimization, compile_host, compile_target
from edgebci.progress import Progress, silent

FOREIGN_HOST, _TARGET = NATIVE / "harness_host_foreign.c", NATIVE / "harness_target_foreign.c"


def compile_foreign_host(
    folder: Path, out: Path, compiler: Compiler = "zig", optimization: Optimization = "3"
) -> HostTwin:
    """Compile the program in `folder` for this machine and load it; raises as `compile_host` does."""
    return HostTwin(compile_host(folder, out, compiler, optimization, FOREIGN_HOST))


def compile_foreign_target(folder: Path, out: Path, core: str = "cortex-m4f") -> Path:
    """Compile the program in `folder` for a core; raises as `compile_target` does."""
    return compile_target(folder, out, core, harness=_TARGET)


def run_foreign_on_target(elf: Path, frames: F32, n_outputs: int, progress: Progress = silent) -> TargetRun:
    """Run frames (T, n_inputs) through the emulated core, from power-on; raises as `run_on_target` does."""
    return run_on_target(elf, as_counts(frames), None, frames.shape[1], 1, n_outputs, progress)


def as_counts(frames: F32) -> I32:
    """The bits of frames (T, n_inputs)."""
    return np.ascontiguousarray(frames, np.float32).view(np.int32)
