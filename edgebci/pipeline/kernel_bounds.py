"""The device program of a student in fixed point on each core: how fast it and its step are, and what bounds both."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from edgebci.edge_student import EdgeStudent, lfp_like_counts
from edgebci.example_decoder import random_parameters
from edgebci.export.c_generator import generate
from edgebci.export.core_kernels import PACKED_CORES
from edgebci.export.fixed_graph import fixed_step_graph
from edgebci.export.fixed_quantization import quantize_fixed
from edgebci.features.fitting import Portion, fit_front_end
from edgebci.features.front_end import FrontEnd
from edgebci.features.stream import FeatureStream, Normalizer
from edgebci.firmware_sim.target_run import TargetRun, run_on_target
from edgebci.firmware_sim.toolchain import compile_target
from edgebci.fixed_decoder import FixedDecoder
from edgebci.pipeline.part_bounds import PartCycles, part_cycles
from edgebci.progress import Progress, part, silent

CALIBRATION_FRAMES, FRAMES = 150, 8


@dataclass(frozen=True)
class StepCycles:
    """The decode step on one core: modelled cycles at zero wait states.

    Fields:
        step: of one decode step, and parts: of what it consists.
        front_end_per_s, program_per_s: of the front end in fixed point and of the whole program in a second of signal,
            in frames after the start-up, in which the normaliser learns.
    """

    core: str
    error_fraction: float
    step: float
    parts: tuple[PartCycles, ...]
    front_end_per_s: float
    program_per_s: float

    def rows(self) -> list[tuple[str, str]]:
        """A table: part, and its figures in words."""
        found = [(one.name, one.sentence()) for one in self.parts]
        band = f"modelled, +-{self.error_fraction:.0%}"
        program = f"{self.program_per_s / 1e6:.2f} million cycles a second, {band}; front end "
        return [
            ("whole program", f"{program}{self.front_end_per_s / 1e6:.2f} million"),
            ("whole step", f"{self.step:,.0f} cycles, {band}"),
            *found,
        ]


def step_cycles(
    student: EdgeStudent, cores: tuple[str, ...] = PACKED_CORES, seed: int = 0, progress: Progress = silent
) -> tuple[StepCycles, ...]:
    """Generate, compile and emulate the student with random weights in fixed point on each core.

    Raises:
        InputError: the compiler is missing. VerificationError: a program faulted.
    """
    front_end, decoder = drawn(student, seed)
    counts = lfp_like_counts(student, front_end.spec.startup_frames + FRAMES, seed + 1)
    done = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        onnx.save(fixed_step_graph(decoder), folder / "fixed.onnx")
        for k, core in enumerate(cores):
            here = part(progress, k / len(cores), (k + 1) / len(cores))
            generate(folder / "fixed.onnx", front_end, folder / core, core, form="fixed")
            elf = compile_target(folder / core, folder / f"{core}.elf", core)
            sizes = (front_end.n_channels, front_end.spec.samples_per_frame, decoder.spec.n_outputs)
            run = run_on_target(elf, counts, None, *sizes, here)
            done.append(_measured(core, decoder, run, front_end.spec.frame_rate_hz))
    return tuple(done)


def drawn(student: EdgeStudent, seed: int) -> tuple[FrontEnd, FixedDecoder]:
    """Front end and decoder in fixed point with random weights, fitted to noise that looks like LFP."""
    counts = lfp_like_counts(student, CALIBRATION_FRAMES, seed)

    def portions() -> Iterable[Portion]:
        yield counts, np.zeros(len(counts), bool)

    front_end = fit_front_end(student.features, portions)
    frames = FeatureStream(front_end.spec, front_end.good_channels).push(counts)
    normalised = Normalizer(front_end).push(frames).astype(np.float32)
    return front_end, quantize_fixed(student.decoder, random_parameters(student.decoder, seed), normalised)


def _measured(core: str, decoder: FixedDecoder, run: TargetRun, frame_rate_hz: float) -> StepCycles:
    names = [step.name for step in run.cycles.steps]
    mean = dict(zip(names, run.step_cycles[-FRAMES:].mean(axis=0), strict=True))
    return StepCycles(
        core=core,
        error_fraction=run.cycles.error_fraction,
        step=float(mean["decoder"]),
        parts=part_cycles(core, decoder, run),
        front_end_per_s=float(mean["front end"]) * frame_rate_hz,
        program_per_s=float(mean["step"]) * frame_rate_hz,
    )
