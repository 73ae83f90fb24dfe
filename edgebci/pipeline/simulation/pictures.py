"""The folder of a simulation: report.json and its pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgebci.files import replacing_folder, write_text
from edgebci.pipeline.simulation.accuracy import CLEAN, DEGRADED
from edgebci.pipeline.simulation.run import Simulated
from edgebci.pipeline.simulation.sweeps import Sweep
from edgebci.pipeline.simulation.truth import Truth
from edgebci.reporting.simulation_figure import Line, Span, sweep_svg, traces_svg

SHOWN_S = 30.0
REPORT, TRACES = "simulation.json", "traces.svg"


def write_simulation(simulated: Simulated, folder: Path) -> tuple[str, ...]:
    """Write everything into `folder`, in place of what lay there; returns the names of the files."""
    files = {REPORT: simulated.report.model_dump_json(indent=2) + "\n", TRACES: traces(simulated)}
    clean_r2 = simulated.report.accuracy[0].r2
    drawn = [sweep for sweep in simulated.report.sweeps if any(point.r2 is not None for point in sweep.points)]
    files |= {f"sweep_{sweep.name}.svg": sweep_picture(sweep, clean_r2) for sweep in drawn}
    if simulated.device is not None:
        files["timeline.svg"] = simulated.device.picture(simulated.report.front_end.seed)
    with replacing_folder(folder) as fresh:
        for name, text in files.items():
            write_text(fresh / name, text)
    return tuple(files)


def traces(simulated: Simulated) -> str:
    """Half a minute of what was decoded: around the first event if there is one, else where most is to be followed."""
    truth, events = simulated.truth, simulated.report.front_end.events
    seconds = truth.times_s - truth.times_s[0]
    first_s = max(min(e.at_s for e in events) - SHOWN_S / 6, 0.0) if events else float(seconds[_liveliest(truth)])
    shown = (seconds >= first_s) & (seconds < first_s + SHOWN_S)
    decoded = {name: simulated.played[name].held()[shown] for name in (CLEAN, DEGRADED)}
    spans = [Span(e.kind.replace("_", " "), e.at_s, e.end_s) for e in events if first_s <= e.at_s < first_s + SHOWN_S]
    return traces_svg(seconds[shown], truth.values[shown], decoded, truth.axis_names, truth.unit, spans)


def _liveliest(truth: Truth) -> int:
    """First frame of the half minute in which most moves, of the frames that count."""
    n = min(round(SHOWN_S * truth.rate_hz), len(truth.counted))
    power = np.where(truth.counted, np.square(truth.values).sum(axis=1), 0.0)
    total = np.concatenate([[0.0], np.cumsum(power)])
    return int(np.argmax(total[n:] - total[:-n]))


def sweep_picture(sweep: Sweep, clean_r2: float | None) -> str:
    """R2 over one property, a line for each value of the other."""
    knees = {knee.line: knee.x for knee in sweep.knees}
    lines = []
    for name in dict.fromkeys(point.line for point in sweep.points):
        xy = sorted((p.x, p.r2) for p in sweep.points if p.line == name and p.r2 is not None)
        if xy:
            xs, r2 = zip(*xy, strict=True)
            lines.append(Line(name, xs, r2, xs.index(knees[name]) if name in knees else None))
    return sweep_svg(f"R² over {sweep.name}", sweep.x_name, lines, clean_r2, logarithmic=sweep.better == "less")
