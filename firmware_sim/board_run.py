"""Running the whole device program on a board that QEMU emulates, with modelled cycles from what was executed.

The plugin counts edges between blocks and notes their counts at the end of each frame; what it noted is read here as if
the program were run again, so that cycles are modelled as they are of programs on Unicorn.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgebci.errors import VerificationError
from edgebci.features.specification import Counts
from edgebci.firmware_sim.block_profile import BLOCK, EDGE, EdgeProfile
from edgebci.firmware_sim.cores import Core
from edgebci.firmware_sim.cycles import CycleMeter
from edgebci.firmware_sim.firmware_image import FirmwareImage
from edgebci.firmware_sim.memory_use import memory_use
from edgebci.firmware_sim.source_lines import by_line
from edgebci.firmware_sim.target_run import REGIONS, TargetRun
from edgebci.firmware_sim.user_program import UserRun, frames, run_alone, stream

_LAP = "edgebci_stream_put"


@dataclass
class RecordedRun:
    """What the plugin counted, told again up to the end of lap `lap`."""

    core: Core
    image: FirmwareImage
    region_names: tuple[str, ...]
    blocks: NDArray[np.void]
    edges: NDArray[np.void]
    laps: list[NDArray[np.uint64]]  # of each lap and of the end, the counts of the edges that there were
    lap: int = -1  # before the first

    @property
    def counter(self) -> RecordedRun:
        """Itself."""
        return self

    @property
    def n_edges(self) -> int:
        """Different edges taken so far."""
        return len(self.counts())

    def counts(self) -> NDArray[np.uint64]:
        """The count of every edge so far, (E,)."""
        return self.laps[self.lap] if self.lap >= 0 else np.zeros(0, np.uint64)

    def profile(self) -> EdgeProfile:
        """Everything counted so far."""
        edges = self.edges[: self.n_edges]
        return EdgeProfile(
            **{f"block_{name}": self.blocks[name] for name in ("address", "size", "instructions", "region")},
            edge_source=edges["source"],
            edge_target=edges["target"],
            edge_count=self.counts(),
        )


def run_on_board(
    elf: Path, core: Core, counts: Counts, missing: NDArray[np.bool_] | None, samples_per_frame: int, n_outputs: int
) -> TargetRun | UserRun:
    """Run a program that `compile_user` made with debug lines over counts (T, C).

    Cycles are modelled where the emulator takes our plugin; where it does not, outputs are all.

    Raises:
        MissingToolError: the core's emulator is not installed.
        VerificationError: the program stopped, or lost a frame.
    """
    image = FirmwareImage.load(elf)
    regions = {name: function for name, function in REGIONS.items() if image.has(function)}
    with tempfile.TemporaryDirectory(prefix="edgebci-code-") as name:
        code = Path(name) / "code"
        code.write_bytes(image.code.content)
        asked = [f"code={code}", f"at={image.code.address}", f"lap={image.symbol(_LAP).address}"]
        asked += [f"entry={image.symbol(function).address}" for function in regions.values()]
        done = run_alone(elf, core, stream(counts, missing, samples_per_frame), tuple(asked))
    run = frames(done.printed, len(counts) // samples_per_frame, n_outputs)
    if not done.counted:
        return run
    recorded = RecordedRun(core, image, ("", *regions), *_counted(done.counted))
    return _modelled(recorded, run)


def _modelled(recorded: RecordedRun, run: UserRun) -> TargetRun:
    meter, laps = CycleMeter(recorded), []
    for recorded.lap in range(len(run.outputs)):
        laps.append(meter.lap())
    recorded.lap = len(recorded.laps) - 1
    cycles = meter.report(np.array(laps))
    return TargetRun(
        outputs=run.outputs,
        valid=run.valid,
        instructions=cycles.instructions,
        cycles=cycles,
        step_cycles=np.array(laps),
        memory=memory_use(recorded.image, run.stack_bytes),
        state=run.state,
        lines=by_line(recorded.image.path, *meter.counted()),
    )


def _counted(content: bytes) -> tuple[NDArray[np.void], NDArray[np.void], list[NDArray[np.uint64]]]:
    """Blocks, edges and laps from the plugin's file.

    Raises:
        VerificationError: a table was full.
    """
    stopped, n_blocks, n_edges, n_laps = np.frombuffer(content, "<u4", 4, 8).tolist()
    if stopped:
        raise VerificationError("the program has more blocks of code than the profile can count; report it")
    at = 24
    blocks = np.frombuffer(content, BLOCK, n_blocks, at)
    at += blocks.nbytes
    edges = np.frombuffer(content, EDGE, n_edges, at)
    at += edges.nbytes
    laps = []
    for _ in range(n_laps):
        n = int(np.frombuffer(content, "<u4", 1, at)[0])
        laps.append(np.frombuffer(content, "<u8", n, at + 4).astype(np.uint64))
        at += 4 + 8 * n
    return blocks, edges, [*laps, edges["count"].astype(np.uint64)]
