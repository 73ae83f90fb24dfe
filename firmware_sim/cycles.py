"""Cycles of a run, modelled from the counts of its edges.

An edge from block A to block B costs what B takes after A: cycles(A then B) - cycles(A), so that what overlaps across
their border is counted once. What a taken branch adds is the branching function's. Counts are exact, cycles are
modelled: `CycleReport` says how far they can be trusted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgebci.firmware_sim.block_profile import EdgeProfile
from edgebci.firmware_sim.core_pipelines import Timed, core_model, new_pipeline
from edgebci.firmware_sim.cores import Core, find_core
from edgebci.firmware_sim.firmware_image import FirmwareImage
from edgebci.firmware_sim.thumb import Instruction, decode
from edgebci.hardware import CoreModel
from edgebci.quantity import Quantity

F64 = NDArray[np.float64]

# Hardware over model. Low: the model was fitted on a part at zero wait states. High: on MLPerf Tiny's anomaly
# detection, 264,192 weights read from flash behind wait states, such a model lies 29 % under the measured run of a
# comparable library: 1 / (1 - 0.29). The profile of a chip has its own, `real_cycles_per_modelled_cycle`, which then
# stands in the place of this one: never multiply by both.
FLASH_WAIT_FACTOR = Quantity(
    low=1.0,
    typical=1.2,
    high=1.41,
    unit="ratio",
    source="pqm4 on STM32L4R5 at 24 MHz (low); MLPerf Tiny v1.0 ad on STM32L4R5 at 120 MHz against such a model "
    "(high); about their middle (typical)",
    evidence_class="derived",
)

REMEMBERED = 40
"""Instructions after which a pipeline knows nothing of those before: two in a cycle, no figure is 20 cycles long."""


@dataclass(frozen=True)
class FunctionCycles:
    """What one function, without those it calls, took over a run."""

    name: str
    instructions: int
    cycles: int


@dataclass(frozen=True)
class StepCycles:
    """Cycles of the steps of a run in one region: a step is all work from one output frame to the next."""

    name: str
    mean: float
    worst: int
    worst_step: int
    median: float


@dataclass(frozen=True)
class CycleReport:
    """Cycles of a run on one core: instructions are counted, cycles are modelled at zero wait states."""

    instructions: int
    cycles: int
    avoidable_cycles: int  # charged at their most: what divisions and failed conditions may take less, by the data
    by_function: tuple[FunctionCycles, ...]  # most cycles first
    steps: tuple[StepCycles, ...]  # whole step first, then each region
    model: CoreModel
    evidence: str = "modelled"
    assumption: str = "zero wait states"
    flash_wait_factor: Quantity = FLASH_WAIT_FACTOR  # multiply by it for a chip that runs from flash with wait states

    @property
    def core(self) -> str:
        """The core's name."""
        return self.model.core

    @property
    def error_fraction(self) -> float:
        """Band of the model on straight code; of an estimate it was never held against silicon."""
        return self.model.straight_error.typical

    @property
    def branchy_error_fraction(self) -> float:
        """Band of the model on code that branches on its data."""
        return self.model.branchy_error.typical

    @property
    def band(self) -> str:
        """What is said beside every cycle figure."""
        kind = "an estimate, never held against silicon" if self.model.evidence == "estimate" else self.evidence
        straight, branchy = f"±{self.error_fraction:.0%}", f"±{self.branchy_error_fraction:.0%}"
        return f"{kind}, {straight} ({branchy} on branchy code), {self.assumption}"

    @property
    def figures(self) -> dict[str, Quantity]:
        """Every number of the model with its source."""
        return self.model.cycles | self.model.slots


class EdgeCosts:
    """Cycles of each edge of a growing profile; each is worked out once."""

    def __init__(self, image: FirmwareImage, model: CoreModel) -> None:
        self._image, self._model, self._with_helium = image, model, find_core(model.core).has_mve
        self._decoded: dict[tuple[int, int], tuple[Instruction, ...]] = {}
        self.body: F64 = np.zeros(0)  # (E,) cycles of the target block after the source block
        self.refill: F64 = np.zeros(0)  # (E,) cycles that the taken branch adds
        self.avoidable: F64 = np.zeros(0)  # (E,) of the two, what the data may spare
        self.mispredicted: F64 = np.zeros(0)  # (E,) cycles more where the core predicted another way
        self.steps: list[list[tuple[int, float]]] = []  # (E,) of the body: address and cycles of each instruction
        self.branch: list[int] = []  # (E,) address of the instruction that the refill is charged to

    def extend(self, profile: EdgeProfile) -> None:
        """Work out the edges that are new since the last time."""
        new = range(len(self.body), len(profile.edge_count))
        costs = np.array([self._cost(profile, e) for e in new], np.float64).reshape(-1, 4)
        self.body = np.append(self.body, costs[:, 0])
        self.refill = np.append(self.refill, costs[:, 1])
        self.avoidable = np.append(self.avoidable, costs[:, 2])
        self.mispredicted = np.append(self.mispredicted, costs[:, 3])

    def _cost(self, profile: EdgeProfile, edge: int) -> tuple[float, float, float, float]:
        source = self._block(profile, int(profile.edge_source[edge]))
        target = self._block(profile, int(profile.edge_target[edge]))
        pipeline = _run(new_pipeline(self._model), source[-REMEMBERED:])
        slack_before = pipeline.slack
        # The way back to the host is no edge, so the call from it carries the refill of the return.
        refill = _take(pipeline, source[-1], target[0].address) if source else pipeline.indirect
        after_branch = pipeline.cycle
        steps = []
        for instruction in target:
            before = pipeline.cycle
            pipeline.run(instruction)
            steps.append((instruction.address, pipeline.cycle - before))
        self.steps.append(steps)
        self.branch.append((source[-1] if source else target[0]).address)
        wrongly = pipeline.mispredicted if source and source[-1].branches else 0.0
        return pipeline.cycle - after_branch, refill, pipeline.slack - slack_before, wrongly

    def _block(self, profile: EdgeProfile, block: int) -> tuple[Instruction, ...]:
        if block == 0:
            return ()
        address, size = int(profile.block_address[block]), int(profile.block_size[block])
        if (address, size) not in self._decoded:
            code = self._image.code
            offset = address - code.address
            self._decoded[address, size] = decode(code.content[offset : offset + size], address, self._with_helium)
        return self._decoded[address, size]


def _run(pipeline: Timed, block: Iterable[Instruction]) -> Timed:
    for instruction in block:
        pipeline.run(instruction)
    return pipeline


def _take(pipeline: Timed, last: Instruction, destination: int) -> float:
    """Refill the pipeline if the way from `last` to `destination` is a taken branch; return the cycles it adds."""
    before = pipeline.cycle
    if last.branches and (destination != last.end or last.always_branches):
        pipeline.refill(last)
    return pipeline.cycle - before


def functions_of(image: FirmwareImage, profile: EdgeProfile) -> tuple[list[str], NDArray[np.intp]]:
    """Name the functions of the blocks: names (F,) and the index of each block's function (B,); the host is ''."""
    of_block = ["" if b == 0 else image.function_at(int(a)) for b, a in enumerate(profile.block_address)]
    names, index = np.unique(np.array(of_block), return_inverse=True)
    return [str(name) for name in names], index


def mispredictions(profile: EdgeProfile, taken: F64) -> F64:
    """How often each edge came as a surprise, (E,), where it was taken `taken` (E,) times.

    A predictor is taken to learn the way that each branch goes more often, and to miss the others.
    """
    order = np.lexsort((taken, profile.edge_source))
    source = profile.edge_source[order]
    usual = order[np.append(source[1:] != source[:-1], True)] if len(order) else order
    surprises = taken.copy()
    surprises[usual] = 0
    return surprises


def by_function(
    image: FirmwareImage, profile: EdgeProfile, costs: EdgeCosts, surprises: F64
) -> tuple[FunctionCycles, ...]:
    """Share the cycles and instructions of a run out to its functions, most cycles first."""
    names, of_block = functions_of(image, profile)
    count = profile.edge_count.astype(np.float64)
    source, target = of_block[profile.edge_source], of_block[profile.edge_target]
    # What the host's call costs is charged to the function called.
    payer = np.where(profile.edge_source == 0, target, source)
    refill = count * costs.refill + surprises * costs.mispredicted
    cycles = np.bincount(target, count * costs.body, len(names)) + np.bincount(payer, refill, len(names))
    instructions = np.bincount(target, count * profile.block_instructions[profile.edge_target], len(names))
    found = (
        FunctionCycles(*row)
        for row in zip(names, instructions.astype(int).tolist(), cycles.astype(int).tolist(), strict=True)
    )
    return tuple(sorted((f for f in found if f.instructions), key=lambda f: -f.cycles))


class Counter(Protocol):
    """What counts edges while a program runs, or tells again what was counted."""

    @property
    def n_edges(self) -> int:
        """Different edges taken so far."""
        ...

    def counts(self) -> NDArray[np.uint64]:
        """The count of every edge so far, (E,)."""
        ...

    def profile(self) -> EdgeProfile:
        """Everything counted so far."""
        ...


class Counted(Protocol):
    """A program on a core, with the parts that are counted apart; the first is all that is in no other."""

    @property
    def core(self) -> Core:
        """Which core."""
        ...

    @property
    def image(self) -> FirmwareImage:
        """The program."""
        ...

    @property
    def region_names(self) -> tuple[str, ...]:
        """Its parts."""
        ...

    @property
    def counter(self) -> Counter | None:
        """None where nothing is counted."""
        ...


class CycleMeter:
    """Reads a machine's counts at the end of each step, and reports on all of them."""

    def __init__(self, machine: Counted) -> None:
        if machine.counter is None:
            raise ValueError("a machine without a profile has no cycles; make it with profile=True")
        self._machine, self._counter = machine, machine.counter
        self._model = core_model(machine.core.name)
        self._costs = EdgeCosts(machine.image, self._model)
        self._counts: F64 = np.zeros(0)  # (E,) how often each edge was taken by the last reading
        self._surprises: F64 = np.zeros(0)  # (E,) how often of these another was predicted
        self._update(self._counter.profile())
        self._read()

    def lap(self) -> F64:
        """Cycles since the last lap: of everything, then of each region in the machine's order, (1 + R,)."""
        taken, surprises = self._read()
        refill = taken * self._costs.refill + surprises * self._costs.mispredicted
        cycles_in = np.bincount(self._body_region, taken * self._costs.body, len(self._machine.region_names))
        cycles_in += np.bincount(self._refill_region, refill, len(self._machine.region_names))
        return np.concatenate([[cycles_in.sum()], cycles_in[1:]])

    def report(self, laps: F64) -> CycleReport:
        """Report on all that ran since power-on; `laps` (K, 1 + R), K >= 1, are the steps."""
        profile, costs, surprises = self.counted()
        functions = by_function(self._machine.image, profile, costs, surprises)
        names = ("step", *self._machine.region_names[1:])
        return CycleReport(
            instructions=profile.instructions,
            cycles=sum(f.cycles for f in functions),
            avoidable_cycles=int(profile.edge_count.astype(np.float64) @ self._costs.avoidable),
            by_function=functions,
            steps=tuple(step_cycles(name, laps[:, i]) for i, name in enumerate(names)),
            model=self._model,
        )

    def counted(self) -> tuple[EdgeProfile, EdgeCosts, F64]:
        """All that ran since power-on: its edges, what each costs, and how often it came as a surprise, (E,)."""
        self._read()
        return self._counter.profile(), self._costs, self._surprises

    def _read(self) -> tuple[F64, F64]:
        """How often each edge was taken since the last reading, and how often of these as a surprise, each (E,)."""
        if self._counter.n_edges != len(self._counts):
            self._update(self._counter.profile())
        counts = self._counter.counts().astype(np.float64)
        taken, self._counts = counts - self._counts, counts
        surprises = mispredictions(self._profile, taken)
        self._surprises += surprises
        return taken, surprises

    def _update(self, profile: EdgeProfile) -> None:
        self._costs.extend(profile)
        self._profile = profile
        new = np.zeros(len(profile.edge_count) - len(self._counts))
        self._counts, self._surprises = np.append(self._counts, new), np.append(self._surprises, new)
        self._body_region = profile.block_region[profile.edge_target]
        source_region = profile.block_region[profile.edge_source]
        self._refill_region = np.where(profile.edge_source == 0, self._body_region, source_region)


def step_cycles(name: str, cycles: F64) -> StepCycles:
    """Summarise the cycles of each step, (K,), K >= 1."""
    worst = int(np.argmax(cycles))
    return StepCycles(name, float(cycles.mean()), int(cycles[worst]), worst, float(np.median(cycles)))
