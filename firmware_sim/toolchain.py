"""Compiling generated C: a shared library for this machine, an ELF for a microcontroller core.

Both builds take the same sources with the same warnings. The flags that decide the bits of the results are
`-ffp-contract=off` (no fused multiply-add), `-fno-math-errno` (square root is one instruction) and no -ffast-math.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Literal

from edgebci.errors import InputError, MissingToolError, VerificationError
from edgebci.files import replacing
from edgebci.firmware_sim.cores import Core, find_core

Compiler = Literal["zig", "gcc"]
Optimization = Literal["0", "1", "2", "3"]

NATIVE = Path(__file__).resolve().parent / "native"
SPIKES_HOST, SPIKES_TARGET = NATIVE / "harness_host_spikes.c", NATIVE / "harness_target_spikes.c"
"""Harnesses of decoders of spikes: to the host twin and the emulator, spikes are rows of two counts."""
_STRICT = (
    *(
        "-std=c99",
        "-Wall",
        "-Wextra",
        "-Wconversion",
        "-Wshadow",
        "-Wdouble-promotion",
        "-Wstrict-prototypes",
        "-Werror",
    ),
    *("-ffp-contract=off", "-fno-math-errno", "-ffreestanding", "-fno-sanitize=undefined"),
)
_FAULT = re.compile(r"\berror:|undefined (reference|symbol)")
# Entry points that the emulator calls by name; nothing else would keep them through --gc-sections.
_TARGET_ROOTS = (
    "edgebci_target_entry",
    "edgebci_harness_init",
    "edgebci_harness_push",
    "edgebci_harness_push_missing",
)


def compile_host(
    folder: Path,
    out: Path,
    compiler: Compiler = "zig",
    optimization: Optimization = "3",
    harness: Path | None = NATIVE / "harness_host.c",
) -> Path:
    """Compile every .c file of `folder`, and the harness, into the shared library `out`; returns `out`.

    Raises:
        MissingToolError: the compiler is absent. VerificationError: the C does not compile without a warning.
    """
    # Without the standard library and with undefined symbols refused, what calls libc does not link.
    flags = [f"-O{optimization}", "-shared", "-fPIC", "-nostdlib", "-Wl,-z,defs", *_including(folder)]
    with replacing(out) as temporary:
        _run([*_command(compiler), *_STRICT, *flags, *_sources(folder, harness), "-o", str(temporary)])
    return out


def compile_target(
    folder: Path,
    out: Path,
    core: str = "cortex-m4f",
    optimization: Optimization = "3",
    harness: Path = NATIVE / "harness_target.c",
    debug_lines: bool = False,
) -> Path:
    """Compile every .c file of `folder` with the harness into the ELF `out` for `core`; returns `out`.

    With `debug_lines` the ELF says which line each instruction came from; the code is the same.

    Raises:
        InputError: unknown core. MissingToolError: ziglang is absent.
        VerificationError: the C does not compile without a warning.
    """
    chosen = find_core(core)
    flags = [*target_flags(chosen), f"-O{optimization}", "-fomit-frame-pointer", "-static"]
    flags += ["-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections", "-T", str(NATIVE / "link.ld")]
    flags += ["-fno-unwind-tables", "-fno-asynchronous-unwind-tables"]  # they would pull in an unwinder
    flags += [f"-Wl,-e,{_TARGET_ROOTS[0]}"]
    flags += [f"-Wl,-u,{root}" for root in _TARGET_ROOTS]
    flags += ["-gline-tables-only"] if debug_lines else []
    with replacing(out) as temporary:
        sources = _sources(folder, harness)
        _run([*_command("zig"), *_STRICT, *flags, *_including(folder), *sources, "-o", str(temporary)])
    return out


def compile_with(sources: list[Path], out: Path, flags: list[str]) -> Path:
    """Compile `sources` by zig with the flags that decide bits and warnings, and others of the caller's; returns `out`.

    Raises:
        MissingToolError: ziglang is absent. VerificationError: the C does not compile without a warning.
    """
    with replacing(out) as temporary:
        _run([*_command("zig"), *_STRICT, *flags, *_absolute(sources), "-o", str(temporary)])
    return out


def target_flags(core: Core) -> list[str]:
    """What tells the compiler the core; nothing for this machine."""
    if core.emulator == "native":
        return []
    return ["-target", core.triple, f"-mcpu={core.zig_cpu}", *core.flags]


def _including(folder: Path) -> list[str]:
    return ["-I", *_absolute([folder])]


def _absolute(paths: list[Path]) -> list[str]:
    """Zig's cache knows a file by its name as given: of two folders of one relative name it would take the older."""
    return [str(path.resolve()) for path in paths]


def _sources(folder: Path, harness: Path | None) -> list[str]:
    sources = sorted(folder.glob("*.c"))
    if not sources:
        raise InputError(f"no C file in {folder}; export the decoder with a C target first")
    return _absolute([*sources, *([harness] if harness else [])])


def _command(compiler: Compiler) -> list[str]:
    if compiler == "gcc":
        if shutil.which("gcc") is None:
            raise MissingToolError("gcc is not on the PATH; install it (Debian: apt-get install gcc) or use zig")
        return ["gcc"]
    if importlib.util.find_spec("ziglang") is None:
        raise MissingToolError("the zig compiler is not installed; install it with: pip install ziglang")
    return [sys.executable, "-m", "ziglang", "cc"]


def _run(command: list[str]) -> None:
    result = subprocess.run(command, capture_output=True, text=True, env=_environment(), check=False)
    if result.returncode:
        lines = result.stderr.splitlines() or [f"exit status {result.returncode}"]
        first = next((line for line in lines if _FAULT.search(line)), lines[0])
        raise VerificationError(f"the generated C does not compile: {first}; report it with the ONNX file")


def _environment() -> dict[str, str]:
    """Zig keeps a cache under the home folder; without a writable home it gets one in the temporary folder."""
    environment = dict(os.environ)
    home = Path(environment.get("HOME", "/nonexistent"))
    if "ZIG_GLOBAL_CACHE_DIR" not in environment and not os.access(home, os.W_OK):
        environment["ZIG_GLOBAL_CACHE_DIR"] = str(Path(tempfile.gettempdir()) / f"edgebci-zig-{os.getuid()}")
    return environment
