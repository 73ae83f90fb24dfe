"""The timeline against what must hold of it: latencies by hand, power by its formulas, nothing lost without a fate."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from edgebci.errors import InputError
from edgebci.firmware_sim.design import Design, Work
from edgebci.firmware_sim.loads import LOADS
from edgebci.firmware_sim.radio_link import link_timing, link_uw
from edgebci.firmware_sim.radio_link_timing import exchange_us
from edgebci.firmware_sim.timeline import simulation
from edgebci.firmware_sim.timeline.plan import TimelineSettings, plan
from edgebci.firmware_sim.timeline.records import PARTS
from edgebci.firmware_sim.timeline.simulation import Timeline, long_summary, simulate_timeline, timeline_parts
from edgebci.firmware_sim.timeline.summary import total_lag
from edgebci.firmware_sim.uncertainty import typical

DesignWith = Callable[[str], Design]
EVEN = TimelineSettings(step_cycles=np.array([700_000.0]))


def _with_air(design: Design, **changes: float) -> Design:
    """The same design with typical values of its radio's `air` replaced."""
    air = design.radio.air
    assert air is not None
    quantities = {
        name: getattr(air, name).model_copy(update={"low": value, "typical": value, "high": value})
        for name, value in changes.items()
    }
    return replace(design, radio=design.radio.model_copy(update={"air": air.model_copy(update=quantities)}))


@pytest.fixture(scope="module")
def a_minute(request: pytest.FixtureRequest) -> Callable[[Design], Timeline]:
    kept: dict[str, Timeline] = {}

    def run(design: Design) -> Timeline:
        return kept.setdefault(design.radio.name, simulate_timeline(design, 60, 1))

    return run


def test_without_waiting_the_transport_is_waking_running_and_sending(design_with: DesignWith) -> None:
    design = design_with("optical")
    made = plan(design, EVEN)
    step_s = (design.real_cycles(700_000, typical) + made.interrupt_cycles) / made.cycles_per_s
    air_s = made.link.data_us(64) * 1e-6
    timeline = simulate_timeline(design, 2, seed=0, settings=EVEN)
    assert len(timeline.frame_s) == 100
    np.testing.assert_allclose(timeline.transport_s, made.wake_s + step_s + air_s, rtol=1e-9)
    assert timeline.frame_s[3] == pytest.approx(4 * 0.02 - 0.001)


def test_blocks_leave_less_to_do_after_the_last_sample(design_with: DesignWith) -> None:
    design = design_with("optical")
    whole = simulate_timeline(design, 2, 0, EVEN).transport_s[10]
    halves = simulate_timeline(design, 2, 0, replace(EVEN, blocks_per_frame=2)).transport_s[10]
    front_end_s = design.real_cycles(450_000, typical) / plan(design, EVEN).cycles_per_s
    assert whole - halves == pytest.approx(0.5 * front_end_s, rel=1e-6)


@pytest.mark.parametrize("radio", ["ble-1m", "ble-2m", "medradio", "broadband-fsk", "optical"])
def test_every_frame_has_a_fate_and_moments_are_in_order(
    design_with: DesignWith, a_minute: Callable[[Design], Timeline], radio: str
) -> None:
    timeline = a_minute(design_with(radio))
    summary = timeline.summary
    assert summary.frames == 3000 == len(timeline.fate)
    assert summary.delivered + summary.lost_on_air + summary.queue_full + summary.overrun == 3000
    arrived = ~timeline.lost
    assert (timeline.decoded_s >= timeline.frame_s).all()
    assert (timeline.delivered_s[arrived] > timeline.decoded_s[arrived]).all()
    assert np.isnan(timeline.delivered_s[timeline.lost]).all()
    assert sum(timeline.state_s[name] for name in ("core_run", "core_wake", "core_sleep")) == pytest.approx(60)


@pytest.mark.parametrize("radio", ["ble-1m", "medradio", "optical"])
def test_mean_power_is_that_of_the_formulas(
    design_with: DesignWith, a_minute: Callable[[Design], Timeline], radio: str
) -> None:
    design = design_with(radio)
    made, power = plan(design, TimelineSettings()), a_minute(design).summary.mean_power_uw
    for part in ("front_end", "adc", "standing"):
        assert power[part] == pytest.approx(LOADS[part](design, typical), rel=1e-9)
    waking_uw = made.wake_s * 50 * (made.wake_uw - made.sleep_uw)
    interrupts_uw = made.interrupt_cycles / made.cycles_per_s * 50 * (made.run_uw - made.sleep_uw)
    # 1 %: the cycles are drawn, and DMA takes some of the bus.
    assert power["compute"] - made.dma_uw - waking_uw - interrupts_uw == pytest.approx(
        LOADS["compute"](design, typical), rel=0.01
    )
    # 8 %: repetitions come in a minute's few bursts.
    assert power["radio"] == pytest.approx(link_uw(design, typical), rel=0.08)


def test_power_of_the_seconds_is_the_mean_power(design_with: DesignWith) -> None:
    timeline = simulate_timeline(design_with("ble-2m"), 7, 3)
    assert timeline.power_uw.shape == (7, len(PARTS))
    means = [timeline.summary.mean_power_uw[part] for part in timeline.parts]
    np.testing.assert_allclose(timeline.power_uw.mean(axis=0), means, rtol=1e-12)


def test_ble_waits_for_its_next_event_and_half_an_interval_on_average(design_with: DesignWith) -> None:
    # Clocks that drift, so that every place in the interval is met; 1,500 frames a minute of a free channel.
    design = _with_air(design_with("ble-1m"), bad_share=0.0, clock_ppm=500.0)
    link = link_timing(design.radio, typical)
    timeline = simulate_timeline(design, 60, 2, replace(EVEN, connection_interval_ms=15.0))
    waited = timeline.delivered_s - timeline.decoded_s
    assert not timeline.lost.any()
    assert waited.max() <= 0.015 * 1.001 + exchange_us(link, 64) * 1e-6
    assert waited.mean() == pytest.approx(0.0075 + (80 + 150 + 200) * 1e-6, rel=0.1)


def test_a_step_that_is_too_long_misses_its_deadline_and_loses_samples(design_with: DesignWith) -> None:
    slow = TimelineSettings(step_cycles=np.array([3_000_000.0]))
    timeline = simulate_timeline(design_with("optical"), 20, 0, slow)
    assert timeline.summary.core_utilization == pytest.approx(1.0, abs=0.01)
    assert timeline.missed.all()
    assert timeline.summary.overrun > 0
    # What is computed keeps the core busy: about one frame in 3,000,000 cycles over 96 MHz.
    made = plan(timeline_design := design_with("optical"), slow)
    per_s = made.cycles_per_s / timeline_design.real_cycles(3_000_000, typical)
    assert timeline.summary.delivered == pytest.approx(20 * per_s, abs=3)
    # And no output is older than the ring is long.
    assert np.nanmax(timeline.transport_s) < (2 + 2) / per_s


def test_a_link_that_is_too_slow_drops_the_oldest_outputs(design_with: DesignWith) -> None:
    design = design_with("magnetoelectric").doing(Work(700_000, 1_000))
    timeline = simulate_timeline(design, 10, 0, EVEN)
    assert timeline.summary.queue_full > 0
    carried = timeline.summary.delivered * 1_000 / 10
    assert carried <= design.radio.payload_bits_per_s.typical * 1.1


def test_a_link_without_answers_loses_in_bursts_and_one_with_answers_is_late_instead(design_with: DesignWith) -> None:
    bursts = {"bad_share": 0.2, "bad_burst_ms": 100.0, "bad_loss_db": 60.0}
    lossy, late = (_with_air(design_with(radio), **bursts) for radio in ("broadband-fsk", "ble-1m"))
    alone, repeated = simulate_timeline(lossy, 60, 4), simulate_timeline(late, 60, 4)
    # 120 bursts of varying length: 4 standard errors are a third.
    assert alone.lost.mean() == pytest.approx(0.2, rel=0.35)
    # 16 outputs wait for 320 ms, which one burst in 25 outlasts.
    assert repeated.lost.mean() < 0.2 * alone.lost.mean()
    assert repeated.summary.transport is not None
    assert alone.summary.transport is not None
    assert repeated.summary.transport.p99_ms > 5 * alone.summary.transport.p99_ms


def test_an_acknowledged_link_gives_up_what_is_too_old(design_with: DesignWith) -> None:
    design = _with_air(design_with("medradio"), bad_share=0.3, bad_burst_ms=300.0, bad_loss_db=80.0)
    timeline = simulate_timeline(design, 60, 5)
    made = plan(design, TimelineSettings())
    assert timeline.summary.lost_on_air > 0
    assert np.nanmax(timeline.transport_s) <= 0.1 + exchange_us(made.link, made.packets[0]) * 1e-6


def test_silence_ends_a_connection(design_with: DesignWith) -> None:
    design = _with_air(design_with("ble-2m"), bad_share=0.5, bad_burst_ms=2_000.0, bad_loss_db=80.0)
    summary = simulate_timeline(design, 60, 6, TimelineSettings(supervision_ms=100.0)).summary
    assert summary.disconnections > 3
    assert summary.lost_on_air + summary.queue_full > 300
    assert summary.delivered > 600


def test_a_seed_is_a_timeline(design_with: DesignWith) -> None:
    design = design_with("ble-2m")
    first, again, other = (simulate_timeline(design, 5, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.delivered_s, again.delivered_s)
    assert first.summary == again.summary
    assert not np.array_equal(first.delivered_s, other.delivered_s)


def test_parts_are_the_whole_and_the_figures_come_from_either(design_with: DesignWith) -> None:
    design = design_with("ble-1m")
    whole = simulate_timeline(design, 70, 8)
    parts = list(timeline_parts(design, 70, 8))
    assert [len(part.power_uw) for part in parts] == [60, 10]
    np.testing.assert_array_equal(np.concatenate([part.delivered_s for part in parts]), whole.delivered_s)
    assert long_summary(design, 70, 8) == whole.summary
    transport = whole.summary.transport
    assert transport is not None
    exact_ms = np.sort(1e3 * whole.transport_s[~whole.lost])
    # One step of the histogram.
    assert transport.p99_ms == pytest.approx(exact_ms[int(np.ceil(0.99 * len(exact_ms))) - 1], abs=0.011)
    assert transport.worst_ms == pytest.approx(exact_ms[-1])
    assert transport.jitter_ms == pytest.approx(exact_ms.std(), rel=1e-6)


def test_memory_does_not_grow_with_time(design_with: DesignWith, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulation, "PART_S", 5)
    design = design_with("ble-2m")

    def peak_bytes(duration_s: int) -> int:
        tracemalloc.start()
        long_summary(design, duration_s, 1)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    peak_bytes(5)
    # 1,000 frames more, which take some 200 bytes each where they are kept.
    assert peak_bytes(30) - peak_bytes(10) < 50_000


def test_the_budget_holds_for_the_sum(design_with: DesignWith, a_minute: Callable[[Design], Timeline]) -> None:
    summary = a_minute(design_with("ble-1m")).summary
    assert summary.transport is not None
    fits, late = total_lag(summary, 40.0), total_lag(summary, 90.0)
    assert fits is not None
    assert late is not None
    assert fits.total_ms == pytest.approx(40.0 + summary.transport.p99_ms)
    assert fits.within_budget
    assert not late.within_budget


@pytest.mark.parametrize(
    ("settings", "duration_s", "said"),
    [
        (TimelineSettings(), 0.5, "whole number"),
        (TimelineSettings(blocks_per_frame=21), 1, "1 to 20"),
        (TimelineSettings(ring_frames=0), 1, "at least 1"),
        (TimelineSettings(step_cycles=np.zeros(0)), 1, "one step at least"),
        (TimelineSettings(connection_interval_ms=8.0), 1, "take 7.5"),
    ],
)
def test_impossible_timelines_are_refused(
    design_with: DesignWith, settings: TimelineSettings, duration_s: float, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        simulate_timeline(design_with("ble-1m"), duration_s, 0, settings)


def test_drawn_cycles_have_the_mean_and_the_worst_of_the_load(design_with: DesignWith) -> None:
    made = plan(design_with("optical"), TimelineSettings())
    drawn = made.cycles(0, 200_000, np.random.default_rng(0))
    assert drawn.mean() == pytest.approx(made.mean_cycles, rel=1e-3)
    assert drawn.max() <= made.worst_cycles
