"""Kernels in vectors, put in place of the portable ones of a generated program: Helium, NEON, AVX.

They have the names, the constants and the bits of the portable ones. Those of `kernels/host/` are for this machine and
for aarch64; which instructions they use is decided where they are compiled. A core with Helium has its own,
`kernels/*_helium.h`, which compile everywhere, so that the host twin of a program runs the very same sources.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from edgebci.export.helium_kernels import HELIUM_CORES
from edgebci.export.host_kernels import put_vector_kernels

VECTOR_CORES = ("host", "aarch64")
_KERNELS = Path(__file__).resolve().parent / "kernels"
_HELIUM = ("edgebci_dense",)


def put_kernels_of(core: str, folder: Path) -> tuple[str, ...]:
    """Put the vector kernels of `core` in place of portable ones; returns the names of those replaced."""
    if core in VECTOR_CORES:
        return put_vector_kernels(folder)
    replaced = [name for name in _HELIUM if core in HELIUM_CORES and (folder / f"{name}.h").is_file()]
    for name in replaced:
        shutil.copyfile(_KERNELS / f"{name}_helium.h", folder / f"{name}.h")
    return tuple(f"{name}.h" for name in replaced)
