"""One decoder, fitted once from one seed; what it decoded of the recording is kept."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgebci.checkpoint import read_tensors, write_tensors
from edgebci.decoding_data import DecodingData, Floats
from edgebci.documents import Document
from edgebci.pipeline.cache import run_stage, source_digest
from edgebci.pipeline.evaluation.entrants import SOURCES, Entrant
from edgebci.progress import Progress, part
from edgebci.training.baselines.baseline import Costs

DECODED_NAME = "decoded.safetensors"


class TrialHeader(Document):
    """What one trial was."""

    schema_version: Literal["edgebci.evaluation_trial/1"] = "edgebci.evaluation_trial/1"
    decoder: str
    seed: int
    seconds: float
    """Of fitting."""
    costs: Costs


@dataclass(frozen=True, eq=False)
class Trial:
    """What a fitted decoder said of every frame (K, D), what it costs, and how long fitting took."""

    decoded: Floats
    costs: Costs
    seconds: float | None


def trials(
    entrant: Entrant, data: DecodingData, seeds: tuple[int, ...], root: Path, progress: Progress
) -> tuple[Trial, ...]:
    """A trial for each seed, one alone where chance plays no part; finished ones are read from `root`."""
    wanted = seeds if entrant.is_random else seeds[:1]
    return tuple(_trial(entrant, data, seed, root, progress) for seed in wanted)


def _trial(entrant: Entrant, data: DecodingData, seed: int, root: Path, progress: Progress) -> Trial:
    where = f"{entrant.name}, seed {seed}" if entrant.is_random else entrant.name

    def report(fraction: float, note: str) -> None:
        progress(fraction, f"{where}: {note}")

    teacher = entrant.teacher(seed, part(report, 0.0, 0.5)) if entrant.teacher else None

    def work(folder: Path) -> None:
        started = time.perf_counter()
        fitted = entrant.fit(data, seed, folder, part(report, 0.5, 1.0) if teacher else report)
        seconds = time.perf_counter() - started
        header = TrialHeader(decoder=entrant.name, seed=seed, seconds=seconds, costs=fitted.costs)
        write_tensors(folder / DECODED_NAME, {"decoded": fitted.predict(data)}, header)

    name = f"seed_{seed}" if entrant.is_random else "once"
    inputs = [data.fingerprint("train", "validation", "test"), entrant.identity, str(seed)]
    stage = run_stage(root / entrant.name, name, inputs, work, source_digest(*SOURCES))
    arrays, header = read_tensors(stage.folder / DECODED_NAME, TrialHeader)
    seconds = header.seconds + (teacher.seconds if teacher and entrant.is_teacher else 0.0)
    return Trial(arrays["decoded"], header.costs, seconds if entrant.is_trained else None)
