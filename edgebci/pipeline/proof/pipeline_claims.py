"""Whole runs: the synthetic quickstart, of which the README shows a trace, and the rat."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from edgebci.files import write_text
from edgebci.pipeline.configuration import load_pipeline
from edgebci.pipeline.device import load_device
from edgebci.pipeline.preparation import load_prepared
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
from edgebci.pipeline.scoring import TestPart
from edgebci.progress import Progress
from edgebci.reporting.figures import traces_svg
from edgebci.reporting.schema import Report
from edgebci.reporting.sections import Traces
from edgebci.reporting.sentences import DEVICE_FORM

RUN, TRACE_PICTURE = "run", Path("examples", "decoded_trace.svg")
# A README is read on white and on black; the page's own colour is not known there.
INK = "#808080"


def measure_quickstart(place: Place, progress: Progress) -> tuple[Figure, ...]:
    """Everything that the newcomer's run gives."""
    report, elapsed_s = _run(place, "quickstart.toml", progress)
    draw_trace(place.folder / RUN, report, place.checkout / TRACE_PICTURE)
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
    report = run_pipeline(config, place.folder / RUN, f"edgebci run examples/{name}", progress)
    return report, time.perf_counter() - started


def draw_trace(run: Path, report: Report, out_svg: Path) -> None:
    """Draw what the device program decoded over the truth, from the stages of a finished run."""
    prepared = load_prepared(run / "features")
    test = TestPart.of(prepared.data, prepared.usable)
    decoded = load_device(run / "device").outputs.astype(np.float64)
    traces = Traces(test.times_s, test.truth, {DEVICE_FORM: decoded})
    svg = traces_svg(traces, report.data.axes, report.data.target_unit)
    write_text(out_svg, svg.replace("currentColor", INK))
