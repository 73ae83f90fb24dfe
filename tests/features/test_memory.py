"""The memory that a gap between training and test has to cover."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from edgebci.features.specification import Adc, Band, FeatureSpec, LowPass
from edgebci.features.stream import FeatureStream


def response(spec: FeatureSpec, row: int, n_frames: int) -> np.ndarray:
    """Change of each frame's feature, as power or uV, when one sample of a noise signal moves a little."""
    n_rows = n_frames * spec.samples_per_frame
    counts = np.random.default_rng(5).integers(-2000, 2000, size=(n_rows, 1), dtype=np.int32)
    changed = counts.copy()
    changed[row] += 50
    features = [FeatureStream(spec, np.ones(1, dtype=bool)).push(c).features[:, 0] for c in (counts, changed)]
    if spec.bands:
        features = [np.exp(feature) for feature in features]
    return np.abs(features[1] - features[0])


@pytest.mark.parametrize(
    "features",
    [
        {"bands": (Band(low_hz=0.5, high_hz=4),)},
        {"bands": (Band(low_hz=60, high_hz=200),), "power_tau_s": 0.5},
        {"lmp": LowPass(corner_hz=3)},
        {"raw": LowPass(corner_hz=20, order=8)},
    ],
)
def test_a_sample_is_forgotten_to_one_percent_after_the_memory(features: dict[str, object]) -> None:
    spec = FeatureSpec.model_validate({"rate_hz": 500, "adc": Adc(bits=16), **features})
    row = round(10 * spec.rate_hz)
    moved = response(spec, row, 1500)
    after = math.ceil(row / spec.samples_per_frame + spec.memory_s * spec.frame_rate_hz)
    assert moved.max() > 0
    # The square of a noise signal meets it with a random factor of up to about 3 at one time and at another.
    # And the highest frame of a low-pass may lie beside the peak of its response, at two thirds of it.
    assert moved[after:].max() < (0.03 if spec.bands else 0.015) * moved.max()
    # And the memory is no exaggeration: at half of it there is more than 1 % left.
    halfway = math.floor(row / spec.samples_per_frame + 0.5 * spec.memory_s * spec.frame_rate_hz)
    assert moved[halfway:].max() > 0.01 * moved.max()


def test_the_moment_of_power_on_is_forgotten_with_the_high_pass_and_stays_without_it() -> None:
    """Two devices switched on 0.7 s apart count from different first samples of the same slow signal."""

    def features(high_pass_hz: float, start: int) -> NDArray[np.float64]:
        spec = FeatureSpec(rate_hz=500, lmp=LowPass(corner_hz=4, high_pass_hz=high_pass_hz))
        return FeatureStream(spec, np.ones(1, dtype=bool)).push(counts[start:]).features[:, 0]

    time_s = np.arange(500 * 40)[:, None] / 500
    counts = np.rint(2000 * np.sin(2 * np.pi * 0.35 * time_s)).astype(np.int16)
    late = round(0.7 * 500)
    for high_pass_hz, largest in ((0.3, 0.01), (0.0, np.inf)):
        first, second = features(high_pass_hz, 0)[35:], features(high_pass_hz, late)
        apart = np.abs(first - second)[-500:].max() / np.abs(first).max()
        assert apart < largest
    assert apart > 0.5, "without the high-pass the difference of the first samples stays for good"


def test_the_memory_of_a_power_is_governed_by_the_slower_of_band_and_average() -> None:
    def memory_s(low_hz: float, high_hz: float, tau_s: float) -> float:
        return FeatureSpec(rate_hz=1000, bands=(Band(low_hz=low_hz, high_hz=high_hz),), power_tau_s=tau_s).memory_s

    # ln(100) time constants of an average that is much slower than the band; a frame and the band's own ringing on top.
    assert memory_s(60, 200, 10.0) == pytest.approx(math.log(100.0) * 10.0, rel=0.02)
    # A one-pole-pair ring decays with pi times the bandwidth, or slower at the low edge.
    assert memory_s(1, 4, 0.001) > math.log(100.0) / (math.pi * 3)
    assert memory_s(0.05, 0.5, 0.001) > 5 * memory_s(0.5, 5, 0.001)


def test_the_memory_is_that_of_the_slowest_feature() -> None:
    lmp, raw = LowPass(corner_hz=1), LowPass(corner_hz=20)
    together = FeatureSpec(rate_hz=500, lmp=lmp, raw=raw)
    assert together.memory_s == FeatureSpec(rate_hz=500, lmp=lmp).memory_s
    assert together.memory_s > FeatureSpec(rate_hz=500, raw=raw).memory_s
