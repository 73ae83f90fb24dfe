"""The table of cycles is what the emulator measures."""

from __future__ import annotations

import pytest

from edgebci.export.calibration import Width
from edgebci.export.widths import dense_names, uniform
from edgebci.pipeline import cycle_table
from edgebci.pipeline.cycle_table import load_cycle_table


@pytest.mark.parametrize("bits", [4, 8, 16])
def test_the_shipped_cycles_are_those_of_a_program_that_runs_now(bits: Width) -> None:
    table, spec = load_cycle_table("cortex-m4f"), cycle_table._spec("mamba2", 64)
    widths = uniform(spec, weights=bits)
    cycles = cycle_table._function_cycles(spec, widths, "cortex-m4f")
    found = sum(taken for name, taken in cycles.items() if name.startswith("dense"))
    expected = sum(table.dense_cycles(*shape, bits) for shape in dense_names(spec).values())
    # The three figures of a width fit each kernel to within 8 %, their sum better.
    assert found == pytest.approx(expected, rel=0.05)
    elements = spec.n_heads * spec.headdim * spec.d_state
    state = cycle_table._state_function_cycles("mamba2", cycles)
    assert state == pytest.approx(table.state_cycles("mamba2", elements, 16), rel=0.02)
