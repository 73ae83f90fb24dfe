"""`edgebci bench bundle`: the host library against ONNX Runtime and torch, all in one interleaved run on this machine.

Every form takes the same frames. Before anything is timed its outputs are compared with those of its reference: the
host library must equal the bit-exact reference, in int8 and in float32, and the others agree with it within a bound.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from edgebci.arithmetic import F32
from edgebci.bundle import FLOAT_ONNX, INT8_ONNX, QUANTIZED, Bundle, open_bundle
from edgebci.errors import InputError, VerificationError
from edgebci.export.decoder_forms import integer_step_graph
from edgebci.export.host_kernels import generate_for_host
from edgebci.export.runtime_bench import LEVELS, ProfiledSteps, bound_at, empty_step
from edgebci.export.runtime_timing import OneStep, interleaved_us, paced_us
from edgebci.export.single_reference import SingleDecoder
from edgebci.files import sha256
from edgebci.firmware_sim.host_step import STEP_HARNESS, HostStepper
from edgebci.firmware_sim.toolchain import compile_host
from edgebci.pipeline.bundle_kinds import manifest_of
from edgebci.pipeline.host_bench_result import (
    LIBRARY,
    RUNTIME,
    TORCH,
    BareTime,
    BenchAgreement,
    BenchTime,
    HostBench,
    best_form,
    int8_note,
    speeds,
    summary,
)
from edgebci.progress import Progress, part, silent

ROUNDS, TICKS = 100, 500
FRAMES, SEED = 200, 0
FLOAT_ERROR = 1e-4
"""Of other float forms: what the export allows its float graphs (`stream_comparison.FLOAT_TOLERANCE`)."""
INT8_ERROR = 0.05
"""Of ONNX Runtime's int8: it rounds exponentials and float sums otherwise than the bit-exact reference, so now and then
an int8 value falls to the other side, one count in 127; over several layers that adds up to a few per cent."""
_BLOCK = 50


@dataclass(frozen=True)
class _Contender:
    """One form in one runtime; its states are those of the last step."""

    runtime: str
    form: str
    step: OneStep
    reset: Callable[[], None]

    @property
    def name(self) -> str:
        return f"{self.runtime}, {self.form}"

    def outputs(self, frames: F32) -> F32:
        """(T, n_outputs) from zero states."""
        self.reset()
        return np.stack([np.array(self.step(frame), np.float32) for frame in frames])


def bench_bundle(
    folder: Path,
    checkpoint: Path | None = None,
    rounds: int = ROUNDS,
    ticks: int = TICKS,
    progress: Progress = silent,
) -> HostBench:
    """Time a bundle's decoder in the host library, ONNX Runtime and torch.

    Args:
        folder: the bundle; it must hold the int8 graph, from which the C is written anew for this machine.
        checkpoint: what the bundle was exported from, for torch; without it torch is left out, and that is said.
        rounds: of 50 steps of each form, back to back.
        ticks: steps of each form at the rate of the stream.
        progress: told how far it is.

    Raises:
        InputError: no bundle of frames with an int8 graph; a checkpoint of another bundle.
        VerificationError: a form's outputs are not those of its reference. MissingToolError: ziglang is absent.
    """
    bundle = _bundle_of_frames(folder)
    frames = np.random.default_rng(SEED).standard_normal((FRAMES, bundle.manifest.spec.n_inputs)).astype(np.float32)
    load = os.getloadavg() if hasattr(os, "getloadavg") else ()
    with tempfile.TemporaryDirectory(prefix="edgebci-bench-") as work:
        graphs = _graphs(bundle, Path(work))
        library = {form: _host_stepper(bundle, path, Path(work)) for form, path in graphs.items()}
        contenders = [*_in_library(library), *_in_runtime(graphs), *_in_torch(bundle, checkpoint)]
        agreements = _agreements(bundle, contenders, frames)
        times = _times(contenders, frames, bundle, (rounds, ticks), part(progress, 0.1, 0.8))
        bare = _bare_times(library, graphs, times, frames, rounds, part(progress, 0.8, 1.0))
    return HostBench(
        bundle=folder.name,
        instructions=library["int8"].instructions,
        load_average=tuple(round(value, 2) for value in load),
        period_ms=1e3 / bundle.manifest.features.frame_rate_hz,
        times=times,
        bare=bare,
        agreements=agreements,
        speeds=speeds(times, bare),
        notes=notes_of(times, checkpoint),
    )


def _bundle_of_frames(folder: Path) -> Bundle:
    kind, _ = manifest_of(folder)
    if kind != "frames" or not all((folder / name).is_file() for name in (INT8_ONNX, FLOAT_ONNX, QUANTIZED)):
        raise InputError(
            f"{folder} is no bundle of a decoder of frames in int8, which the host library is made of; export one with "
            "--target host, or time what it has with edgebci bundle time"
        )
    return open_bundle(folder)


def _graphs(bundle: Bundle, work: Path) -> dict[str, Path]:
    """The step graphs by their form; that in int8 with the readout that the bundle has now."""
    onnx.save(integer_step_graph(bundle.quantized_decoder()), work / INT8_ONNX)
    return {"fp32": bundle.float_onnx, "int8": work / INT8_ONNX}


def _host_stepper(bundle: Bundle, graph: Path, work: Path) -> HostStepper:
    sources = work / graph.stem
    generate_for_host(graph, bundle.front_end(), sources)
    return HostStepper(compile_host(sources, work / f"{graph.stem}.so", harness=STEP_HARNESS))


def _in_library(library: dict[str, HostStepper]) -> list[_Contender]:
    return [_Contender(LIBRARY, form, stepper.step, stepper.reset) for form, stepper in library.items()]


def _in_runtime(graphs: dict[str, Path]) -> list[_Contender]:
    found = []
    for form, path in graphs.items():
        for level in LEVELS:
            decoder = bound_at(path, level)
            found.append(_Contender(RUNTIME, f"{form}, optimisation {level}", decoder.step, decoder.reset))
    return found


def _in_torch(bundle: Bundle, checkpoint: Path | None) -> list[_Contender]:
    if checkpoint is None:
        return []
    if not checkpoint.is_file():
        raise InputError(f"no file {checkpoint}; give the checkpoint that the bundle was exported from")
    if sha256(checkpoint) != bundle.manifest.provenance.checkpoint_sha256:
        raise InputError(f"{bundle.folder} was not exported from {checkpoint}; give the checkpoint that it was")
    from edgebci.training.step_timing import TorchStepper, one_thread

    one_thread()
    stepper = TorchStepper(checkpoint)
    return [_Contender(TORCH, "fp32", stepper.step, stepper.reset)]


def _agreements(bundle: Bundle, contenders: list[_Contender], frames: F32) -> tuple[BenchAgreement, ...]:
    """Compare each form's outputs with those of its reference.

    Raises:
        VerificationError: one is further away than it may be.
    """
    exact = bundle.quantized_decoder().stream(frames)
    single = SingleDecoder.load(bundle.float_onnx).stream(frames)
    found = tuple(_agreement(one, exact if one.form.startswith("int8") else single, frames) for one in contenders)
    wrong = next((one for one in found if not one.relative_error <= one.allowed), None)
    if wrong:
        raise VerificationError(
            f"{wrong.name}: outputs differ from {wrong.against} by {wrong.relative_error:.2g} (root mean square, "
            f"relative), allowed is {wrong.allowed:g}; export the bundle again and report it if that does not help"
        )
    return found


def _agreement(one: _Contender, reference: F32, frames: F32) -> BenchAgreement:
    allowed = 0.0 if one.runtime == LIBRARY else INT8_ERROR if one.form.startswith("int8") else FLOAT_ERROR
    error = np.linalg.norm(one.outputs(frames) - reference) / np.linalg.norm(reference)
    return BenchAgreement(
        name=one.name,
        against=f"the bit-exact reference in {one.form[:4]}",
        steps=len(frames),
        relative_error=float(error),
        allowed=allowed,
    )


def _times(
    contenders: list[_Contender], frames: F32, bundle: Bundle, size: tuple[int, int], progress: Progress
) -> tuple[BenchTime, ...]:
    """All forms back to back; at the rate of the stream, of ONNX Runtime the level that was best for each form."""
    rounds, ticks = size
    fast = interleaved_us({one.name: one.step for one in contenders}, frames, rounds, part(progress, 0.0, 0.5))
    times = tuple(summary(one.runtime, one.form, "back to back", fast[one.name]) for one in contenders)
    best = {best_form(times, form) for form in ("fp32", "int8")}
    paced = [one for one in contenders if one.runtime != RUNTIME or one.form in best]
    period_s = 1 / bundle.manifest.features.frame_rate_hz
    slow = paced_us({one.name: one.step for one in paced}, frames, period_s, ticks, part(progress, 0.5, 1.0))
    return (*times, *(summary(one.runtime, one.form, "at the rate", slow[one.name]) for one in paced))


def _bare_times(
    library: dict[str, HostStepper],
    graphs: dict[str, Path],
    times: tuple[BenchTime, ...],
    frames: F32,
    rounds: int,
    progress: Progress,
) -> tuple[BareTime, ...]:
    """Without Python: a loop in C; of ONNX Runtime its own profile, and what a graph without operators leaves of it."""
    found = []
    for form, path in graphs.items():
        level = best_form(times, form).rpartition(" ")[2]
        profiled, whole = ProfiledSteps(path, level), bound_at(path, level)
        steps: dict[str, OneStep] = {
            "C": lambda _, own=library[form]: own.steps(_BLOCK),  # type: ignore[misc]
            "profiled": profiled.step,
            "whole": whole.step,
            "empty": empty_step(path),
        }
        taken = {key: float(np.median(row)) for key, row in interleaved_us(steps, frames, rounds, progress).items()}
        nodes, rest = float(np.median(profiled.node_times_us())), taken["whole"] - taken["empty"]
        found += [
            BareTime(runtime=RUNTIME, form=f"{form}, {level}", how="nodes in its profile", p50_us=nodes),
            BareTime(runtime=RUNTIME, form=f"{form}, {level}", how="step less one of an empty graph", p50_us=rest),
            BareTime(runtime=LIBRARY, form=form, how=f"loop of {_BLOCK} in C", p50_us=taken["C"] / _BLOCK),
        ]
    return tuple(found)


def notes_of(times: tuple[BenchTime, ...], checkpoint: Path | None) -> tuple[str, ...]:
    """What a reader of the figures should know, a sentence each."""
    notes = [int8_note(times, runtime) for runtime in (LIBRARY, RUNTIME)]
    notes.append(
        "ONNX Runtime's profile counts memory at every node, which can take longer than the node; so both figures "
        "without bindings are shown, and the smaller one is what the host library is held against"
    )
    if checkpoint is None:
        notes.append("torch was not timed: give --checkpoint with what the bundle was exported from")
    return tuple(note for note in notes if note)
