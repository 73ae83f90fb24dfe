"""Which points of a sweep are played, and where its knee is."""

from __future__ import annotations

import numpy as np
import pytest

from edgebci.firmware_sim.electronics.conditions import Converter, FrontEndModel, SourceQuality
from edgebci.firmware_sim.electronics.events import MotionStep
from edgebci.firmware_sim.electronics.source import noise_density_nv, refusal, step_uv
from edgebci.pipeline.simulation.playing import Played
from edgebci.pipeline.simulation.recovery import Pair, recoveries
from edgebci.pipeline.simulation.sweeps import SweepPoint, knees, planned
from edgebci.synthetic.signals import F32


def points(r2: list[float | None]) -> list[SweepPoint]:
    return [SweepPoint(line="a", x=x, r2=value) for x, value in enumerate(r2)]


def test_the_knee_is_the_last_point_before_r2_falls_by_a_hundredth() -> None:
    found = knees(points([0.1, 0.3, 0.492, 0.5, 0.498]), "more")
    assert [(knee.x, knee.r2) for knee in found] == [(2.0, 0.492)]
    assert [knee.x for knee in knees(points([0.5, 0.497, 0.3, 0.496]), "less")] == [1.0]
    assert knees(points([None, None, 0.5]), "more") == ()


def test_a_recording_of_eight_bits_and_250_hz_is_out() -> None:
    rat = SourceQuality(noise_nv_per_rthz=900.0, step_uv=8.0, band_hz=125.0)
    model = FrontEndModel(rate_hz=250.0, converter=Converter(bits=12, full_scale_uv=4000.0))
    converters = planned("converter", model, 4, rat).points
    steps_uv = {round(one.model.converter.step_uv, 2): one.refused for one in converters}
    # A step of 8 uV can stand for steps of 32 uV or more, and for nothing finer.
    assert all((refused is None) == (step >= 32) for step, refused in steps_uv.items())
    assert steps_uv[125.0] is None
    assert "over a quarter" in str(steps_uv[15.62])
    assert all(point.refused for point in planned("noise", model, 4, rat).points if point.x < 2700)
    assert "under twice" in str(refusal(rat, band_hz=100.0))
    assert refusal(rat, band_hz=62.5) is None


def test_quality_is_seen_in_the_samples() -> None:
    rng = np.random.default_rng(1)
    samples = (0.5 * np.rint(rng.normal(0, 30, (60_000, 3)) / 0.5)).astype(np.float32)
    assert step_uv(samples) == pytest.approx(0.5, rel=0.01)
    # White with 30 uV rms over 500 Hz.
    assert noise_density_nv(samples, 1000.0) == pytest.approx(30_000 / np.sqrt(500), rel=0.05)


def test_recovery_is_counted_from_the_end_of_the_event() -> None:
    times_s = 10 + np.arange(1000) / 50
    calm = np.random.default_rng(2).standard_normal((1000, 2)).astype(np.float32)
    valid = np.ones(1000, bool)
    disturbed, flagged = calm.copy(), valid.copy()
    disturbed[250:300] += 5
    flagged[240:260] = False
    step = MotionStep(kind="motion_step", at_s=4.0, decay_s=0.25)
    found = recoveries([step], times_s, Pair(Played(disturbed, flagged), Played(calm, valid)), None, 120.0, 10.0)[0]
    # The event ends at 4.75 s, the output is off from 5 s, held from frame 239 on while invalid, to 6 s.
    assert found.output_s == pytest.approx(6.0 - 4.76, abs=0.03)
    assert found.invalid_s == pytest.approx(0.4)
    assert found.largest_deviation_sd > 2


def test_an_output_that_is_not_back_is_told_why() -> None:
    times_s, valid = 10 + np.arange(1000) / 50, np.ones(1000, bool)
    calm = np.random.default_rng(2).standard_normal((1000, 2)).astype(np.float32)
    step = MotionStep(kind="motion_step", at_s=4.0, decay_s=0.25)
    off, back = calm.copy(), calm.copy()
    off[250:] += 0.8
    back[250:300] += 5

    def why(shipped: F32, held: F32 | None, n: int = 1000) -> str:
        pairs = [Pair(Played(x[:n], valid[:n]), Played(calm[:n], valid[:n])) for x in (shipped, held) if x is not None]
        found = recoveries([step], times_s[:n], pairs[0], pairs[1] if len(pairs) > 1 else None, 120.0, 10.0)[0]
        assert found.output_s is None
        assert found.why is not None
        return found.why

    assert "time constant 120 s) has learnt the event" in why(off, back)
    assert "the output is back after 1.2" in why(off, back)
    assert "not back with held statistics either" in why(off, off)
    assert "the normalisation learns nothing" in why(off, None)
    assert "needed to tell" in why(off, None, 250)
