"""Synthetic recordings: how long one takes, and whether those of seeds that nobody tuned on are acceptable."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from edgebci.documents import Document, load_json
from edgebci.files import write_text
from edgebci.pipeline.proof.claim import Place, seconds_of, timed
from edgebci.pipeline.proof.figure import Figure, slug
from edgebci.progress import Progress, part
from edgebci.synthetic import SyntheticSpec, synthesize
from edgebci.synthetic.acceptance import Judged, judge

SEEDS = (101, 102, 103)
HEADLINES = ("Wiener filter on spikes", "ridge on LFP", "ridge on LFP, labels shuffled")
TOLD_BY_LABEL = ("1", "R2")


class JudgedRecording(Document):
    """What one seed gave."""

    schema_version: Literal["edgebci.judged/1"] = "edgebci.judged/1"
    seconds: float
    figures: tuple[Judged, ...]


def measure_synthetic(place: Place, progress: Progress) -> tuple[Figure, ...]:
    """Make and judge one recording for each seed."""
    judged = [
        _judged(place.folder, seed, part(progress, i / len(SEEDS), (i + 1) / len(SEEDS)))
        for i, seed in enumerate(SEEDS)
    ]
    spec = SyntheticSpec()
    size = f"{spec.duration_s / 60:g} min of {spec.n_channels} channels at {spec.rate_hz:g} Hz"
    every = [figure for recording in judged for figure in recording.figures]
    return (
        timed("seconds", f"making {size}", [recording.seconds for recording in judged]),
        Figure(
            name="accepted",
            label=f"acceptance figures inside their bands, {len(SEEDS)} unseen seeds",
            value=sum(figure.passed for figure in every),
            unit=f"of {len(every)}",
            evidence="counted",
        ),
        *(_over_seeds(figures) for figures in zip(*(recording.figures for recording in judged), strict=True)),
    )


def _judged(folder: Path, seed: int, progress: Progress) -> JudgedRecording:
    """Judge the recording of one seed; a finished one is kept when an interrupted proof is repeated."""
    kept, recording = folder / f"seed_{seed}.json", folder / "recording.h5"
    if not kept.exists():
        spec = SyntheticSpec(seed=seed)
        seconds = seconds_of(lambda: synthesize(spec, recording, part(progress, 0.0, 0.5)))
        figures = judge(recording, part(progress, 0.5, 1.0)).figures
        recording.unlink()
        write_text(kept, JudgedRecording(seconds=seconds, figures=figures).model_dump_json(indent=1))
    return load_json(kept, JudgedRecording)


def _over_seeds(figures: Sequence[Judged]) -> Figure:
    first, values = figures[0], [figure.value for figure in figures]
    passed = sum(figure.passed for figure in figures)
    return Figure(
        name=slug(first.name),
        label=first.name,
        value=statistics.median(values),
        low=min(values),
        high=max(values),
        unit="" if first.unit in TOLD_BY_LABEL else first.unit,
        evidence="measured",
        note=f"accepted {first.low:g} to {first.high:g}: {passed} of {len(values)} seeds",
        headline=first.name in HEADLINES,
    )
