"""The front end: how exact single precision is, and how long the reference takes."""

from __future__ import annotations

from itertools import product

import numpy as np

from edgebci.edge_student import EdgeStudent, lfp_like_counts, load_edge_student
from edgebci.features.cases import front_end_for
from edgebci.features.precision import OFFSET_UV, float32_error_db, hard_spec, one_over_f_counts
from edgebci.features.stream import FeatureStream, Normalizer
from edgebci.pipeline.proof.claim import Place, seconds_of, timed
from edgebci.pipeline.proof.figure import Figure
from edgebci.progress import Progress

MINUTES, CHUNK_S, REPEATS = 10, 10, 3


def measure_features(place: Place, progress: Progress) -> tuple[Figure, ...]:
    """Error against float64 under an offset, and seconds of the float64 reference."""
    progress(0.0, "float32 against float64")
    spec = hard_spec()
    errors_db = float32_error_db(spec, one_over_f_counts(spec.adc, spec.rate_hz))
    worst = divmod(int(errors_db.argmax()), errors_db.shape[1])
    each = product(range(len(spec.kinds)), range(errors_db.shape[1]))
    details = (_detail(f"error_db_{spec.kinds[i]}_{channel}", float(errors_db[i, channel])) for i, channel in each)
    student = load_edge_student(place.checkout / "examples" / "edge_student.toml")
    seconds = []
    for i in range(REPEATS):
        progress(0.6 + 0.4 * i / REPEATS, "timing the reference")
        seconds.append(_reference_seconds(student))
    return (
        Figure(
            name="float32_error_db",
            label=f"largest error of float32 filters against float64, 1/f signal offset by {OFFSET_UV / 1e3:g} mV",
            value=float(errors_db.max()),
            unit="dB",
            evidence="measured",
            note=f"{spec.kinds[worst[0]]} at {spec.rate_hz:g} Hz; at most -60 dB is allowed",
        ),
        timed("seconds", f"features of {MINUTES} min of {student.n_channels} channels, float64 reference", seconds),
        *details,
    )


def _reference_seconds(student: EdgeStudent) -> float:
    """Features and normalisation, chunk by chunk; the same chunk again and again, since only time counts here."""
    spec = student.features
    stream = FeatureStream(spec, np.ones(student.n_channels, dtype=bool))
    normalizer = Normalizer(front_end_for(spec, np.ones(student.n_channels, dtype=bool)))
    counts = lfp_like_counts(student, round(CHUNK_S * spec.frame_rate_hz), seed=1)

    def work() -> None:
        for _ in range(MINUTES * 60 // CHUNK_S):
            normalizer.push(stream.push(counts))

    return seconds_of(work)


def _detail(name: str, error_db: float) -> Figure:
    return Figure(
        name=name.lower().replace(".", "p"), label=name, value=error_db, unit="dB", evidence="measured", headline=False
    )
