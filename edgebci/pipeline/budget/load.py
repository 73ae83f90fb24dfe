"""From a decoder to what it asks of an implant: measured cycles where a run wrote them, else counts times costs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from edgebci.documents import load_json
from edgebci.errors import InputError
from edgebci.firmware_sim.design import DecoderLoad
from edgebci.hardware import ComputePart
from edgebci.pipeline.budget.counts import (
    FEATURE_BITS,
    OUTPUT_BITS,
    Counts,
    Written,
    decoder_cycles,
    front_end_cycles,
    read_counts,
)
from edgebci.pipeline.budget.cycle_costs import CoreCosts, costs_on
from edgebci.pipeline.budget.order import BudgetOrder


class _Step(BaseModel):
    name: str
    mean_cycles: float
    worst_cycles: float


class _Run(BaseModel):
    """Of `edgebci.pipeline.run_on_target.TargetReport`, what is counted here; the whole brings the emulator along."""

    core: str
    step_cycles: tuple[_Step, ...]
    flash_bytes: int
    ram_bytes: int


@dataclass(frozen=True)
class Loaded:
    """A load, what was counted for it, and where its cycles are from."""

    load: DecoderLoad
    counts: Counts
    decoder: str
    cycles_from: str


def load_of(order: BudgetOrder, compute: ComputePart) -> Loaded:
    """Find what the decoder asks.

    Raises:
        InputError: no decoder, or two; a report of another core; a core whose cycles per count are not known.
    """
    counts = counts_for(order)
    decoder = order.decoder.name if order.decoder else "as typed"
    if order.measured is not None:
        report = _target_report(order.measured, compute)
        return loaded_by_run(order, compute, _cost_of(report), f"emulated on {report.core}")
    if order.cycles is not None:
        load = _load(counts, compute, 0.0, order.cycles)
        return Loaded(load, counts, decoder, "given, front end and decoder together")
    costs = costs_on(compute.core)
    return Loaded(load_by_costs(counts, compute, costs), counts, decoder, "counts x cycles per count, not emulated")


def load_by_costs(counts: Counts, compute: ComputePart, costs: CoreCosts) -> DecoderLoad:
    """Counts times costs, with how far that may be off."""
    load = _load(counts, compute, front_end_cycles(counts, costs), decoder_cycles(counts, costs))
    return load.model_copy(update={"cycles_factor": costs.error_factor()})


def counts_for(order: BudgetOrder) -> Counts:
    """The decoder's counts; raises InputError where there is no decoder, or two."""
    if order.decoder is not None and order.counts is not None:
        raise InputError("a decoder and counts were both given, and a decoder has its own; leave one of them out")
    if order.decoder is not None:
        return read_counts(order.decoder)
    if order.counts is None:
        raise InputError(
            "no decoder was given; add --decoder with a bundle's folder or a decoder's .toml, or --channels and --macs"
        )
    return order.counts


def _target_report(path: Path, compute: ComputePart) -> _Run:
    found = load_json(path, Written).schema_version
    if not found.startswith("edgebci.target_report/"):
        raise InputError(
            f"{path} is {found or 'of no schema'}, not a run; give what edgebci run-on-target --json printed"
        )
    report = load_json(path, _Run)
    if report.core != compute.core:
        raise InputError(
            f"{path} is a run on {report.core}, {compute.name} has a {compute.core}; "
            f"run the bundle again with --core {compute.core}, or choose another part"
        )
    return report


@dataclass(frozen=True)
class RunCost:
    """What an emulated run took: cycles of a step and of its front end in the mean, of the worst step, and bytes."""

    front_end_cycles: float
    step_cycles: float
    worst_cycles: float
    flash_bytes: int
    ram_bytes: int


def loaded_by_run(order: BudgetOrder, compute: ComputePart, cost: RunCost, said: str) -> Loaded:
    """The load of a decoder whose cycles an emulated run gave; `said`: where from. Raises InputError as `load_of`."""
    counts = counts_for(order)
    decoder = order.decoder.name if order.decoder else "as typed"
    return Loaded(_emulated(counts, compute, cost), counts, decoder, said)


def _emulated(counts: Counts, compute: ComputePart, cost: RunCost) -> DecoderLoad:
    load = _load(counts, compute, cost.front_end_cycles, cost.step_cycles - cost.front_end_cycles)
    sizes = {"flash_bytes": cost.flash_bytes, "ram_bytes": cost.ram_bytes}
    return load.model_copy(update=sizes | {"worst_cycles_per_frame": cost.worst_cycles})


def _cost_of(report: _Run) -> RunCost:
    steps = {step.name: step for step in report.step_cycles}
    whole, front = steps["step"], steps["front end"]
    return RunCost(
        front_end_cycles=front.mean_cycles,
        step_cycles=whole.mean_cycles,
        worst_cycles=float(whole.worst_cycles),
        flash_bytes=report.flash_bytes,
        ram_bytes=report.ram_bytes,
    )


def _load(counts: Counts, compute: ComputePart, front_end: float, decoder: float) -> DecoderLoad:
    return DecoderLoad(
        core=compute.core,
        cycles_per_frame=front_end + decoder,
        worst_cycles_per_frame=front_end + decoder,
        front_end_cycles_per_frame=front_end,
        frame_rate_hz=counts.frame_rate_hz,
        n_channels=counts.n_channels,
        rate_hz=counts.rate_hz,
        flash_bytes=counts.weight_bytes,
        ram_bytes=counts.state_bytes,
        feature_bits_per_frame=FEATURE_BITS * counts.features,
        output_bits_per_frame=OUTPUT_BITS * counts.n_outputs,
    )
