"""Does a decoder that nobody has trained yet fit an implant? Counts and profiles answer; nothing is run.

As `edgebci budget --decoder examples/edge_student.toml`, in several places:

.venv/bin/python examples/implant_budget.py
"""

from __future__ import annotations

import argparse
from pathlib import Path

from edgebci.firmware_sim.uncertainty import Estimate
from edgebci.pipeline.budget.answer import budget
from edgebci.pipeline.budget.order import BudgetOrder

DECODER = Path(__file__).parent / "edge_student.toml"
PLACES = (
    ("utah96-lfp", "stm32l4r5", "ble-2m"),
    ("utah96-lfp", "stm32u575", "ble-2m"),
    ("brown-wireless-device", "nrf52840", "ble-2m"),
)


def span(estimate: Estimate, digits: int = 3) -> str:
    """typical (low to high)."""
    return f"{estimate.typical:.{digits}g} ({estimate.low:.{digits}g} to {estimate.high:.{digits}g})"


def main() -> None:
    """Print power, time and heat of each place, what dominates, and how many numbers are assumed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--decoder", type=Path, default=DECODER, help="sizes, or a bundle's folder")
    decoder = parser.parse_args().decoder
    for implant, compute, radio in PLACES:
        answer = budget(BudgetOrder(implant=implant, compute=compute, radio=radio, decoder=decoder))
        report = answer.report
        dominant = report.total.dominated_by
        lines = [
            f"{implant} with {compute} and {radio}: does it fit? {answer.fits}",
            f"  power, modelled:  {span(report.total)} {report.total.unit}",
            f"  worst step:       {span(report.step.worst_step_ms)} ms of {report.step.deadline_ms:g} ms",
            *(f"  {w.location} warmer by: {span(w.rise_c)} °C, limit {w.limit_c:g} °C" for w in report.warming),
            f"  widest input:     {dominant.input if dominant else 'none'}",
            f"  assumed numbers:  {len(report.assumed_inputs)}",
        ]
        print("\n".join(lines))  # noqa: T201 (an example prints)


if __name__ == "__main__":
    main()
