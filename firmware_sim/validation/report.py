"""Everything that the models of power are held against, with the bounds that were set beforehand: met or missed."""

from __future__ import annotations

import statistics

from edgebci.documents import Document
from edgebci.firmware_sim.validation.cases import Cases, load_cases
from edgebci.firmware_sim.validation.devices import (
    Bookkeeping,
    Forward,
    Scaling,
    bookkeeping,
    forward,
    scaling,
)
from edgebci.firmware_sim.validation.energy_logs import EnergyLogs, EnergyPrediction, load_energy_logs, predict_energy

SUM_ERROR, INSIDE_SHARE, MEDIAN_WIDTH, ENERGY_ERROR = 0.05, 0.8, 4.0, 0.2
FITTED = (
    "Bookkeeping, forward prediction: nothing.",
    "Scaling: a straight line through the other devices of the family.",
    "Energy of an inference: the energy of a cycle, as the median over the other boards of the chip and regulator.",
)


class Bound(Document):
    """One bound, and what was reached."""

    name: str
    says: str
    reached: float
    limit: float
    met: bool
    missed_by: tuple[str, ...] = ()


class ValidationReport(Document):
    """All cases and bounds; left_out gives the reason for every device and board that is no case."""

    bounds: tuple[Bound, ...]
    bookkeeping: tuple[Bookkeeping, ...]
    forward: tuple[Forward, ...]
    scaling: tuple[Scaling, ...]
    energy: tuple[EnergyPrediction, ...]
    left_out: dict[str, str]
    fitted: tuple[str, ...] = FITTED


def validate() -> ValidationReport:
    """Hold the models against the cases that are shipped."""
    return validate_against(load_cases(), load_energy_logs())


def validate_against(cases: Cases, logs: EnergyLogs) -> ValidationReport:
    """Hold the models against these cases."""
    sums, devices, energy = bookkeeping(cases), forward(cases), predict_energy(logs)
    unpredicted = {prediction.board: prediction.left_out for prediction in energy if prediction.left_out is not None}
    return ValidationReport(
        bounds=(_sum_bound(sums), _inside_bound(devices), _width_bound(devices), *_energy_bounds(energy)),
        bookkeeping=sums,
        forward=devices,
        scaling=scaling(cases),
        energy=energy,
        left_out=cases.left_out | unpredicted,
    )


def _sum_bound(sums: tuple[Bookkeeping, ...]) -> Bound:
    errors = {case.case: abs(case.ratio - 1.0) for case in sums if case.kind != "battery"}
    return _at_most("bookkeeping", "published parts give the published total, largest error", errors, SUM_ERROR)


def _inside_bound(devices: tuple[Forward, ...]) -> Bound:
    share = statistics.mean(device.inside for device in devices)
    return Bound(
        name="forward_inside",
        says="share of devices whose published total is inside the range predicted for it",
        reached=share,
        limit=INSIDE_SHARE,
        met=share >= INSIDE_SHARE,
        missed_by=tuple(device.case for device in devices if not device.inside),
    )


def _width_bound(devices: tuple[Forward, ...]) -> Bound:
    width = statistics.median(device.width for device in devices)
    return Bound(
        name="forward_width",
        says="median width of those ranges, upper over lower end",
        reached=width,
        limit=MEDIAN_WIDTH,
        met=width <= MEDIAN_WIDTH,
    )


def _energy_bounds(energy: tuple[EnergyPrediction, ...]) -> tuple[Bound, Bound]:
    cores = [prediction for prediction in energy if prediction.accelerator is None]
    helped = [prediction for prediction in energy if prediction.accelerator is not None]
    says = "energy of an inference on a held-out board, largest error"
    return (
        _at_most("energy", f"{says}, the core computes", _energy_errors(cores), ENERGY_ERROR),
        _at_most("energy_accelerated", f"{says}, an accelerator computes", _energy_errors(helped), ENERGY_ERROR),
    )


def _energy_errors(predictions: list[EnergyPrediction]) -> dict[str, float]:
    return {
        f"{prediction.board} {benchmark}": abs(ratio - 1.0)
        for prediction in predictions
        for benchmark, ratio in prediction.ratios.items()
    }


def _at_most(name: str, says: str, errors: dict[str, float], limit: float) -> Bound:
    over = tuple(case for case, error in errors.items() if error > limit)
    return Bound(
        name=name,
        says=f"{says}; {len(errors) - len(over)} of {len(errors)} within {limit:.0%}",
        reached=max(errors.values()),
        limit=limit,
        met=not over,
        missed_by=over,
    )
