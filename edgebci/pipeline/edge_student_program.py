"""The device program of the reference decoder with random, plausible weights: for bits, cycles and bytes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from edgebci.decoder_spec import DecoderSpec
from edgebci.device_reference import run_reference
from edgebci.edge_student import EdgeStudent, lfp_like_counts
from edgebci.errors import VerificationError
from edgebci.example_decoder import random_parameters
from edgebci.export.c_generator import generate
from edgebci.export.quantization import quantize
from edgebci.export.quantized_graph import quantized_step_graph
from edgebci.features.fitting import Portion, fit_front_end
from edgebci.features.front_end import FrontEnd
from edgebci.features.specification import Counts
from edgebci.features.stream import FeatureStream, Normalizer
from edgebci.firmware_sim.host_twin import HostTwin
from edgebci.firmware_sim.target_run import TargetRun, run_on_target
from edgebci.firmware_sim.toolchain import compile_host, compile_target
from edgebci.hardware import Core
from edgebci.pipeline.device import reference_difference, target_difference
from edgebci.progress import Progress, part
from edgebci.quantized_decoder import QuantizedDecoder

CORE: Core = "cortex-m4f"
CALIBRATION_FRAMES = 2000


@dataclass(frozen=True)
class EdgeStudentProgram:
    """Compiled for both, with the reference that both must equal."""

    front_end: FrontEnd
    decoder: QuantizedDecoder
    host_library: Path
    elf: Path


def build_program(student: EdgeStudent, folder: Path, seed: int) -> EdgeStudentProgram:
    """Draw weights, fit the front end and the scales on noise that looks like LFP, write the C and compile it."""
    counts = lfp_like_counts(student, CALIBRATION_FRAMES, seed)

    def portions() -> Iterable[Portion]:
        yield counts, np.zeros(len(counts), bool)

    front_end = fit_front_end(student.features, portions)
    decoder = _decoder(student.decoder, front_end, counts, seed)
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(quantized_step_graph(decoder), folder / "decoder_int8.onnx")
    generate(folder / "decoder_int8.onnx", front_end, folder / "firmware", CORE)
    library = compile_host(folder / "firmware", folder / "host_twin.so")
    return EdgeStudentProgram(
        front_end, decoder, library, compile_target(folder / "firmware", folder / "firmware.elf", CORE)
    )


def check_host(program: EdgeStudentProgram, counts: Counts, progress: Progress) -> int:
    """Run reference and host twin on `counts`; returns the frames on which they are equal bit for bit.

    Raises:
        VerificationError: they differ; says where first.
    """
    host = HostTwin(program.host_library)
    twin = host.run(counts)
    reference = run_reference(program.front_end, program.decoder, counts, None, progress)
    _require_equal(reference_difference(reference, twin, host))
    return len(twin.outputs)


def run_target(program: EdgeStudentProgram, counts: Counts, progress: Progress) -> TargetRun:
    """Run the emulated core on `counts`, and host twin and reference with it.

    Raises:
        VerificationError: they differ; says where first.
    """
    check_host(program, counts, part(progress, 0.0, 0.5))
    host, spec = HostTwin(program.host_library), program.front_end.spec
    twin = host.run(counts)
    target = run_on_target(
        program.elf,
        counts,
        None,
        program.front_end.n_channels,
        spec.samples_per_frame,
        program.decoder.spec.n_outputs,
        part(progress, 0.5, 1.0),
    )
    _require_equal(target_difference(twin, host, target))
    return target


def _decoder(spec: DecoderSpec, front_end: FrontEnd, counts: Counts, seed: int) -> QuantizedDecoder:
    frames = FeatureStream(front_end.spec, front_end.good_channels).push(counts)
    normalised = Normalizer(front_end).push(frames).astype(np.float32)
    return quantize(spec, random_parameters(spec, seed), normalised)


def _require_equal(difference: str | None) -> None:
    if difference:
        raise VerificationError(f"{difference}, in the program of the edge student; report it")
