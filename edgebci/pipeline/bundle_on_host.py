"""What a bundle does on this machine: how long a step of each of its forms takes, and its bits on another processor."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgebci.bundle import FIRMWARE, FLOAT_ONNX, HALF_ONNX, INT8_ONNX, BundleFolder, open_bundle
from edgebci.errors import InputError
from edgebci.export.runtime_stepper import runtime_stepper
from edgebci.export.runtime_timing import ROUNDS, OneStep, RuntimeTiming, time_steps
from edgebci.firmware_sim.foreign_program import as_counts
from edgebci.firmware_sim.host_twin import HostTwin
from edgebci.firmware_sim.toolchain import SPIKES_HOST, compile_host
from edgebci.foreign.bundle import open_foreign_bundle
from edgebci.pipeline.bundle_kinds import manifest_of
from edgebci.pipeline.portable_bits import FRAMES_HOST, PortableBits, SaturatingInput, portable_bits, saturating_input
from edgebci.possm_bundle import open_possm_bundle
from edgebci.possm_spec import PossmStepSpec
from edgebci.progress import Progress, part, silent

FORMS = {"fp32": FLOAT_ONNX, "fp16": HALF_ONNX, "int8": INT8_ONNX}
IN_C = "int8 in C"
SEED = 0
_TIMED_FRAMES = 200


def time_bundle(folder: Path, rounds: int = ROUNDS, progress: Progress = silent) -> RuntimeTiming:
    """Time a step of every form that the bundle holds: its graphs in ONNX Runtime, and its C compiled for this machine.

    Frames are random: no form's time depends on them.

    Raises:
        InputError: there is no bundle, or none of its forms can be run. MissingToolError: ziglang is absent.
    """
    kind, _ = manifest_of(folder)
    paths = {form: folder / name for form, name in FORMS.items() if (folder / name).is_file()}
    if not paths:
        raise InputError(f"{folder} holds no graph to time; export the decoder again")
    with tempfile.TemporaryDirectory(prefix="edgebci-timing-") as name:
        steppers = {form: runtime_stepper(path) for form, path in paths.items()}
        frames = _random_frames(next(iter(steppers.values())).frame_like)
        steps: dict[str, OneStep] = {form: stepper.step for form, stepper in steppers.items()}
        if (folder / FIRMWARE).is_dir() and kind != "foreign":
            steps[IN_C] = _step_in_c(folder, Path(name), kind == "spikes")
        return time_steps(steps, frames, "cpu", rounds, part(progress, 0.1, 1.0))


def host_sentence(timing: RuntimeTiming) -> str:
    """What a report must say of int8 on this machine; empty where the bundle has not both to compare."""
    forms = [entry.form for entry in timing.times]
    if "fp32" not in forms:
        return ""
    return "; ".join(timing.sentence(form) for form in ("int8", IN_C) if form in forms)


def hash_bundle(folder: Path, n_frames: int = 200) -> PortableBits:
    """Hash the bundle's forms here and under qemu-x86_64 -cpu Haswell, on saturating input; see `portable_bits`.

    Raises:
        InputError: there is no bundle, or it has no C. MissingToolError: gcc is absent.
        VerificationError: the other processor gives other bits.
    """
    kind, _ = manifest_of(folder)
    if not all((folder / name).exists() for name in (FIRMWARE, INT8_ONNX)):
        raise InputError(
            f"{folder} holds no C in int8 to compare processors with; export the decoder for host or a core in int8"
        )
    if kind == "spikes":
        spec = open_possm_bundle(folder).manifest.spec
        return portable_bits(BundleFolder(folder), full_chunks(spec, n_frames), kind)
    if kind == "foreign":
        width = open_foreign_bundle(folder).decoder().graph.n_inputs
        frames = saturating_input((1, 1), (n_frames, width), 16).frames
        return portable_bits(BundleFolder(folder), SaturatingInput(as_counts(frames), frames), kind)
    manifest = open_bundle(folder).manifest
    features = manifest.features
    counts = n_frames * features.samples_per_frame, manifest.n_channels
    given = saturating_input(counts, (n_frames, manifest.spec.n_inputs), features.adc.bits)
    return portable_bits(BundleFolder(folder), given)


def full_chunks(spec: PossmStepSpec, n_chunks: int) -> SaturatingInput:
    """Chunks that are full of spikes, and the same as rows for the host twin with twice as many as it can look at."""
    rng = np.random.default_rng(SEED)
    chunks = np.zeros((n_chunks, 2 * spec.max_tokens, 2), np.int32)
    chunks[..., 0] = rng.integers(1, spec.n_units + 1, chunks.shape[:2])
    chunks[..., 1] = np.sort(rng.integers(0, spec.n_time_steps, chunks.shape[:2]), axis=1)
    return SaturatingInput(chunks.reshape(-1, 2).astype(np.int16), chunks[:, spec.max_tokens :])


def _random_frames(like: NDArray[Any]) -> NDArray[Any]:
    """(200, ...) as the graph takes them; of integers, all are one token that every table has."""
    shape = (_TIMED_FRAMES, *like.shape)
    if like.dtype == np.int32:
        return np.zeros(shape, np.int32)
    return np.random.default_rng(SEED).standard_normal(shape).astype(like.dtype)


def _step_in_c(folder: Path, work: Path, spikes: bool) -> OneStep:
    harness = SPIKES_HOST if spikes else FRAMES_HOST
    twin = HostTwin(compile_host(folder / FIRMWARE, work / "twin.so", harness=harness))
    return lambda _: twin.step_again()
