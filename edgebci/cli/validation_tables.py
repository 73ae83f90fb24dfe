"""What `edgebci profiles validate` shows to people."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgebci.firmware_sim.validation.devices import Forward
    from edgebci.firmware_sim.validation.energy_logs import EnergyPrediction
    from edgebci.firmware_sim.validation.report import Bound, ValidationReport

Table = tuple[str, list[tuple[str, str]]]


def validation_tables(report: ValidationReport) -> tuple[Table, ...]:
    """A title and two columns each: bounds first, then every case."""
    return (
        ("bounds", [(bound.name, _bound(bound)) for bound in report.bounds]),
        (
            "published parts over published total",
            [
                (case.case, f"{case.ratio:.3f}" + (" of the cell's nominal energy" if case.kind == "battery" else ""))
                for case in report.bookkeeping
            ],
        ),
        (
            "total predicted from parts of other papers (range of 95 % of draws)",
            [(case.case, _forward(case)) for case in report.forward],
        ),
        (
            "each device of a family from a line through the others, over its published power",
            [
                (f"{family.case} by {family.size}", ", ".join(f"{name} {r:.2f}" for name, r in family.ratios.items()))
                for family in report.scaling
            ],
        ),
        (
            "energy of an inference on a held-out board, predicted over logged",
            [(board.board, _energy(board)) for board in report.energy if board.ratios],
        ),
        ("left out, and why", list(report.left_out.items())),
    )


def _energy(board: EnergyPrediction) -> str:
    ratios = ", ".join(f"{name} {ratio:.2f}" for name, ratio in board.ratios.items())
    return "; ".join(filter(None, (ratios, board.accelerator, board.note)))


def _bound(bound: Bound) -> str:
    verdict = "met" if bound.met else f"MISSED by {', '.join(bound.missed_by)}"
    return f"{bound.says}: {bound.reached:.3g}, limit {bound.limit:g}: {verdict}"


def _forward(case: Forward) -> str:
    assumed = f"; assumed: {', '.join(case.assumed_parts)}" if case.assumed_parts else ""
    return (
        f"{case.typical_uw * 1e-3:.3g} ({case.low_uw * 1e-3:.3g} to {case.high_uw * 1e-3:.3g}) mW, published "
        f"{case.published_uw * 1e-3:.3g} mW: ratio {case.ratio:.2f}, {'inside' if case.inside else 'OUTSIDE'}{assumed}"
    )
