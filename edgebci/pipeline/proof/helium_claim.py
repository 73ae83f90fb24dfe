"""The edge student on a Cortex-M55 with Helium: estimated cycles of its decode step, beside what was asked for.

No cycle here was held against silicon; a bound is met or missed by the estimate, which is what the figures say.
"""

from __future__ import annotations

from pathlib import Path

import onnx

from edgebci.edge_student import EdgeStudent, lfp_like_counts, load_edge_student
from edgebci.errors import MissingToolError, VerificationError
from edgebci.export.c_generator import generate
from edgebci.export.core_vectors import put_kernels_of
from edgebci.export.fixed_graph import fixed_step_graph
from edgebci.features.front_end import FrontEnd
from edgebci.firmware_sim.board_run import run_on_board
from edgebci.firmware_sim.cores import CORES
from edgebci.firmware_sim.host_twin import HostTwin
from edgebci.firmware_sim.target_run import TargetRun
from edgebci.firmware_sim.toolchain import compile_host
from edgebci.firmware_sim.user_program import compile_user, runner
from edgebci.pipeline.device import target_difference
from edgebci.pipeline.edge_student_program import build_program
from edgebci.pipeline.kernel_bounds import drawn
from edgebci.pipeline.part_bounds import needs
from edgebci.pipeline.proof.claim import CannotMeasureError, Place
from edgebci.pipeline.proof.figure import Figure
from edgebci.pipeline.proof.fixed_step_claim import verdict
from edgebci.progress import Progress

CORE = CORES["cortex-m55"]
SEED, FRAMES = 1, 8
MOST_STEP_CYCLES, MOST_CYCLES_PER_MAC = 35_000, 0.26
"""What was asked for."""


def measure_helium(place: Place, progress: Progress) -> tuple[Figure, ...]:
    """Run the student in both arithmetics; raises CannotMeasureError where there is no emulator of the core."""
    try:
        runner(CORE)
    except MissingToolError as absent:
        raise CannotMeasureError(str(absent)) from absent
    student = load_edge_student(place.checkout / "examples" / "edge_student.toml")
    progress(0.0, "compiling")
    int8 = build_program(student, place.folder / "int8", SEED)
    front_end, fixed = drawn(student, SEED)
    onnx.save(fixed_step_graph(fixed), place.folder / "fixed.onnx")
    progress(0.5, "running")
    macs = needs(fixed)["dense_fixed"][0]
    runs = {
        "int8": _run(student, int8.front_end, place.folder / "int8" / "decoder_int8.onnx", place.folder / "c_int8"),
        "fixed": _run(student, front_end, place.folder / "fixed.onnx", place.folder / "c_fixed"),
    }
    return tuple(figure for name, run in runs.items() for figure in figures(name, run, macs))


def _run(student: EdgeStudent, front_end: FrontEnd, graph: Path, folder: Path) -> TargetRun:
    """The program with Helium kernels; raises VerificationError where it computes something else than the host."""
    generate(graph, front_end, folder, CORE.name)
    put_kernels_of(CORE.name, folder)
    host = HostTwin(compile_host(folder, folder.with_suffix(".so")))
    counts = lfp_like_counts(student, front_end.spec.startup_frames + FRAMES, SEED + 1)
    elf = compile_user(folder, folder.with_suffix(".elf"), CORE, debug_lines=True)
    run = run_on_board(elf, CORE, counts, None, host.samples_per_frame, student.decoder.n_outputs)
    difference = target_difference(host.run(counts), host, run)
    if difference:
        raise VerificationError(f"{difference}, on {CORE.name}; report it")
    if not isinstance(run, TargetRun):
        raise CannotMeasureError(f"{CORE.emulator} here takes no plugin that counts")
    return run


def figures(arithmetic: str, run: TargetRun, macs: int) -> tuple[Figure, ...]:
    """Cycles of a decode step, and per MAC of its dense layers, requantization included."""
    names = [step.name for step in run.cycles.steps]
    step = float(run.step_cycles[-FRAMES:, names.index("decoder")].mean())
    dense = sum(f.cycles for f in run.cycles.by_function if f.name.startswith("dense_") and "readout" not in f.name)
    per_mac = dense / len(run.outputs) / macs
    error, band = run.cycles.error_fraction, run.cycles.band

    def figure(name: str, label: str, value: float, most: float, unit: str) -> Figure:
        return Figure(
            name=f"m55_{arithmetic}_{name}",
            label=f"{label} on a Cortex-M55, {arithmetic}, estimated: {verdict(value, most)}",
            value=value,
            low=value * (1 - error),
            high=value * (1 + error),
            unit=unit,
            evidence="modelled",
            note=band,
        )

    return (
        figure("step", "decode step", step, MOST_STEP_CYCLES, "cycles"),
        figure("dense", "dense layers", per_mac, MOST_CYCLES_PER_MAC, "cycles per MAC"),
    )
