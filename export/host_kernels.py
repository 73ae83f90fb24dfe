"""The device program for this machine: the same C, its large kernels written for vectors.

The vector kernels of `kernels/host/` have the names, the constants and the bits of the portable ones; which
instructions they use (AVX2, AVX-512 VNNI, NEON, or none) is decided where they are compiled.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from edgebci.export.c_generator import generate
from edgebci.export.c_spikes import generate_spike_program
from edgebci.features.front_end import FrontEnd
from edgebci.possm_spec import PossmStepSpec

VECTOR_KERNELS = Path(__file__).resolve().parent / "kernels" / "host"
SHARED = "edgebci_vector.h"
"""What the vector kernels have in common."""


def generate_for_host(graph: Path, front_end: FrontEnd, folder: Path) -> None:
    """`c_generator.generate` for this machine; raises what it raises."""
    generate(graph, front_end, folder, "host")
    put_vector_kernels(folder)


def generate_spikes_for_host(graph: Path, spec: PossmStepSpec, folder: Path) -> None:
    """`c_spikes.generate_spike_program` for this machine; raises what it raises."""
    generate_spike_program(graph, spec, folder, "host")
    put_vector_kernels(folder)


def put_vector_kernels(folder: Path) -> tuple[str, ...]:
    """Put vector kernels in place of the portable ones of a generated program; returns the names of those replaced."""
    replaced = tuple(path.name for path in sorted(VECTOR_KERNELS.glob("*")) if (folder / path.name).is_file())
    for name in (*replaced, SHARED):
        shutil.copyfile(VECTOR_KERNELS / name, folder / name)
    return replaced
