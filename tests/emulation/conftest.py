"""Small programs for the emulated core, compiled once for all emulation tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edgebci.firmware_sim.cores import find_core
from edgebci.firmware_sim.firmware_image import FirmwareImage
from edgebci.firmware_sim.toolchain import NATIVE

HERE = Path(__file__).resolve().parent / "native"


def build(source: str, folder: Path) -> FirmwareImage:
    """Link one file of tests/emulation/native with everything in it kept."""
    core, elf = find_core("cortex-m4f"), folder / f"{source}.elf"
    flags = f"-target {core.triple} -mcpu={core.zig_cpu} -O3 -ffreestanding -fno-sanitize=undefined -static".split()
    flags += ["-fomit-frame-pointer", "-ffp-contract=off", "-T", str(NATIVE / "link.ld"), "-Wl,--no-gc-sections"]
    command = [sys.executable, "-m", "ziglang", "cc", *flags, str(HERE / source), "-o", str(elf)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return FirmwareImage.load(elf)


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
