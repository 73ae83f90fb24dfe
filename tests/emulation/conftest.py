"""Small programs for the emulated core, compiled once for all emulation tests."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edgebci.firmware_sim.cores import find_core
from edgebci.firmware_sim.firmware_image import FirmwareImage
from edgebci.firmware_sim.toolchain import NATIVE, target_flags

HERE = Path(__file__).resolve().parent / "native"


def link(source: str, core: str, out: Path, script: Path = NATIVE / "link.ld", *more: str) -> Path:
    """Link one file with everything in it kept; returns `out`."""
    flags = [*target_flags(find_core(core)), "-O3", "-ffreestanding", "-fno-sanitize=undefined", "-static"]
    flags += ["-fomit-frame-pointer", "-ffp-contract=off", "-T", str(script), "-Wl,--no-gc-sections", *more]
    command = [sys.executable, "-m", "ziglang", "cc", *flags, str(HERE / source), "-o", str(out)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return out


def build(source: str, folder: Path, core: str = "cortex-m4f") -> FirmwareImage:
    """Link one file of tests/emulation/native with everything in it kept."""
    return FirmwareImage.load(link(source, core, folder / f"{source}.elf"))


@pytest.fixture(scope="session")
def counted(tmp_path_factory: pytest.TempPathFactory) -> FirmwareImage:
    """Assembly with known instruction counts."""
    return build("counted.s", tmp_path_factory.mktemp("counted"))


@pytest.fixture(scope="session")
def timed(tmp_path_factory: pytest.TempPathFactory) -> FirmwareImage:
    """Assembly with known cycles."""
    return build("timed.s", tmp_path_factory.mktemp("timed"))


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> FirmwareImage:
    """Compiled C, good and faulty."""
    return build("programs.c", tmp_path_factory.mktemp("programs"))


@pytest.fixture(scope="session")
def tiny_harness(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A device program with the harness that run_on_target drives."""
    return build("tiny_harness.c", tmp_path_factory.mktemp("tiny")).path


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program with a vector table and a start of its own, with debug lines, and without what it does not call."""
    out = tmp_path_factory.mktemp("bare") / "bare.elf"
    return link("bare.c", "cortex-m4f", out, HERE / "bare.ld", "-gline-tables-only", "-Wl,--gc-sections")


@pytest.fixture(scope="session")
def built_for(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], FirmwareImage]:
    """Link a source for a core, once."""
    images: dict[tuple[str, str], FirmwareImage] = {}

    def built(source: str, core: str) -> FirmwareImage:
        if (source, core) not in images:
            images[source, core] = build(source, tmp_path_factory.mktemp(core), core)
        return images[source, core]

    return built
