"""The vector kernels, compiled in every way that this machine can run."""

from __future__ import annotations

import ctypes
import shutil
from pathlib import Path

import pytest

from edgebci.export.c_program import HERE as EXPORT
from edgebci.export.host_kernels import VECTOR_KERNELS
from edgebci.firmware_sim.toolchain import compile_host

NATIVE = Path(__file__).resolve().parent / "native"


@pytest.fixture(scope="session")
def vector_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the vector kernels and the probe, as one program."""
    folder = tmp_path_factory.mktemp("vectors")
    for header in (*VECTOR_KERNELS.glob("*.h"), EXPORT / "kernels" / "edgebci_math.h"):
        shutil.copy(header, folder)
    shutil.copy(NATIVE / "vector_probe.c", folder)
    return folder


@pytest.fixture(scope="session", params=["zig", "gcc"])
def vectors(request: pytest.FixtureRequest, vector_folder: Path) -> ctypes.CDLL:
    """By zig for this machine, with the instructions that it has; by gcc for any x86-64, in portable C."""
    out = vector_folder / f"{request.param}.so"
    return ctypes.CDLL(str(compile_host(vector_folder, out, request.param, "3", None)))
