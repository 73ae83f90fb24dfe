"""The folder of a simulation: report.json and its pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgebci.files import replacing_folder, write_text
from edgebci.pipeline.simulation.run import CLEAN, DEGRADED, Simulated
from edgebci.reporting.simulation_figure import Span, traces_svg

SHOWN_S = 30.0
REPORT, TRACES = "simulation.json", "traces.svg"


def write_simulation(simulated: Simulated, folder: Path) -> tuple[str, ...]:
    """Write everything into `folder`, in place of what lay there; returns the names of the files."""
    files = {REPORT: simulated.report.model_dump_json(indent=2) + "\n", TRACES: traces(simulated)}
    with replacing_folder(folder) as fresh:
        for name, text in files.items():
            write_text(fresh / name, text)
    return tuple(files)


def traces(simulated: Simulated) -> str:
    """Half a minute of what was decoded, around the first event if there is one."""
    truth, events = simulated.truth, simulated.report.front_end.events
    counted = np.flatnonzero(truth.counted)
    seconds = truth.times_s - truth.times_s[0]
    first_s = max(min(e.at_s for e in events) - SHOWN_S / 6, 0.0) if events else float(seconds[counted[0]])
    shown = (seconds >= first_s) & (seconds < first_s + SHOWN_S)
    decoded = {name: simulated.played[name].held()[shown] for name in (CLEAN, DEGRADED)}
    spans = [Span(e.kind.replace("_", " "), e.at_s, e.end_s) for e in events if first_s <= e.at_s < first_s + SHOWN_S]
    return traces_svg(seconds[shown], truth.values[shown], decoded, truth.axis_names, truth.unit, spans)
