"""How often the gate is wrong: its self-test on the quickstart's residuals, one figure for each kind and length."""

from __future__ import annotations

from edgebci.files import write_text
from edgebci.pipeline.gating.command import GateOrder
from edgebci.pipeline.gating.self_test import (
    FALSE_ALARMS_GOAL,
    FOUND_GOAL,
    FOUND_MINUTES,
    REQUESTS,
    SelfTest,
    SimulatedKind,
)
from edgebci.pipeline.gating.self_test_source import run_self_test
from edgebci.pipeline.proof.claim import Claim, Place
from edgebci.pipeline.proof.figure import Figure, slug
from edgebci.pipeline.proof.sources import Sources
from edgebci.progress import Progress

PIPELINE = "examples/quickstart.toml"
SELF_TEST_NAME = "gate.self_test.json"
MINUTES = 90.0


def gate_claim(aside: tuple[str, ...]) -> Claim:
    """The claim; `aside`: files that no figure depends on."""
    return Claim(
        name="gate",
        title="The gate's own quality",
        command=f"edgebci gate --self-test --pipeline {PIPELINE}",
        sources=Sources(
            ("edgebci.pipeline.gating.self_test", "edgebci.pipeline.gating.self_test_source"),
            ("edgebci/pipeline/proof/gate_claim.py", PIPELINE),
            aside,
        ),
        minutes=MINUTES,
        measure=measure_gate,
    )


def measure_gate(place: Place, progress: Progress) -> tuple[Figure, ...]:
    """Run the pipeline, if need be, and 2,000 pull requests of each kind through the gate."""
    order = GateOrder(place.checkout / PIPELINE, place.folder / "baseline.json", out=place.folder / "runs")
    found = run_self_test(order, REQUESTS, progress)
    write_text(place.folder / SELF_TEST_NAME, found.model_dump_json(indent=1) + "\n")
    return gate_figures(found)


def gate_figures(found: SelfTest) -> tuple[Figure, ...]:
    """The two goals, then every row."""
    alarms, weakest = found.worst_false_alarms(), found.weakest_found()
    kept = "kept" if alarms.upper() <= FALSE_ALARMS_GOAL else "MISSED"
    figures = [
        Figure(
            name="false_alarms_upper",
            label="gate: upper 95 % bound of false alarms, worst kind of pull request that changes bytes only",
            value=100 * alarms.upper(),
            unit="%",
            evidence="measured",
            note=(
                f"{alarms.failed} of {alarms.requests:,}, {alarms.name}, {alarms.minutes:g} min; goal "
                f"{FALSE_ALARMS_GOAL:.0%} {kept}"
            ),
        )
    ]
    if weakest is not None:
        said = "reached" if weakest.failed_share >= FOUND_GOAL else "MISSED"
        figures.append(
            Figure(
                name="found_at_least",
                label=f"gate: losses of {found.loss:g} R² found in {FOUND_MINUTES:g} min, weakest kind asked of",
                value=100 * weakest.failed_share,
                unit="%",
                evidence="measured",
                note=f"{weakest.name}; goal {FOUND_GOAL:.0%} {said}; errors correlated up to 0.3 s, no drift",
            )
        )
    return (*figures, *map(_figure, found.kinds))


def _figure(one: SimulatedKind) -> Figure:
    what = "false alarms" if one.truth == "no change" else "found"
    undecided, passed = one.undecided / one.requests, one.passed / one.requests
    return Figure(
        name=slug(f"{one.name} {one.truth} {one.minutes:g} min"),
        label=f"{one.name}, {one.minutes:g} min: {what}",
        value=100 * one.failed_share,
        unit="%",
        evidence="measured",
        note=f"undecided {undecided:.1%}, passed {passed:.1%}, of {one.requests:,}",
        headline=False,
    )
