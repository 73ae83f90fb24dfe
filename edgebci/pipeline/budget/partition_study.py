"""`edgebci budget --compare partitions`: where the work is split, for how many channels, over which radio.

All at equal noise density, and again with the noise as dense as each signal's R2 allows. A partition that the radio
does not carry has no power. No winner is named from power alone: see `accuracy`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from edgebci.documents import Document
from edgebci.firmware_sim.design import Design
from edgebci.firmware_sim.implant_report import ReportedInput, Verdict
from edgebci.firmware_sim.monte_carlo import Spread, spread
from edgebci.firmware_sim.signal_paths import (
    SignalPath,
    amplifier_uw,
    converter_uw,
    core_uw,
    cores,
    path_radio_uw,
    path_total_uw,
    path_utilization,
    payload_bits,
)
from edgebci.firmware_sim.uncertainty import Estimate, Pick, estimate, typical
from edgebci.hardware import ComputePart, Implant, Radio, load_profile, profile_names
from edgebci.pipeline.budget.accuracy import Contender, Measured, decide, find
from edgebci.pipeline.budget.answer import design_of
from edgebci.pipeline.budget.coding import CodedData, coded_bits, measure_coding
from edgebci.pipeline.budget.cycle_costs import costs_on
from edgebci.pipeline.budget.load import load_of
from edgebci.pipeline.budget.order import BudgetOrder
from edgebci.pipeline.budget.partition_paths import PARTITIONS, Ingredients, PartitionName, paths_for
from edgebci.quantity import quantities

CHANNELS = (32, 96, 256, 1024, 4096, 10_000)
_DRAWS = 200
NOTE = (
    "Equal noise density unless said otherwise; the implant's amplifier, converter and supply per channel; standing "
    "power and size as in its profile for any number of channels; as many cores as the cycles need; moving streamed "
    "samples counts no cycles. R2 is taken as measured, for the numbers of channels that its file says."
)


class PartitionPower(Document):
    """One partition with so many channels over one radio; `total` is None where the link cannot carry it."""

    partition: PartitionName
    n_channels: int
    radio: str
    payload_bits_per_s: float
    carried: Verdict
    amplifier_uw: float
    converter_uw: float
    core_uw: float
    radio_uw: float
    cores: Estimate
    noise_ratio: float
    total: Estimate | None
    relaxed_total: Estimate | None
    """With noise as dense as costs 0.01 of R2; None where no ratio was given."""
    r2: float | None


class Winner(Document):
    """Who wins with so many channels over one radio, and by how much; nobody without measured accuracy."""

    n_channels: int
    radio: str
    noise: str
    winner: PartitionName | None
    against: PartitionName | None
    ratio: Spread | None
    """Power of the winner over that of the other."""
    reason: str


class PartitionStudy(Document):
    """The whole comparison. Inputs that no public source supports come first; every figure is modelled."""

    assumed_inputs: tuple[ReportedInput, ...]
    implant: str
    implant_scope: str
    compute: str
    note: str = NOTE
    accuracy: str
    """Where the accuracies are from, or that none was given."""
    coding: tuple[CodedData, ...]
    rows: tuple[PartitionPower, ...]
    winners: tuple[Winner, ...]


def compare_partitions(
    order: BudgetOrder,
    measured: Sequence[Measured] = (),
    recordings: Sequence[Path] = (),
    channels: Sequence[int] = CHANNELS,
    radios: Sequence[str] | None = None,
) -> PartitionStudy:
    """Compare every partition for every number of channels over every radio.

    Raises:
        InputError: as `budget`; or a recording that cannot be coded for any stream.
    """
    loaded = load_of(order, load_profile(ComputePart, order.compute))
    design = design_of(loaded.load, order)
    coding = measure_coding(recordings, load_profile(Implant, order.implant), loaded.counts)
    parts = Ingredients(loaded.counts, costs_on(design.compute.core), coded_bits(coding))
    names = radios or profile_names(Radio)
    designs = {name: _with_radio(design, load_profile(Radio, name)) for name in names}
    names_of = {name: placed.input_names() for name, placed in designs.items()}
    rows: list[PartitionPower] = []
    winners: list[Winner] = []
    for n in channels:
        paths = paths_for(n, parts)
        for placed in designs.values():
            here = [_row(placed, path, measured, names_of[placed.radio.name]) for path in paths]
            rows += here
            winners += _winners(placed, paths, here)
    return PartitionStudy(
        assumed_inputs=_assumed(tuple(designs.values()), rows),
        implant=design.implant.name,
        implant_scope=design.implant.scope,
        compute=design.compute.name,
        accuracy=_accuracy(measured),
        coding=coding,
        rows=tuple(rows),
        winners=tuple(winners),
    )


def _accuracy(measured: Sequence[Measured]) -> str:
    if not measured:
        return (
            "no accuracy was given, so nobody is said to win: give --accuracy with the report.json of edgebci run, the "
            "simulation.json of edgebci simulate or a .toml, or --r2"
        )
    rows = [
        f"{one.partition} R2 {one.r2:.3g}"
        + (f" with {one.n_channels} channels" if one.n_channels else " for any number of channels")
        + (f", noise {one.noise_ratio:.3g} times as dense for 0.01 less" if one.noise_ratio > 1 else "")
        for one in measured
    ]
    return f"{'; '.join(rows)}; from {', '.join(sorted({one.source for one in measured}))}"


def _with_radio(design: Design, radio: Radio) -> Design:
    return Design(design.implant, design.compute, radio, design.tissues, design.load, design.work)


def _row(
    design: Design, path: SignalPath, measured: Sequence[Measured], own_names: Mapping[int, str]
) -> PartitionPower:
    names = dict(own_names) | {
        id(quantity): f"{path.signal.name}.{where}" for where, quantity in quantities(path.signal).items()
    }
    use = estimate(lambda pick: path_utilization(design, path, pick), "1", names)
    carried: Verdict = "yes" if use.high <= 1 else "no" if use.low > 1 else "depends"
    found = find(measured, path.name, path.n_channels)
    relaxed = _relaxed(path, found)

    def total(one: SignalPath | None) -> Estimate | None:
        if one is None or carried == "no":
            return None
        return estimate(lambda pick: path_total_uw(design, one, pick), "uW", names)

    return PartitionPower(
        partition=_name(path),
        n_channels=path.n_channels,
        radio=design.radio.name,
        payload_bits_per_s=payload_bits(design, path) * design.load.frame_rate_hz,
        carried=carried,
        amplifier_uw=amplifier_uw(design, path, typical),
        converter_uw=converter_uw(design, path, typical),
        core_uw=core_uw(design, path, typical),
        radio_uw=path_radio_uw(design, path, typical),
        cores=estimate(lambda pick: cores(design, path, pick), "1", names),
        noise_ratio=relaxed.noise_ratio if relaxed else 1.0,
        total=total(path),
        relaxed_total=total(relaxed),
        r2=found.r2 if found else None,
    )


def _name(path: SignalPath) -> PartitionName:
    return next(name for name in PARTITIONS if name == path.name)


def _relaxed(path: SignalPath, found: Measured | None) -> SignalPath | None:
    """The same with noise as dense as was measured to cost 0.01 of R2."""
    if found is None or found.noise_ratio == 1.0:
        return None
    return replace(path, noise_ratio=found.noise_ratio)


def _winners(design: Design, paths: Sequence[SignalPath], rows: Sequence[PartitionPower]) -> list[Winner]:
    """At equal noise density; and with relaxed noise, where that was measured for some partition."""
    by_name = {path.name: path for path in paths}
    found = [_winner(design, by_name, rows, relaxed=False)]
    if any(row.relaxed_total for row in rows):
        found.append(_winner(design, by_name, rows, relaxed=True))
    return found


def _winner(design: Design, paths: Mapping[str, SignalPath], rows: Sequence[PartitionPower], relaxed: bool) -> Winner:
    powers = {row.partition: (row.relaxed_total if relaxed else None) or row.total for row in rows}
    ratios = {row.partition: row.noise_ratio if relaxed else 1.0 for row in rows}
    r2 = {row.partition: row.r2 for row in rows}
    outcome = decide([Contender(name, power.typical, r2[name]) for name, power in powers.items() if power])
    ratio = None
    if outcome.winner and outcome.against:
        first, other = (replace(paths[name], noise_ratio=ratios[name]) for name in (outcome.winner, outcome.against))

        def quotient(pick: Pick) -> float:
            return path_total_uw(design, first, pick) / path_total_uw(design, other, pick)

        ratio = spread(quotient, "1", draws=_DRAWS)
    return Winner(
        n_channels=rows[0].n_channels,
        radio=rows[0].radio,
        noise="relaxed until R2 is 0.01 lower" if relaxed else "equal density",
        winner=outcome.winner,
        against=outcome.against,
        ratio=ratio,
        reason=outcome.reason,
    )


def _assumed(designs: Sequence[Design], rows: Sequence[PartitionPower]) -> tuple[ReportedInput, ...]:
    used = {influence.input for row in rows if row.total for influence in row.total.inputs}
    found: dict[str, ReportedInput] = {}
    for design in designs:
        names = design.input_names()
        for profile in (design.implant, design.compute, design.radio):
            for q in quantities(profile).values():
                if q.evidence_class == "assumed" and names[id(q)] in used:
                    name = names[id(q)].replace("radio.", f"{design.radio.name}.", 1)
                    found[name] = ReportedInput(
                        name=name, low=q.low, typical=q.typical, high=q.high, unit=q.unit, source=q.source
                    )
    return tuple(found.values())
