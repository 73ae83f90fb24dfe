"""What the lossless coder takes on a core: its C over noise like LFP, emulated; cycles per sample of one channel."""

from __future__ import annotations

import tempfile
from pathlib import Path

from edgebci.edge_student import EdgeStudent, lfp_like_counts
from edgebci.firmware_sim.bare_program import run_bare
from edgebci.firmware_sim.cores import find_core
from edgebci.firmware_sim.lossless import BLOCK
from edgebci.firmware_sim.toolchain import NATIVE, compile_with, target_flags
from edgebci.hardware import Core

_BLOCKS = 64
_MAIN = """#include <stdint.h>
uint32_t edgebci_rice(const int16_t *samples, uint32_t n, uint32_t *words);
static const int16_t samples[] = {{ {numbers} }};
uint32_t run(void);
uint32_t run(void)
{{
    static uint32_t words[{n}];
    return edgebci_rice(samples, {n}, words);
}}
"""


def coder_cycles(student: EdgeStudent, core: Core) -> float:
    """Modelled cycles per sample at zero wait states.

    Raises:
        InputError: no such core. MissingToolError: the compiler is missing.
    """
    n = _BLOCKS * BLOCK
    counts = lfp_like_counts(student, n // student.features.samples_per_frame + 1, seed=5)[:n, 0]
    with tempfile.TemporaryDirectory(prefix="edgebci-coder-") as folder:
        main = Path(folder) / "main.c"
        main.write_text(_MAIN.format(numbers=", ".join(map(str, counts.tolist())), n=n), encoding="utf-8")
        flags = [*target_flags(find_core(core)), "-O3", "-static", "-nostdlib", "-Wl,-e,run"]
        elf = compile_with([NATIVE / "rice_coder.c", main], Path(folder) / "coder.elf", flags)
        return run_bare(elf, find_core(core), entry="run").cycles.cycles / n
