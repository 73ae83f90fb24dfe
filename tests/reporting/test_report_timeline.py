"""The timeline and the transport latency of a report are those of the simulator."""

from __future__ import annotations

import numpy as np
import pytest

from edgebci.errors import InputError
from edgebci.firmware_sim.design import DecoderLoad, Design, assemble
from edgebci.firmware_sim.timeline.simulation import simulate_timeline
from edgebci.hardware import ComputePart, Implant, Radio, load_profile
from edgebci.pipeline import report_timeline
from edgebci.pipeline.configuration import PlacementConfig
from edgebci.pipeline.placement import put_into
from edgebci.pipeline.report_timeline import OUTPUT_LANE, frames_of, transport_of, with_timeline

PLACE = PlacementConfig(implant="utah96-lfp", compute="stm32l4r5", radio="ble-2m")


@pytest.fixture(scope="module")
def load() -> DecoderLoad:
    return DecoderLoad(
        core="cortex-m4f",
        cycles_per_frame=850_000.0,
        worst_cycles_per_frame=880_000.0,
        front_end_cycles_per_frame=400_000.0,
        frame_rate_hz=50.0,
        n_channels=96,
        rate_hz=1000.0,
        flash_bytes=100_000,
        ram_bytes=40_000,
        feature_bits_per_frame=3072,
        output_bits_per_frame=64,
    )


@pytest.fixture(scope="module")
def design(load: DecoderLoad) -> Design:
    return assemble(
        load_profile(Implant, PLACE.implant),
        load_profile(ComputePart, PLACE.compute),
        load_profile(Radio, PLACE.radio),
        load,
    )


def test_the_core_begins_at_each_last_sample_and_every_output_says_how_late_it_is(design: Design) -> None:
    found = frames_of(design, n_frames=4)
    wakes = [event.start_ms for event in found.events if event.lane == "core wakes"]
    np.testing.assert_allclose(wakes, 20.0 * np.arange(4), atol=1e-3)
    outputs = [event for event in found.events if event.lane == OUTPUT_LANE]
    assert len(outputs) >= 3
    for event in outputs:
        late_ms = float(event.note.removesuffix(" ms"))
        # It follows a frame border by just what it says; the note has one digit.
        assert (event.start_ms - late_ms + 0.1) % found.period_ms <= 0.2
    runs = [event for event in found.events if event.lane == "core runs"]
    assert all(event.stop_ms > event.start_ms for event in runs)


def test_transport_latency_is_that_of_the_simulated_minutes(design: Design) -> None:
    found, simulated = transport_of(design, minutes=1), simulate_timeline(design, 60, 0).summary
    assert simulated.transport is not None
    assert sum(found.counts) == simulated.delivered
    assert found.n_lost == simulated.frames - simulated.delivered
    assert found.worst_ms == pytest.approx(simulated.transport.worst_ms, rel=1e-6)
    # The summary counts in steps of 10 microseconds.
    assert found.p99_ms == pytest.approx(simulated.transport.p99_ms, abs=0.02)


def test_a_link_that_can_not_be_simulated_is_a_finding(load: DecoderLoad, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise InputError("the link's standard does not allow it")

    monkeypatch.setattr(report_timeline, "simulate_timeline", refuse)
    before = put_into(PLACE, load)
    found = with_timeline(before, PLACE, load)
    assert (found.timeline, found.transport) == (None, None)
    assert found.findings[-1] == "There is no timeline: the link's standard does not allow it."
    assert found.total_uw == before.total_uw
