"""`edgebci run-on-target`: the device program of a bundle on an emulated core, over a recording."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from edgebci.bundle import Bundle, open_bundle
from edgebci.device_reference import FrontEndForm, run_reference
from edgebci.documents import Document
from edgebci.errors import InputError, VerificationError
from edgebci.features.specification import Counts
from edgebci.firmware_sim.board_run import run_on_board
from edgebci.firmware_sim.cores import Core, find_core
from edgebci.firmware_sim.host_twin import DeviceRun, HostTwin
from edgebci.firmware_sim.target_run import TargetRun, run_on_target
from edgebci.firmware_sim.toolchain import compile_host, compile_target
from edgebci.firmware_sim.user_program import UserRun, compile_user, run_user, runner
from edgebci.fixed_decoder import FixedDecoder
from edgebci.hardware import MemoryModel
from edgebci.pipeline.behavior_choice import behavior_for
from edgebci.pipeline.bundle_kinds import manifest_of
from edgebci.pipeline.configuration import RecordingConfig, check_recording_path
from edgebci.pipeline.cycle_costs import (
    Cost,
    FlashCost,
    board_memory,
    flash_cost,
    function_costs,
    line_costs,
)
from edgebci.pipeline.device import reference_difference, target_difference
from edgebci.pipeline.part_bounds import PartCycles, part_cycles
from edgebci.pipeline.source import obtain, read_part, recording_path
from edgebci.progress import Progress, part, silent
from edgebci.recordings import open_recording
from edgebci.targets import Arithmetic


class TargetOrder(Document):
    """What to run, on what, over what."""

    bundle: Path
    core: str
    recording: Path
    seconds: float = Field(default=10.0, gt=0)
    """From the beginning of the recording."""
    lfp: str | None = None
    board: str | None = None
    """Whose flash and caches to follow."""


class StepCost(Document):
    """Modelled cycles of a step: all work from one output to the next, in the program or in one part of it."""

    name: str
    mean_cycles: float
    worst_cycles: int


class RunReport(Document):
    """What every run of a bundle on a core tells."""

    core: str
    recording: str
    steps: int
    valid_steps: int
    equals_host_twin: bool
    equals_reference: bool
    """The NumPy reference, by the arithmetic and the form of the front end that the manifest names; in fp32 it is not
    run, and this is false."""
    arithmetic: Arithmetic
    front_end: FrontEndForm
    outputs: tuple[tuple[float, ...], ...]


class PlainReport(RunReport):
    """A run on a core of which no cycles are modelled: what it computed, and instructions where they can be counted."""

    schema_version: Literal["edgebci.plain_run/1"] = "edgebci.plain_run/1"
    emulator: str
    instructions: int | None
    """None where the emulator takes no plugin that counts them, and on this machine itself."""


class TargetReport(RunReport):
    """What a run took too. Instructions and bytes are counted, cycles are modelled at zero wait states."""

    schema_version: Literal["edgebci.target_report/1"] = "edgebci.target_report/1"
    evidence: Literal["model", "estimate"]
    """An estimate was never held against silicon."""
    error_fraction: float
    branchy_error_fraction: float
    """Bands of every cycle figure here: on straight code, and on code that branches on its data."""
    band: str
    """What is said beside every cycle figure."""
    device_cycles_per_s: float
    """Modelled, of front end and decoder together at the rate of the frames."""
    instructions: int
    cycles: int
    step_cycles: tuple[StepCost, ...]
    flash: FlashCost | None
    """What the board adds over the whole run, where one was given."""
    functions: tuple[Cost, ...]
    lines: tuple[Cost, ...]
    parts: tuple[PartCycles, ...]
    """Of the decoder in fixed point, each with what bounds it; of another arithmetic none."""
    flash_bytes: int
    ram_bytes: int
    stack_bytes: int


@dataclass(frozen=True)
class _Stream:
    """What is run, and what the host makes of it."""

    bundle: Bundle
    counts: Counts
    missing: NDArray[np.bool_]
    host: HostTwin
    twin: DeviceRun

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Channels, samples per frame, outputs."""
        manifest = self.bundle.manifest
        return manifest.n_channels, manifest.features.samples_per_frame, manifest.spec.n_outputs


def run_bundle_on_target(order: TargetOrder, progress: Progress = silent) -> TargetReport | PlainReport:
    """Compile the bundle's C for the core, emulate it over the recording, and compare it with host and reference.

    Raises:
        InputError: no such bundle, core or recording, or it is of other channels, or too short.
        MissingToolError: no compiler, or the core's emulator is not installed.
        VerificationError: the core computed something else than the host twin.
    """
    bundle, core = _with_program(order.bundle), find_core(order.core)
    board = board_memory(order.board, core)
    if core.emulator != "unicorn":
        runner(core)  # is there one?
    with tempfile.TemporaryDirectory(prefix="edgebci-target-") as name:
        folder = Path(name)
        counts, missing = _counts(bundle, order, folder, part(progress, 0.0, 0.3))
        progress(0.3, "compiling")
        host = HostTwin(compile_host(bundle.firmware, folder / "host_twin.so"))
        stream = _Stream(bundle, counts, missing, host, host.run(counts, missing))
        run = _run(stream, core, folder, board, part(progress, 0.4, 1.0))
        difference = target_difference(stream.twin, host, run) or _reference_difference(stream)
    if difference:
        raise VerificationError(f"{difference}, on {order.core}; report it with the bundle in {order.bundle}")
    if isinstance(run, TargetRun):
        return _report(order, run, bundle)
    return PlainReport(**_common(order, run, bundle), emulator=core.emulator, instructions=run.instructions)


def _run(
    stream: _Stream, core: Core, folder: Path, board: MemoryModel | None, progress: Progress
) -> TargetRun | UserRun:
    """Compile for the core and run: called frame by frame where the emulator lets us, else as a program of its own."""
    firmware, (n_channels, samples, n_outputs) = stream.bundle.firmware, stream.sizes
    if core.emulator == "unicorn":
        elf = compile_target(firmware, folder / "firmware.elf", core.name, debug_lines=True)
        sizes = n_channels, samples, n_outputs
        return run_on_target(elf, stream.counts, stream.missing, *sizes, progress, with_lines=True, board=board)
    program = compile_user(firmware, folder / "program", core, debug_lines=core.is_thumb)
    if core.is_thumb:
        return run_on_board(program, core, stream.counts, stream.missing, samples, n_outputs)
    return run_user(program, core, stream.counts, stream.missing, samples, n_outputs)


def _reference_difference(stream: _Stream) -> str | None:
    bundle = stream.bundle
    if bundle.manifest.quantized_agreement is None:
        return None
    front_end, decoder, form = bundle.front_end(), bundle.quantized_decoder(), bundle.manifest.front_end
    reference = run_reference(front_end, decoder, stream.counts, stream.missing, form=form)
    return reference_difference(reference, stream.twin, stream.host)


def _with_program(folder: Path) -> Bundle:
    kind, _ = manifest_of(folder)
    if kind != "frames":
        raise InputError(f"{folder} takes {kind}, not the samples of a recording; give a bundle that decodes LFP")
    bundle = open_bundle(folder)
    if not bundle.firmware.is_dir():
        raise InputError(f"{folder} was exported for {bundle.manifest.target} and holds no C; export it for a core")
    return bundle


def _counts(bundle: Bundle, order: TargetOrder, folder: Path, progress: Progress) -> tuple[Counts, NDArray[np.bool_]]:
    """The first seconds of the recording as the converter gives them, whole frames of it, and what is missing."""
    path, features = _hdf5(bundle, order, folder, progress), bundle.manifest.features
    with open_recording(path) as recording:
        found = recording.info.n_channels, recording.info.lfp_rate_hz
    if found != (bundle.manifest.n_channels, features.rate_hz):
        raise InputError(
            f"{order.recording} has {found[0]} channels at {found[1]:g} Hz, the bundle decodes "
            f"{bundle.manifest.n_channels} at {features.rate_hz:g} Hz; give a recording of its array"
        )
    wanted = round(order.seconds * features.rate_hz)
    counts, missing = read_part(path, features, 0, wanted)
    whole = len(counts) // features.samples_per_frame * features.samples_per_frame
    if not whole:
        raise InputError(f"{order.recording} has {len(counts)} samples, one step takes {features.samples_per_frame}")
    return counts[:whole], missing[:whole]


def _hdf5(bundle: Bundle, order: TargetOrder, folder: Path, progress: Progress) -> Path:
    """The recording as HDF5, converted where it is NWB."""
    check_recording_path(order.recording)
    if order.recording.suffix != ".nwb":
        return order.recording
    spec = bundle.manifest.spec
    target = behavior_for(order.recording, spec.output_names, spec.output_unit)
    source = RecordingConfig(path=order.recording, lfp=order.lfp, target=target)
    obtain(source, folder, progress)
    return recording_path(source, folder)


def _parts(order: TargetOrder, run: TargetRun, bundle: Bundle) -> tuple[PartCycles, ...]:
    if find_core(order.core).has_mve:
        return ()  # the bounds are those of packed multiplication in core registers
    decoder = bundle.quantized_decoder() if bundle.manifest.arithmetic == "fixed" else None
    return part_cycles(order.core, decoder, run) if isinstance(decoder, FixedDecoder) else ()


def _common(order: TargetOrder, run: TargetRun | UserRun, bundle: Bundle) -> dict[str, Any]:
    """The fields of a RunReport."""
    manifest = bundle.manifest
    return {
        "core": order.core,
        "recording": order.recording.name,
        "steps": len(run.outputs),
        "valid_steps": int(run.valid.sum()),
        "equals_host_twin": True,
        "equals_reference": manifest.quantized_agreement is not None,
        "arithmetic": manifest.arithmetic,
        "front_end": manifest.front_end,
        "outputs": tuple(tuple(map(float, row)) for row in run.outputs),
    }


def _report(order: TargetOrder, run: TargetRun, bundle: Bundle) -> TargetReport:
    cycles = run.cycles
    step = next(step.mean for step in cycles.steps if step.name == "step")
    return TargetReport(
        **_common(order, run, bundle),
        evidence=cycles.model.evidence,
        error_fraction=cycles.error_fraction,
        branchy_error_fraction=cycles.branchy_error_fraction,
        band=cycles.band,
        device_cycles_per_s=step * bundle.manifest.features.frame_rate_hz,
        instructions=run.instructions,
        cycles=cycles.cycles,
        step_cycles=tuple(StepCost(name=s.name, mean_cycles=s.mean, worst_cycles=s.worst) for s in cycles.steps),
        flash=flash_cost(cycles.cycles, run.flash),
        functions=function_costs(cycles),
        lines=line_costs(run.lines),
        parts=_parts(order, run, bundle),
        flash_bytes=run.memory.flash_bytes,
        ram_bytes=run.memory.ram_bytes,
        stack_bytes=run.memory.stack_bytes,
    )
