"""Measuring the table of `cycle_costs`: decoders of each cell are generated, compiled, emulated, and divided."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
from scipy.optimize import nnls

from edgebci.decoder_spec import DecoderSpec
from edgebci.edge_student import EdgeStudent
from edgebci.features.specification import Adc, Band, FeatureSpec
from edgebci.hardware import Core
from edgebci.operators.cells import CellKind
from edgebci.pipeline.budget.coder_cycles import coder_cycles
from edgebci.pipeline.budget.counts import Counts, counts_of, decoder_cycles, front_end_cycles
from edgebci.pipeline.budget.cycle_costs import CoreCosts
from edgebci.pipeline.front_end_cost import FrontEndCost, measure_front_end
from edgebci.progress import Progress, part, silent

CELLS: tuple[CellKind, ...] = get_args(CellKind)
CORES: tuple[Core, ...] = ("cortex-m4f", "cortex-m33", "cortex-m7")
"""Those that are emulated here with a model of their cycles."""
_CORNERS = ((4, 12), (12, 30), (30, 70), (70, 300))
_FRAMES = 10


@dataclass(frozen=True)
class Program:
    """One of the programs that the table is fitted to: what it computes, and the cycles of one frame."""

    counts: Counts
    front_end: float
    decoder: float


def programs() -> tuple[EdgeStudent, ...]:
    """Small decoders that differ in what the table has a cost for: channels, bands and their order, cell and width."""
    mamba2 = [_student("mamba2", *size) for size in ((96, 4, 2, 64), (32, 1, 2, 64), (32, 2, 4, 32), (16, 4, 2, 96))]
    sizes = ((32, 2, 2, 32), (32, 4, 1, 64), (32, 4, 3, 64), (8, 4, 4, 96))
    others: tuple[CellKind, ...] = ("s4d", "gru")
    return (*mamba2, *(_student(cell, *size) for cell in others for size in sizes))


def measure_cores(progress: Progress = silent) -> tuple[CoreCosts, ...]:
    """Measure every core of `CORES`; raises InputError where the compiler is missing."""
    return tuple(
        measure_core(core, part(progress, k / len(CORES), (k + 1) / len(CORES))) for k, core in enumerate(CORES)
    )


def measure_core(core: Core, progress: Progress = silent) -> CoreCosts:
    """Run every program on an emulated core and fit.

    Raises:
        InputError: no such core, or the compiler is missing.
    """
    students, seen = programs(), []
    with tempfile.TemporaryDirectory(prefix="edgebci-budget-") as folder:
        for k, student in enumerate(students):
            progress(k / len(students), f"{core}: {student.decoder.cell}, d_model {student.decoder.d_model}")
            cost = measure_front_end(student, core, "float32", Path(folder) / str(k), _FRAMES)
            seen.append(_program(student, cost))
    return fitted(core, seen, coder_cycles(students[0], core))


def fitted(core: Core, seen: Sequence[Program], per_coded_sample: float = 0.0) -> CoreCosts:
    """Fit costs, none negative, so that relative errors are least; keeps the largest error of either part."""
    front = _least([_front_counts(p.counts) for p in seen], [p.front_end for p in seen])
    back = _least([_decoder_counts(p.counts) for p in seen], [p.decoder for p in seen])
    n = len(CELLS)
    costs = CoreCosts(
        core=core,
        per_sample=front[0],
        per_section=front[1],
        per_feature=front[2],
        per_mac=back[0],
        per_row=dict(zip(CELLS, back[1 : n + 1], strict=True)),
        per_state=dict(zip(CELLS, back[n + 1 :], strict=True)),
        per_coded_sample=round(per_coded_sample, 3),
        largest_error=0.0,
    )
    return costs.model_copy(update={"largest_error": round(max(_error(p, costs) for p in seen), 4)})


def _front_counts(counts: Counts) -> list[float]:
    samples = counts.n_channels * counts.samples_per_frame
    return [samples, samples * counts.sections, counts.features]


def _decoder_counts(counts: Counts) -> list[float]:
    of_cell = [float(counts.cell == cell) for cell in CELLS]
    return [counts.macs, *(counts.rows * one for one in of_cell), *(counts.states * one for one in of_cell)]


def _least(counts: Sequence[Sequence[float]], cycles: Sequence[float]) -> list[float]:
    found, _ = nnls(np.array(counts) / np.array(cycles)[:, None], np.ones(len(cycles)))
    return [round(float(cost), 3) for cost in found]


def _error(program: Program, costs: CoreCosts) -> float:
    """Of front end or decoder, whichever is larger, relative."""
    front = front_end_cycles(program.counts, costs) / program.front_end
    return max(abs(front - 1), abs(decoder_cycles(program.counts, costs) / program.decoder - 1))


def _program(student: EdgeStudent, cost: FrontEndCost) -> Program:
    rate_hz = student.features.frame_rate_hz
    counts = counts_of(student.features, student.decoder, student.n_channels)
    return Program(counts, cost.front_end / rate_hz, cost.decoder / rate_hz)


def _student(cell: CellKind, n_channels: int, n_bands: int, order: int, d_model: int) -> EdgeStudent:
    bands = tuple(Band(low_hz=low, high_hz=high, order=order) for low, high in _CORNERS[:n_bands])
    spec = FeatureSpec(rate_hz=1000, frame_rate_hz=50, adc=Adc(), bands=bands)
    decoder = DecoderSpec(
        n_inputs=n_channels * n_bands, output_names=("x", "y"), output_unit="1", d_model=d_model, cell=cell
    )
    return EdgeStudent(schema="edgebci.edge_student/1", n_channels=n_channels, features=spec, decoder=decoder)
