"""Delays of features: their responses are what the reference computes, and a picture shows what happened."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable

import numpy as np
import pytest

from edgebci.features.specification import Adc, Band, FeatureSpec, LowPass
from edgebci.features.stream import FeatureStream
from edgebci.firmware_sim.design import Design
from edgebci.firmware_sim.timeline.figure import timeline_svg
from edgebci.firmware_sim.timeline.response import feature_delays, feature_responses

SPEC = FeatureSpec(
    rate_hz=1000.0,
    adc=Adc(bits=24, uv_per_count=0.01),
    reference="none",
    bands=(Band(low_hz=20.0, high_hz=60.0), Band(low_hz=80.0, high_hz=200.0, order=3)),
    floor_uv2=1e-6,
    lmp=LowPass(corner_hz=5.0),
    raw=LowPass(corner_hz=100.0, order=4, high_pass_hz=0.0),
)


@pytest.mark.parametrize("after", [0, 7, 19])
def test_a_response_is_what_one_sample_does_to_the_features_of_the_reference(after: int) -> None:
    # One sample of 10,000 uV, `after` samples before the end of a frame.
    counts = np.zeros((4000, 1), dtype=np.int32)
    counts[100 * 20 - 1 - after] = 1_000_000
    features = FeatureStream(SPEC, np.array([True])).push(counts).features
    for i, (kind, response) in enumerate(feature_responses(SPEC).items()):
        expected = response[after : after + 20 * 40 : 20]
        seen = features[99 : 99 + len(expected), i]
        if kind.startswith("power"):
            # From the logarithm back; the floor hides what is below a millionth of a square microvolt.
            np.testing.assert_allclose(np.exp(seen) - 1e-6, expected * 1e8, rtol=1e-6, atol=1e-4)
        else:
            np.testing.assert_allclose(seen, expected * 1e4, rtol=1e-6, atol=1e-6)


def test_delays_are_the_sum_of_what_delays() -> None:
    # By hand: squares wait half a frame, then for the average over frames, (1 - r) / r of them, r = 1 - exp(-20 / 100).
    wide = SPEC.model_copy(update={"bands": (Band(low_hz=10.0, high_hz=400.0, order=1),), "lmp": None, "raw": None})
    rate = -np.expm1(-0.2)
    by_hand_ms = 9.5 + 20.0 * (1 - rate) / rate
    found = feature_delays(wide)[0]
    # 2 ms: the filter of such a wide band rings for a sample or two, and the response is cut where 1 % is left.
    assert found.delay_ms == pytest.approx(by_hand_ms, abs=2.0)
    assert found.peak_ms <= found.delay_ms <= found.settled_ms


def test_narrow_bands_low_corners_and_slow_averages_are_later() -> None:
    def delay_ms(**changes: object) -> list[float]:
        return [one.delay_ms for one in feature_delays(SPEC.model_copy(update=changes))]

    here = delay_ms()
    assert all(later > now for later, now in zip(delay_ms(power_tau_s=0.3)[:2], here[:2], strict=True))
    assert here[2] > here[3]
    assert delay_ms(bands=(Band(low_hz=20.0, high_hz=24.0),))[0] > here[0]
    assert len(here) == len(SPEC.kinds)


def test_the_picture_of_a_few_frames_shows_core_radio_and_each_delay(design_with: Callable[[str], Design]) -> None:
    svg = timeline_svg(design_with("ble-1m"), seed=1, frames=3)
    ET.fromstring(svg)
    for words in ("core runs", "radio sends", "output", "samples"):
        assert words in svg
    assert svg.count(" ms</text>") >= 3
    assert svg == timeline_svg(design_with("ble-1m"), seed=1, frames=3)
