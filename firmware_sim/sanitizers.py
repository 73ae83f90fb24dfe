"""Generated C under gcc's address and undefined-behaviour sanitizers: whole programs, and coverage-guided fuzzing.

zig links neither sanitizer; Debian's gcc does. gcc has no libFuzzer, so `tests/fuzz/driver.c`, over its coverage of
blocks, takes its place; with clang the same harnesses take libFuzzer itself.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Literal

from edgebci.documents import Document, parse
from edgebci.errors import InputError, MissingToolError, VerificationError

Sanitizing = Literal["gcc", "clang"]
_SANITIZE = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer", "-g", "-O1")
_DIALECT = ("-std=gnu99", "-ffp-contract=off", "-fno-math-errno", "-Wall", "-Wextra", "-Werror")
_LONGEST_S = 3600


class FuzzRun(Document):
    """What came of fuzzing one harness without a finding."""

    runs: int
    edges: int
    """Pairs of neighbouring blocks that were reached."""
    inputs: int
    """Kept because they reached a new one, seeds included."""


def compile_sanitized(sources: list[Path], include: Path, out: Path, flags: tuple[str, ...] = ()) -> Path:
    """Compile and link a program with both sanitizers by gcc; returns `out`.

    Raises:
        MissingToolError: gcc is absent. VerificationError: the C does not compile without a warning.
    """
    _compile("gcc", [*_DIALECT, *_SANITIZE, *flags, "-I", str(include), *map(str, sources), "-o", str(out)])
    return out


def compile_fuzzer(firmware: Path, harness: Path, driver: Path, out: Path) -> Path:
    """The program of `firmware` behind a harness, with gcc's coverage and the project's own driver; returns `out`.

    Raises:
        MissingToolError: gcc is absent. VerificationError: the C does not compile without a warning.
    """
    objects = out.with_suffix(".o")  # the driver apart: its own blocks must not count
    _compile("gcc", [*_DIALECT, *_SANITIZE, "-c", str(driver), "-o", str(objects)])
    sources = [*sorted(firmware.glob("*.c")), harness, objects]
    return compile_sanitized(sources, firmware, out, ("-fsanitize-coverage=trace-pc",))


def compile_libfuzzer(firmware: Path, harness: Path, out: Path) -> Path:
    """The same behind clang's libFuzzer; returns `out`.

    Raises:
        MissingToolError: clang is absent. VerificationError: the C does not compile without a warning.
    """
    sources = [*map(str, sorted(firmware.glob("*.c"))), str(harness)]
    flags = ["-fsanitize=fuzzer,address,undefined", *_SANITIZE[1:], "-I", str(firmware)]
    _compile("clang", [*_DIALECT, *flags, *sources, "-o", str(out)])
    return out


def analyze(firmware: Path) -> int:
    """Run `clang --analyze` over every source; returns how many there were.

    Raises:
        MissingToolError: clang is absent. VerificationError: it found something; says what first.
    """
    flags = ["--analyze", "-Xanalyzer", "-analyzer-output=text", "-Xanalyzer", "-analyzer-werror", "-I", str(firmware)]
    sources = sorted(firmware.glob("*.c"))
    for source in sources:
        _compile("clang", ["-std=c99", "-ffreestanding", *flags, str(source)])
    return len(sources)


def run_fuzzer(program: Path, seeds: Path, runs: int, seconds: int, crash: Path) -> FuzzRun:
    """Run what `compile_fuzzer` built.

    Args:
        program: the fuzzer.
        seeds: folder of inputs to begin with.
        runs: after which it stops; the same seeds and runs give the same inputs.
        seconds: after which it stops at the latest.
        crash: where an input that fails is left.

    Raises:
        InputError: no seeds. VerificationError: an input failed; says what the sanitizer said first.
    """
    result = run_sanitized([str(program), str(seeds), str(runs), str(seconds), str(crash)])
    if result.returncode == 2:
        raise InputError(f"{result.stderr.strip()}; give a folder with some")
    if result.returncode:
        lines = result.stderr.splitlines()
        said = next((line for line in lines if "ERROR" in line or "runtime error" in line), "the harness aborted")
        raise VerificationError(f"{program.name}: {said.strip()}; the input is in {crash}, report it with the bundle")
    return parse(json.loads(result.stdout), FuzzRun, program.name)


def run_sanitized(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a sanitized program; leaks count as findings where the machine lets them be looked for."""
    options = {"ASAN_OPTIONS": "detect_leaks=0:abort_on_error=0", "UBSAN_OPTIONS": "print_stacktrace=1"}
    environment = dict(os.environ) | options
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=_LONGEST_S, env=environment, errors="replace"
    )


def _compile(compiler: Sanitizing, arguments: list[str]) -> None:
    if shutil.which(compiler) is None:
        raise MissingToolError(f"{compiler} is not on the PATH; install it (Debian: apt-get install {compiler})")
    result = subprocess.run([compiler, *arguments], capture_output=True, text=True, check=False)
    if result.returncode:
        first = next(iter(result.stderr.splitlines()), f"exit status {result.returncode}")
        raise VerificationError(f"{compiler} refuses the generated C: {first}; report it with the ONNX file")
