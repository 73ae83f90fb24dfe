"""The README's picture of a synthetic spectrum beside a real one, and the slope of both."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgebci.pipeline.proof.claim import CannotMeasureError, Place
from edgebci.pipeline.proof.figure import Figure
from edgebci.progress import Progress, part
from edgebci.recordings import open_recording
from edgebci.recordings.conversion import convert
from edgebci.synthetic import SyntheticSpec, synthesize
from edgebci.synthetic.figure import LONGEST_S, spectrum_figure
from edgebci.synthetic.spectra import spectrum

SPECTRUM_PICTURE = Path("examples", "synthetic_spectrum.svg")
SEED = 101
BAND_HZ, MAINS_HZ = (20.0, 100.0), 50.0
"""Above theta, which only one of them has, and below what a recorder at 250 S/s carries."""


def measure_spectrum(place: Place, progress: Progress) -> tuple[Figure, ...]:
    """Draw both spectra into examples/ and compare how they fall with frequency."""
    if place.recording is None:
        raise CannotMeasureError("there is no real recording to compare with")
    synthetic, real = place.folder / "synthetic.h5", place.folder / "real.h5"
    convert(place.recording, real)
    synthesize(SyntheticSpec(seed=SEED, duration_s=LONGEST_S), synthetic, part(progress, 0.1, 0.8))
    progress(0.8, "spectra")
    spectrum_figure(synthetic, real, place.checkout / SPECTRUM_PICTURE)
    slopes = {"synthetic": _slope(synthetic), "real": _slope(real)}
    areas = {"synthetic": "as of motor cortex", "real": "hippocampus and entorhinal cortex"}
    synthetic.unlink()
    real.unlink()
    return tuple(
        Figure(
            name=f"slope_{name}",
            label=f"x of a density that falls as 1/f^x, {BAND_HZ[0]:g} to {BAND_HZ[1]:g} Hz, {name}",
            value=slope,
            evidence="measured",
            note=areas[name],
        )
        for name, slope in slopes.items()
    )


def _slope(path: Path) -> float:
    with open_recording(path) as recording:
        rate_hz = recording.info.lfp_rate_hz
        lfp_uv = recording.lfp_uv(0, min(recording.info.n_samples, round(LONGEST_S * rate_hz)))
    return spectrum(np.nan_to_num(lfp_uv), rate_hz).slope(*BAND_HZ, MAINS_HZ)
