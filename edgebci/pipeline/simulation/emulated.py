"""Cycles of the device: its own program on the emulated core over first steps of the recording, else counts x costs.

Every step of the emulated stretch is compared with the host twin, so that what is costed is what is played.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgebci.errors import InputError, MissingToolError, VerificationError
from edgebci.firmware_sim.host_twin import HostTwin
from edgebci.firmware_sim.target_run import TargetRun, run_on_target
from edgebci.firmware_sim.toolchain import compile_target
from edgebci.hardware import ComputePart
from edgebci.pipeline.budget.load import Loaded, RunCost, load_of, loaded_by_run
from edgebci.pipeline.budget.order import BudgetOrder
from edgebci.pipeline.cycle_costs import emulated_core
from edgebci.pipeline.device import target_difference
from edgebci.pipeline.simulation.setting import Setting

F64 = NDArray[np.float64]

EMULATED_FRAMES = 50
"""Steps: a second of most decoders, and a few seconds of work."""


@dataclass(frozen=True, eq=False)
class DeviceCycles:
    """A load, the modelled cycles (K,) of each emulated step, and why none was emulated."""

    loaded: Loaded
    step_cycles: F64 | None
    note: str | None


def device_cycles(setting: Setting, asked: BudgetOrder, compute: ComputePart, library: Path) -> DeviceCycles:
    """Emulate the bundle's program on the chip's core where that can be built, else multiply counts by costs.

    `library` is the same program compiled for this machine.

    Raises:
        InputError: the core is known to neither way. VerificationError: the core computed something else than the host.
    """
    try:
        run = _run(setting, compute, library)
    except (MissingToolError, InputError) as why:
        note = f"the program was not emulated on {compute.core}, so cycles are counts x cycles per count: {why}"
        return DeviceCycles(load_of(asked, compute), None, note)
    steps = {step.name: step for step in run.cycles.steps}
    whole, front = steps["step"], steps.get("front end")
    cost = RunCost(
        front_end_cycles=front.mean if front else 0.0,
        step_cycles=whole.mean,
        worst_cycles=float(whole.worst),
        flash_bytes=run.memory.flash_bytes,
        ram_bytes=run.memory.ram_bytes,
    )
    said = f"emulated on {compute.core}, {len(run.outputs)} steps of the recording; {run.cycles.band}"
    return DeviceCycles(loaded_by_run(asked, compute, cost, said), run.step_cycles[:, 0], None)


def _run(setting: Setting, compute: ComputePart, library: Path) -> TargetRun:
    core = emulated_core(compute.core)
    bundle = setting.bundle
    counts, missing = setting.first_frames(EMULATED_FRAMES)
    elf = compile_target(bundle.firmware, setting.folder / "firmware.elf", core.name)
    manifest = bundle.manifest
    sizes = manifest.n_channels, manifest.features.samples_per_frame, manifest.spec.n_outputs
    run = run_on_target(elf, counts, missing, *sizes)
    host = HostTwin(library)
    difference = target_difference(host.run(counts, missing), host, run)
    if difference:
        raise VerificationError(f"{difference}, on {core.name}; report it with the bundle in {bundle.folder}")
    return run
