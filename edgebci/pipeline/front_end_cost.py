"""What the front end of the reference decoder costs on a core, stage by stage and apart from the decoder."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from edgebci.device_reference import FrontEndForm
from edgebci.edge_student import EdgeStudent, lfp_like_counts
from edgebci.example_decoder import random_frames, random_parameters
from edgebci.export.c_generator import generate
from edgebci.export.quantization import quantize
from edgebci.export.quantized_graph import quantized_step_graph
from edgebci.features.fitting import Portion, fit_front_end
from edgebci.firmware_sim.cycles import FunctionCycles
from edgebci.firmware_sim.target_run import run_on_target
from edgebci.firmware_sim.toolchain import compile_target
from edgebci.pipeline.device import part_of

STAGES = {
    "counts": ("learn_offsets", "hold_counts", "hold_some", "hold_missing"),
    "reference": ("reference_row", "twice_median", "edgebci_front_end_push"),
    "filters": ("filter_kind", "filter_band", "flush_all"),
    "power": ("band_power", "log_power"),
    "normalisation": ("normalize",),
}
"""Stages in the order in which a sample passes them, each with the beginnings of the names of its C functions. The sum
for an average reference is formed with the counts in fixed point, with the reference in float32."""
_FITTED_FRAMES = 300


@dataclass(frozen=True)
class FrontEndCost:
    """Modelled cycles per second of signal, at zero wait states, after the start-up: while the normaliser learns.

    Fields:
        form, core: what was run on what.
        stages: each with its cycles; they add up to `front_end`.
        front_end, decoder: cycles of both parts.
        error_fraction: how far the model may be off on this core.
    """

    form: FrontEndForm
    core: str
    stages: dict[str, float]
    front_end: float
    decoder: float
    error_fraction: float


def measure_front_end(
    student: EdgeStudent, core: str, form: FrontEndForm, folder: Path, n_frames: int = 20
) -> FrontEndCost:
    """Generate, compile and emulate the device program with random weights over `n_frames` of noise like LFP, which
    follow those of the start-up.

    Raises:
        InputError: unknown core, or a front end that the form cannot compute. MissingToolError: no compiler.
    """
    start = max(1, student.features.startup_frames)
    counts = lfp_like_counts(student, max(_FITTED_FRAMES, start + n_frames), seed=1)

    def portions() -> Iterable[Portion]:
        yield counts, np.zeros(len(counts), bool)

    front_end, spec = fit_front_end(student.features, portions), student.decoder
    decoder = quantize(spec, random_parameters(spec, 3), random_frames(spec, 120, 4))
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(quantized_step_graph(decoder), folder / "decoder_int8.onnx")
    generate(folder / "decoder_int8.onnx", front_end, folder / "firmware", core, form=form)
    elf = compile_target(folder / "firmware", folder / "firmware.elf", core)
    d = front_end.spec.samples_per_frame
    before, run = (
        run_on_target(elf, counts[: k * d], None, front_end.n_channels, d, spec.n_outputs)
        for k in (start, start + n_frames)
    )
    per_second = front_end.spec.frame_rate_hz / n_frames
    parts = dict(zip((step.name for step in run.cycles.steps), run.step_cycles[start:].sum(axis=0), strict=True))
    by_then = stage_cycles(before.cycles.by_function)
    stages = {
        name: (cycles - by_then[name]) * per_second for name, cycles in stage_cycles(run.cycles.by_function).items()
    }
    front, back = (float(parts[name]) * per_second for name in ("front end", "decoder"))
    return FrontEndCost(form, core, stages, front, back, run.cycles.error_fraction)


def stage_cycles(functions: Iterable[FunctionCycles]) -> dict[str, float]:
    """Share the front end's functions out to STAGES; what belongs to none, such as start-up, is `other`."""
    cycles = dict.fromkeys([*STAGES, "other"], 0.0)
    for function in functions:
        if part_of(function.name) == "front end":
            cycles[stage_of(function.name)] += function.cycles
    return cycles


def stage_of(function: str) -> str:
    """The stage of a C function of the front end, by its name."""
    return next((stage for stage, beginnings in STAGES.items() if function.startswith(beginnings)), "other")
