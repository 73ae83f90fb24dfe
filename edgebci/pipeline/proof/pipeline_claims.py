"""Whole runs: the synthetic quickstart and the rat."""

from __future__ import annotations

import time

from edgebci.pipeline.configuration import load_pipeline
from edgebci.pipeline.proof.claim import Place
from edgebci.pipeline.proof.figure import Figure
from edgebci.pipeline.proof.report_figures import (
    accuracy_figures,
    exactness_figures,
    implant_figures,
    program_figures,
    time_figures,
    verdict_figures,
)
from edgebci.pipeline.run import run_pipeline
from edgebci.progress import Progress
from edgebci.reporting.schema import Report


def measure_quickstart(place: Place, progress: Progress) -> tuple[Figure, ...]:
    """Everything that the newcomer's run gives."""
    report, elapsed_s = _run(place, "quickstart.toml", progress)
    return (
        *accuracy_figures(report),
        *verdict_figures(report),
        *exactness_figures(report),
        *program_figures(report),
        *implant_figures(report.implants),
        *time_figures(report, elapsed_s),
    )


def measure_rat(place: Place, progress: Progress) -> tuple[Figure, ...]:
    """How well running speed is decoded from a rat's LFP, and whether that is better than ridge."""
    report, elapsed_s = _run(place, "rat_running_speed.toml", progress)
    return (
        *accuracy_figures(report),
        *verdict_figures(report),
        *exactness_figures(report),
        *time_figures(report, elapsed_s),
    )


def _run(place: Place, name: str, progress: Progress) -> tuple[Report, float]:
    config = load_pipeline(place.checkout / "examples" / name, place.recording)
    started = time.perf_counter()
    report = run_pipeline(config, place.folder / "run", f"edgebci run examples/{name}", progress)
    return report, time.perf_counter() - started
