"""The edge student in fixed point on cores with packed multiply-accumulates: modelled cycles beside what was asked."""

from __future__ import annotations

from collections.abc import Mapping

from edgebci.edge_student import load_edge_student
from edgebci.export.core_kernels import PACKED_CORES
from edgebci.pipeline.kernel_bounds import StepCycles, step_cycles
from edgebci.pipeline.proof.claim import Claim, Place
from edgebci.pipeline.proof.figure import Figure
from edgebci.pipeline.proof.sources import Sources
from edgebci.progress import Progress

SEED = 0
# What was asked for, at zero wait states; of the whole program on an M7, nothing.
MOST_CYCLES_A_STEP = {"cortex-m4f": 140_000, "cortex-m7": 75_000, "cortex-m33": 128_000}
MOST_CYCLES_PER_MAC = {"cortex-m4f": 1.38, "cortex-m7": 0.80, "cortex-m33": 1.29}
MOST_MILLION_CYCLES_A_SECOND = {"cortex-m4f": 17.0, "cortex-m33": 14.0}


def fixed_step_claim(c: tuple[str, ...], aside: tuple[str, ...]) -> Claim:
    """`c`: patterns of what is compiled; `aside`: files that no figure depends on."""
    return Claim(
        name="fixed_step",
        title="Reference decoder in fixed point",
        command="edgebci proof --only fixed_step",
        sources=Sources((__name__,), (*c, "hardware_profiles/cores/*.toml"), aside),
        minutes=0.5,
        measure=measure_fixed_step,
        quoted=("cortex_m4f_step", "cortex_m7_step", "cortex_m33_step", "cortex_m33_program"),
    )


def measure_fixed_step(place: Place, progress: Progress) -> tuple[Figure, ...]:
    """Emulate the student with random weights on every core that has the packed instructions."""
    student = load_edge_student(place.checkout / "examples" / "edge_student.toml")
    return tuple(figure for one in step_cycles(student, PACKED_CORES, SEED, progress) for figure in figures(one))


def figures(one: StepCycles) -> tuple[Figure, ...]:
    """Cycles of the step, per multiply-accumulate of its dense layers, and of the whole program in a second."""
    dense = next(part for part in one.parts if part.name == "dense_fixed")
    bound = f"; its scheme needs {dense.bound / dense.units:.3g} ({dense.bounded_by})"
    band = f"±{one.error_fraction:.0%}, zero wait states"

    def figure(name: str, what: str, value: float, most: Mapping[str, float], unit: str, note: str = band) -> Figure:
        asked = f": {verdict(value, most[one.core])}" if one.core in most else ""
        return Figure(
            name=f"{one.core.replace('-', '_')}_{name}",
            label=f"{what} on a {one.core}{asked}",
            value=value,
            low=value * (1 - one.error_fraction),
            high=value * (1 + one.error_fraction),
            unit=unit,
            evidence="modelled",
            note=note,
        )

    per_mac, per_s = dense.cycles / dense.units, one.program_per_s / 1e6
    return (
        figure("step", "decode step", one.step, MOST_CYCLES_A_STEP, "cycles"),
        figure("dense", "dense layers", per_mac, MOST_CYCLES_PER_MAC, "cycles per MAC", band + bound),
        figure("program", "whole device program", per_s, MOST_MILLION_CYCLES_A_SECOND, "million cycles/s"),
    )


def verdict(value: float, most: float) -> str:
    """What a modelled figure says of a bound."""
    return f"{'met' if value <= most else 'MISSED'}, asked was at most {most:,g}"
