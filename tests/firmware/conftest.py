"""Builds of the C sources that several firmware tests share."""

from __future__ import annotations

import ctypes
import shutil
from pathlib import Path

import pytest

from edgebci.firmware_sim.toolchain import compile_host

HERE = Path(__file__).resolve().parent
KERNELS = HERE.parent.parent / "export" / "kernels"


@pytest.fixture(scope="session")
def kernel_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sources of the decoder kernels alone."""
    folder = tmp_path_factory.mktemp("kernels")
    for name in ("edgebci_math.h", "edgebci_kernels.h", "edgebci_kernels.c"):
        shutil.copy(KERNELS / name, folder)
    return folder


@pytest.fixture(scope="session")
def zig_probe(kernel_folder: Path) -> ctypes.CDLL:
    """The kernels compiled by zig -O3, as the host twin is."""
    out = compile_host(kernel_folder, kernel_folder / "probe_zig.so", "zig", "3", HERE / "native" / "kernel_probe.c")
    return ctypes.CDLL(str(out))


@pytest.fixture(scope="session", params=["zig-3", "gcc-3", "gcc-2", "gcc-0"])
def probe(request: pytest.FixtureRequest, kernel_folder: Path) -> ctypes.CDLL:
    """The kernels by every compiler and optimization: each must give the same bits."""
    compiler, optimization = request.param.split("-")
    out = kernel_folder / f"probe_{request.param}.so"
    return ctypes.CDLL(
        str(compile_host(kernel_folder, out, compiler, optimization, HERE / "native" / "kernel_probe.c"))
    )
