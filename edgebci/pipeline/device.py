"""The device program on the test stream in its three forms, and the proof that they are the same, bit for bit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgebci.bundle import Bundle
from edgebci.checkpoint import read_tensors, write_tensors
from edgebci.device_reference import DeviceTrace, run_reference
from edgebci.documents import Document
from edgebci.errors import VerificationError
from edgebci.features.specification import Counts
from edgebci.firmware_sim.host_twin import DeviceRun, HostTwin
from edgebci.firmware_sim.target_run import TargetRun, run_on_target
from edgebci.firmware_sim.toolchain import compile_host, compile_target
from edgebci.firmware_sim.user_program import UserRun
from edgebci.progress import Progress, part
from edgebci.reporting.schema import BitExactness, FirmwareSection, FunctionCost, Span
from edgebci.reporting.sections import CycleDistribution

COMPARED = (
    "outputs and valid flags of every frame; between reference and host also features and the decoder's states at the "
    "end, between host and core also every byte of the context at the end"
)
DEVICE_NAME = "device.safetensors"
# How the generated C and its kernels name their functions; everything else is the front end's.
_INTERFACE = ("edgebci_push", "edgebci_init", "edgebci_reset", "edgebci_output")
_DECODER_WORDS = (
    *("decoder", "dense", "rms_norm", "edgebci_add", "quantize", "tokenizer"),
    *("mamba2", "s4d", "gru", "glu", "possm"),
)


class DeviceHeader(Document):
    """What the device forms gave beside their outputs."""

    schema_version: Literal["edgebci.device/1"] = "edgebci.device/1"
    bit_exactness: BitExactness
    firmware: FirmwareSection


@dataclass(frozen=True)
class DeviceResult:
    """Outputs (K, D) and valid flags (K,) of the host twin, and how they came about."""

    outputs: NDArray[np.float32]
    valid: NDArray[np.bool_]
    header: DeviceHeader


def run_device(
    bundle: Bundle,
    core: str,
    counts: Counts,
    missing: NDArray[np.bool_],
    folder: Path,
    progress: Progress,
) -> None:
    """Compile the C, run reference, host twin and emulated core on the same counts, compare, and write what they gave.

    Raises:
        VerificationError: two of the three differ; says where first.
    """
    progress(0.0, "compiling")
    front_end, decoder = bundle.front_end(), bundle.quantized_decoder()
    host = HostTwin(compile_host(bundle.firmware, folder / "host_twin.so"))
    elf = compile_target(bundle.firmware, folder / "firmware.elf", core)
    twin = host.run(counts, missing)
    reference = run_reference(front_end, decoder, counts, missing, part(progress, 0.1, 0.5), bundle.manifest.front_end)
    step = front_end.spec.samples_per_frame
    n_outputs = decoder.spec.n_outputs
    target = run_on_target(elf, counts, missing, front_end.n_channels, step, n_outputs, part(progress, 0.5, 1.0))
    difference = reference_difference(reference, twin, host) or target_difference(twin, host, target)
    if difference:
        raise VerificationError(f"{difference}; report it with the bundle in {bundle.folder}")
    exact = BitExactness(
        n_frames=len(twin.outputs), reference_equals_host=True, host_equals_target=True, compared=COMPARED
    )
    header = DeviceHeader(bit_exactness=exact, firmware=firmware_section(core, target))
    write_tensors(folder / DEVICE_NAME, {"outputs": twin.outputs, "valid": twin.valid.astype(np.uint8)}, header)


def load_device(folder: Path) -> DeviceResult:
    """Read what `run_device` wrote."""
    arrays, header = read_tensors(folder / DEVICE_NAME, DeviceHeader)
    return DeviceResult(arrays["outputs"], arrays["valid"].astype(bool), header)


def reference_difference(reference: DeviceTrace, twin: DeviceRun, host: HostTwin) -> str | None:
    """The first difference between NumPy and the host twin, or None."""
    traces = {
        "features": (reference.features, twin.features),
        "outputs": (reference.outputs, twin.outputs),
        "valid": (reference.valid, twin.valid),
    }
    for name, (expected, found) in traces.items():
        frame = first_difference(expected, found)
        if frame is not None:
            return f"{name} of NumPy reference and host twin differ first at frame {frame}"
    for name, state in reference.states.items():
        if state.tobytes() != host.state(name).tobytes():
            return f"the state {name} of NumPy reference and host twin differs at the end"
    return None


def target_difference(twin: DeviceRun, host: HostTwin, target: TargetRun | UserRun) -> str | None:
    """The first difference between host twin and emulated core, or None."""
    for name, expected, found in (("outputs", twin.outputs, target.outputs), ("valid", twin.valid, target.valid)):
        frame = first_difference(expected, found)
        if frame is not None:
            return f"{name} of host twin and emulated core differ first at frame {frame}"
    if target.state != host.state_bytes():
        return "the final state of host twin and emulated core differs"
    return None


def first_difference(expected: NDArray[Any], found: NDArray[Any]) -> int | None:
    """The first row whose bytes differ (so 0.0 is not -0.0, and NaN is itself), or None."""
    if len(expected) != len(found):
        return min(len(expected), len(found))
    if not len(expected):
        return None
    as_bytes = (np.ascontiguousarray(a).view(np.uint8).reshape(len(a), -1) for a in (expected, found))
    differing = np.flatnonzero(np.not_equal(*as_bytes).any(axis=1))
    return int(differing[0]) if len(differing) else None


def firmware_section(core: str, target: TargetRun) -> FirmwareSection:
    """What the emulated run cost, per step."""
    cycles, n_steps = target.cycles, len(target.outputs)
    steps = {step.name: step for step in cycles.steps}
    error = cycles.error_fraction
    functions = tuple(
        FunctionCost(
            name=f.name,
            part=part_of(f.name),
            cycles_per_step=f.cycles / n_steps,
            instructions_per_step=f.instructions / n_steps,
        )
        for f in cycles.by_function
    )
    mean = steps["step"].mean
    return FirmwareSection(
        core=core,
        compiler="zig cc -O3 (ziglang)",
        flash_bytes=target.memory.flash_bytes,
        ram_bytes=target.memory.ram_bytes,
        stack_bytes=target.memory.stack_bytes,
        instructions_per_step=target.instructions / n_steps,
        cycles_per_step=Span(low=mean * (1 - error), typical=mean, high=mean * (1 + error)),
        worst_step_cycles=steps["step"].worst,
        decoder_cycles_per_step=steps["decoder"].mean,
        front_end_cycles_per_step=steps["front end"].mean,
        functions=functions,
        step_cycles=CycleDistribution.of(target.step_cycles[:, 0]),
        assumptions=(
            f"Cycles are {cycles.evidence} with {cycles.assumption}, +-{error:.0%} on straight code; "
            f"flash with wait states multiplies them by {cycles.flash_wait_factor.low:g} to "
            f"{cycles.flash_wait_factor.high:g}, which the implants below include.",
        ),
    )


def part_of(function: str) -> Literal["front end", "decoder", "harness"]:
    """Which part of the program a C function belongs to, by its name."""
    if "harness" in function or function.startswith(_INTERFACE):
        return "harness"
    return "decoder" if any(word in function for word in _DECODER_WORDS) else "front end"
