"""Running the whole device program on the emulated core, frame by frame, as the implant would.

The program offers three functions, `edgebci_harness_init()`, `edgebci_harness_push(n)` and
`edgebci_harness_push_missing(n)`, of which the last two return how many frames were finished, and three buffers:
`edgebci_harness_counts` (samples in), `edgebci_harness_outputs` and `edgebci_harness_valid`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgebci.errors import VerificationError
from edgebci.features.specification import Counts
from edgebci.firmware_sim.cycles import CycleMeter, CycleReport
from edgebci.firmware_sim.emulator import Machine
from edgebci.firmware_sim.firmware_image import FirmwareImage
from edgebci.firmware_sim.flash_waits import FlashWaits
from edgebci.firmware_sim.memory_use import MemoryUse, memory_use
from edgebci.firmware_sim.source_lines import LineCycles, by_line
from edgebci.hardware import MemoryModel
from edgebci.progress import Progress, silent

REGIONS = {"front end": "edgebci_front_end_push", "decoder": "edgebci_decoder_step"}
"""The parts that are costed apart, by the function that enters each; those that a program lacks are left out."""
STATE_SYMBOL = "edgebci_harness_context"
_PROGRESS_EVERY = 50  # frames


@dataclass(frozen=True)
class TargetRun:
    """What the emulated core computed and what it took."""

    outputs: NDArray[np.float32]  # (K, D)
    valid: NDArray[np.bool_]  # (K,)
    instructions: int  # from power-on, exact
    cycles: CycleReport
    step_cycles: NDArray[np.float64]  # (K, 1 + R): whole step, then each region of `cycles.steps`
    memory: MemoryUse
    state: bytes | None  # the context after the last sample, if the program exports it
    lines: tuple[LineCycles, ...] = ()  # most cycles first, where they were asked for
    flash: FlashWaits | None = None  # what the board's flash adds to the cycles, where one was given


def run_on_target(
    elf: Path,
    counts: Counts,
    missing: NDArray[np.bool_] | None,
    n_channels: int,
    samples_per_frame: int,
    n_outputs: int,
    progress: Progress = silent,
    with_lines: bool = False,
    board: MemoryModel | None = None,
) -> TargetRun:
    """Run the program in `elf` on a stream of ADC counts.

    Args:
        counts: (T, n_channels) as the converter gives them. missing: (T,) samples that never arrived, or None.
        samples_per_frame: samples to one output, the most that are pushed at once.
        n_outputs: D, values in one output.
        progress: fraction of the samples done.
        with_lines: give cycles by source line too; the ELF has debug lines then.
        board: whose flash and caches to follow.

    Raises:
        InputError: no such file, it is for no core that is emulated here, or it lacks the harness or the lines.
        VerificationError: the program faulted, or lost a frame.
    """
    image = FirmwareImage.load(elf)
    machine = Machine(image, regions={name: f for name, f in REGIONS.items() if image.has(f)}, flash=board)
    machine.call("edgebci_harness_init")
    harness = _Harness(machine, n_channels, samples_per_frame, n_outputs)
    for start, stop, lost in pieces(len(counts), missing, samples_per_frame):
        harness.push(counts[start:stop], lost)
        if stop == len(counts) or stop % (samples_per_frame * _PROGRESS_EVERY) == 0:
            progress(stop / len(counts), f"{machine.instructions / 1e6:.0f} million instructions")
    return harness.result(len(counts) // samples_per_frame, with_lines)


def pieces(n_samples: int, missing: NDArray[np.bool_] | None, at_most: int) -> Iterator[tuple[int, int, bool]]:
    """Cut a stream at the frame borders and wherever samples begin or cease to be missing: (start, stop, missing)."""
    lost = np.zeros(n_samples, bool) if missing is None else missing
    changes = np.flatnonzero(lost[1:] != lost[:-1]) + 1
    cuts = [*np.union1d(np.arange(0, n_samples, at_most), changes).tolist(), n_samples]
    for start, stop in itertools.pairwise(cuts):
        yield start, stop, bool(lost[start])


class _Harness:
    """The harness of one machine: pushes samples and collects the frames that come out."""

    def __init__(self, machine: Machine, n_channels: int, samples_per_frame: int, n_outputs: int) -> None:
        self._machine = machine
        buffer, n_counts = machine.view("edgebci_harness_counts"), samples_per_frame * n_channels
        if len(buffer) not in (2 * n_counts, 4 * n_counts):
            raise VerificationError(
                f"the firmware's buffer has {len(buffer)} bytes where a frame has {samples_per_frame} samples of "
                f"{n_channels} channels; generate it for this front end"
            )
        # Converters of more than 16 bits have counts of 32.
        self._counts = buffer.view(f"<i{len(buffer) // n_counts}").reshape(-1, n_channels)
        self._values = machine.view("edgebci_harness_outputs", "<f4")[:n_outputs]
        self._valid = machine.view("edgebci_harness_valid", "u1")
        self._meter = CycleMeter(machine)
        self._outputs: list[NDArray[np.float32]] = []
        self._flags: list[bool] = []
        self._laps: list[NDArray[np.float64]] = []

    def push(self, counts: Counts, missing: bool) -> None:
        """Push samples (n, channels), no more than to the end of the frame."""
        if missing:
            finished = self._machine.call("edgebci_harness_push_missing", len(counts))
        else:
            self._counts[: len(counts)] = counts
            finished = self._machine.call("edgebci_harness_push", len(counts))
        if finished > 1:
            raise VerificationError(
                f"the firmware finished {finished} frames where one was due; it counts samples wrongly"
            )
        if finished:
            self._outputs.append(self._values.copy())
            self._flags.append(bool(self._valid[0]))
            self._laps.append(self._meter.lap())

    def result(self, n_frames: int, with_lines: bool) -> TargetRun:
        if len(self._outputs) != n_frames or not n_frames:
            raise VerificationError(
                f"the firmware gave {len(self._outputs)} frames where {n_frames} were due; it counts samples wrongly"
            )
        machine, laps = self._machine, np.array(self._laps)
        cycles = self._meter.report(laps)
        return TargetRun(
            outputs=np.array(self._outputs),
            valid=np.array(self._flags),
            instructions=machine.instructions,
            cycles=cycles,
            step_cycles=laps,
            memory=memory_use(machine.image, machine.stack_peak_bytes),
            state=machine.read(STATE_SYMBOL) if machine.image.has(STATE_SYMBOL) else None,
            lines=by_line(machine.image.path, *self._meter.counted()) if with_lines else (),
            flash=machine.flash_waits(cycles.cycles),
        )
