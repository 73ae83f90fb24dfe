"""Profiles of what computes: microcontrollers with a cycle model, boards without one, and the models of cores."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from edgebci.documents import Document
from edgebci.errors import InputError
from edgebci.hardware_units import (
    Bytes,
    Core,
    Count,
    In,
    Megahertz,
    Microsecond,
    Microwatt,
    Profile,
    Share0,
    Volt,
)
from edgebci.quantity import Quantity


class OperatingPoint(Document):
    """A clock at which the part runs, with the supply of its core there and what a cycle costs there."""

    clock_mhz: Megahertz
    supply_v: Volt
    active_pj_per_cycle: Annotated[Quantity, In("pJ")]


class Waking(Document):
    """What it takes a part to start work, and to be handed samples.

    Fields:
        wake_up_us, wake_up_uw: from the sleep of `sleep_uw` to the first instruction.
        interrupt_cycles: entry and exit. dma_cycles_per_transfer: that the core loses to one transfer of 32 bits.
        dma_uw: what the transfers and the serial port draw while samples come in.
    """

    wake_up_us: Microsecond
    wake_up_uw: Microwatt
    interrupt_cycles: Annotated[Quantity, In("cycles")]
    dma_cycles_per_transfer: Annotated[Quantity, In("cycles")]
    dma_uw: Microwatt


class ComputePart(Profile):
    """A microcontroller at one clock: memory, energy of a cycle and what it draws asleep, at its own supply pin.

    Fields:
        real_cycles_per_modelled_cycle: what a cycle model with zero wait states misses: flash stalls, its own error.
        operating_points: the clocks that it has, by any name; `clock_mhz` is one of them (`at_clock` changes it).
        sleep_uw: memory kept, woken by a timer. deep_sleep_uw: memory lost.
        leakage_at_37c: sleep power at 37 C over that at 25 C, at which datasheets give it.
        accelerator: what computes beside the core, which no cycle model here counts.
    """

    folder: ClassVar[str] = "compute"

    kind: Literal["compute"]
    core: Core
    clock_mhz: Megahertz
    flash_bytes: Bytes
    ram_bytes: Bytes
    active_pj_per_cycle: Annotated[Quantity, In("pJ")]
    sleep_uw: Microwatt
    real_cycles_per_modelled_cycle: Annotated[Quantity, In("1", at_least=0.5, at_most=10.0)]

    supply_v: Volt | None = None
    operating_points: dict[str, OperatingPoint] = Field(default_factory=dict)
    deep_sleep_uw: Microwatt | None = None
    leakage_at_37c: Annotated[Quantity, In("1", at_least=1.0, at_most=20.0)] | None = None
    waking: Waking | None = None
    accelerator: str | None = None

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        active_uw = self.active_pj_per_cycle.low * self.clock_mhz.low
        if self.sleep_uw.high > active_uw:
            raise ValueError(
                f"sleep_uw {self.sleep_uw.high:g} exceeds the active power {active_uw:g} uW; check the units"
            )
        clocks_mhz = clocks(self)
        if self.clock_mhz.typical not in clocks_mhz:
            raise ValueError(_no_clock(self.name, self.clock_mhz.typical, clocks_mhz))
        return self


def clocks(part: ComputePart) -> tuple[float, ...]:
    """The clocks that a part has, in MHz, ascending."""
    return tuple(
        sorted({point.clock_mhz.typical for point in part.operating_points.values()} or {part.clock_mhz.typical})
    )


def at_clock(part: ComputePart, clock_mhz: float) -> ComputePart:
    """The part at another of its clocks, with that point's energy of a cycle.

    Raises:
        InputError: the chip does not have that clock.
    """
    if clock_mhz == part.clock_mhz.typical:
        return part
    for point in part.operating_points.values():
        if point.clock_mhz.typical == clock_mhz:
            return part.model_copy(
                update={"clock_mhz": point.clock_mhz, "active_pj_per_cycle": point.active_pj_per_cycle}
            )
    raise InputError(_no_clock(part.name, clock_mhz, clocks(part)))


def _no_clock(name: str, clock_mhz: float, clocks_mhz: tuple[float, ...]) -> str:
    have = ", ".join(f"{clock:g}" for clock in clocks_mhz)
    return f"{name} has no clock of {clock_mhz:g} MHz; choose from {have} MHz or add it to operating_points"


class BoardMode(Document):
    """A power mode of a board, at which its roof is that high."""

    dense_int8_tops: Annotated[Quantity, In("TOPS")]
    dense_fp16_tflops: Annotated[Quantity, In("TFLOPS")]
    memory_gb_per_s: Annotated[Quantity, In("GB/s", at_least=1e-3)]
    limit_w: Annotated[Quantity, In("W", at_least=1e-3)]


class Board(Profile):
    """A host computer with an operating system: a roofline and a launch cost in place of cycles.

    An estimate from it is a range that a measured file replaces, and never enters a verdict.

    Fields:
        launch_us: from the call to the start of one kernel. step_floor_us: least time of a small network, end to end.
        modes: by the names of the board's power modes. efficiency: share of the roof that small networks reach.
        idle_w: of the whole board, nothing running.
    """

    folder: ClassVar[str] = "compute"

    kind: Literal["board"]
    processor: str = Field(min_length=1)
    memory_bytes: Bytes
    modes: dict[str, BoardMode] = Field(min_length=1)
    idle_w: Annotated[Quantity, In("W")]
    launch_us: Microsecond
    step_floor_us: Microsecond
    efficiency: Annotated[Quantity, In("1", at_least=1e-5, at_most=1.0)]


class CoreModel(Profile):
    """What the instructions of a core take, for the cycle model of its kind; and how far that model is off.

    Fields:
        pipeline: which model reads the figures.
        evidence: an estimate was never held against silicon, and every figure from it is called so.
        error: band of the model on straight code, and on code that branches on its data.
        cycles: figures in cycles, by the names that the model asks for. slots: how many at once, likewise.
    """

    folder: ClassVar[str] = "cores"

    kind: Literal["core"]
    core: Core
    pipeline: Literal["cortex-m4", "in-order"]
    evidence: Literal["model", "estimate"]
    straight_error: Share0
    branchy_error: Share0
    cycles: dict[str, Annotated[Quantity, In("cycles", at_least=-4.0)]] = Field(min_length=1)
    slots: dict[str, Count] = Field(default_factory=dict)


class CacheModel(Document):
    """A cache between core and flash; the least recently used line goes."""

    size_bytes: Bytes
    ways: Count
    line_bytes: Bytes


class MemoryModel(Profile):
    """How a board's core gets at its flash, at one clock.

    Fields:
        flash_bytes_at_once: what one access to the flash gives.
        miss_cycles, load_miss_cycles: what a fetch, and a load, waits for that is in no cache.
        prefetch: whether the flash gets the line that follows while the one before is executed.
        caches: split are those for code and for data, unified is one for both (`instruction_cache`).
    """

    folder: ClassVar[str] = "memories"

    kind: Literal["memory"]
    core: Core
    clock_mhz: Megahertz
    flash_bytes_at_once: Bytes
    miss_cycles: Annotated[Quantity, In("cycles")]
    load_miss_cycles: Annotated[Quantity, In("cycles")]
    prefetch: Literal["none", "next line"]
    caches: Literal["split", "unified"]
    instruction_cache: CacheModel | None = None
    data_cache: CacheModel | None = None
