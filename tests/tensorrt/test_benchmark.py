"""benchmark.py of a Jetson bundle with a clock of its own: pacing, percentiles, and the document that it writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebci.board_measurement import BoardMeasurement, load_measurement
from edgebci.errors import InputError
from edgebci.export.tensorrt import benchmark, board
from edgebci.export.tensorrt.benchmark import PowerMeter, Timings, main, measurement, paced, percentile, summary_us

MS = 1_000_000
SHA = "ab" * 32
RECORD = {"target": "jetson-orin-nano", "precision": "int8", "decoder_sha256": SHA, "period_s": 0.02}
CLOCK = {"name": "gpu 17000000.gpu", "current_hz": 6, "least_hz": 6, "greatest_hz": 6, "governor": "nvhost_podgov"}
STATE = {"clocks": [CLOCK], "temperatures_c": {"gpu-thermal": 41.5}}
FACTS = {
    "begun_utc": "2026-01-01T00:00:00+00:00",
    "n_warm_up": 100,
    "frames": "normal random numbers",
    "engine_sha256": "cd" * 32,
    "board": {"model": "NVIDIA Jetson Orin Nano Developer Kit"},
    "tensorrt": "10.3.0",
    "cuda_runtime": "12.6",
    "compute_capability": "8.7",
    "power_mode": "15W",
    "before": STATE,
    "after": STATE,
}


class FakeClock:
    """Time passes only where somebody sleeps or works; waking up takes `wakes_late`."""

    def __init__(self, wakes_late: int = 0) -> None:
        self.now, self.wakes_late, self.slept = 5 * MS, wakes_late, 0

    def now_ns(self) -> int:
        return self.now

    def sleep_until_ns(self, moment: int) -> None:
        if moment > self.now:
            self.slept += moment - self.now
            self.now = moment + self.wakes_late


def run(clock: FakeClock, durations: list[int], period: int = 20 * MS) -> tuple[Timings, list[int]]:
    """Steps that take these durations; returns their timings and the moments of idle time."""
    idle: list[int] = []

    def step(k: int) -> None:
        clock.now += durations[k]

    return paced(step, period, len(durations), clock, lambda: idle.append(clock.now)), idle


def test_one_step_per_period_with_idle_gaps_between() -> None:
    clock = FakeClock()
    timings, idle = run(clock, [3 * MS] * 10)
    assert timings == Timings([3 * MS] * 10, [0] * 10)
    assert clock.slept == 20 * MS + 9 * 17 * MS
    assert len(idle) == 10


def test_waking_up_late_counts_as_lateness_and_not_as_latency() -> None:
    timings, _ = run(FakeClock(wakes_late=70_000), [MS] * 4)
    assert timings == Timings([MS] * 4, [70_000] * 4)


def test_a_slow_step_delays_the_next_but_not_the_ones_after() -> None:
    timings, idle = run(FakeClock(), [MS, 27 * MS, MS, MS])
    assert timings.latency_ns == [MS, 27 * MS, MS, MS]
    assert timings.lateness_ns == [0, 0, 7 * MS, 0]
    assert len(idle) == 3


def test_percentiles_are_measured_values_of_nearest_rank() -> None:
    values = list(range(1, 1001))
    assert [percentile(values, p) for p in (50, 99, 99.9, 100)] == [500, 990, 999, 1000]
    assert percentile([7], 99.9) == 7


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=200), st.floats(0.1, 100))
def test_a_percentile_bounds_its_share_of_the_values(values: list[int], percent: float) -> None:
    found = percentile(values, percent)
    assert found in values
    assert sum(value <= found for value in values) >= len(values) * percent / 100 - 1e-9
    assert sum(value < found for value in values) < max(len(values) * percent / 100, 1e-9) + 1e-9


def test_summaries_are_in_microseconds() -> None:
    found = summary_us([1_000, 3_000, 2_000])
    assert found == {"p50": 2.0, "p99": 3.0, "p99_9": 3.0, "mean": 2.0, "largest": 3.0}


def test_power_is_read_once_a_second_and_averaged() -> None:
    clock, readings = FakeClock(), iter([{"VDD_IN": 4.0}, {"VDD_IN": 6.0}])
    meter = PowerMeter(lambda: next(readings), clock)
    for _ in range(90):
        meter()
        clock.now += 20 * MS
    assert (meter.readings, meter.means_w()) == (2, {"VDD_IN": 5.0})


def document(latencies: list[int] | None = None) -> dict[str, Any]:
    taken = latencies or [300_000 + 100 * k for k in range(1000)]
    power = PowerMeter(lambda: {"VDD_IN": 5.5}, FakeClock())
    power()
    return measurement(RECORD, FACTS, Timings(taken, [50_000] * len(taken)), power)


def written(folder: Path, content: dict[str, Any]) -> Path:
    (folder / "measurement.json").write_text(json.dumps(content))
    return folder / "measurement.json"


def test_the_document_is_what_edgebci_reads(tmp_path: Path) -> None:
    found = load_measurement(written(tmp_path, document()), SHA, 0.02)
    assert isinstance(found, BoardMeasurement)
    assert (found.latency_us.p50, found.latency_us.p99, found.latency_us.p99_9) == (349.9, 398.9, 399.8)
    assert (found.missed_deadlines, found.power_w) == (0, {"VDD_IN": 5.5})
    assert found.clocks_locked
    assert found.sentence() == (
        "measured on NVIDIA Jetson Orin Nano Developer Kit in 15W with locked clocks: p50 350, p99 399, p99.9 400 µs "
        "over 1,000 steps, one every 20 ms"
    )


def test_deadlines_count_from_the_moment_a_step_was_due() -> None:
    latencies = [19_950_000] * 3 + [19_950_001] * 2 + [1] * 995
    assert document(latencies)["missed_deadlines"] == 2


def test_clocks_that_may_move_are_told(tmp_path: Path) -> None:
    moving = {**STATE, "clocks": [CLOCK | {"greatest_hz": 9}]}
    found = load_measurement(written(tmp_path, document() | {"after": moving}))
    assert not found.clocks_locked
    assert "clocks that may move" in found.sentence()
    nothing_read: dict[str, Any] = {"clocks": [], "temperatures_c": {}}
    assert not load_measurement(written(tmp_path, document() | {"before": nothing_read})).clocks_locked


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"schema_version": "edgebci.board_measurement/9"}, "schema_version"),
        ({"n_steps": 999}, "greater than or equal to 1000"),
        ({"missed_deadlines": 1001}, "more deadlines missed than steps"),
        ({"board": {}}, "the board has no model"),
        ({"decoder_sha256": "no"}, "decoder_sha256"),
        ({"latency_us": summary_us([1000, 2000]) | {"p99": 0.5}}, "percentiles must rise"),
        ({"latency_us": summary_us([1000, 2000]) | {"p99": float("nan")}}, "finite"),
        ({"surprise": 1}, "unknown key 'surprise'"),
    ],
)
def test_a_file_that_cannot_be_a_measurement_is_refused(tmp_path: Path, change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        load_measurement(written(tmp_path, document() | change))


def test_a_measurement_of_another_decoder_or_rate_does_not_replace_an_estimate(tmp_path: Path) -> None:
    path = written(tmp_path, document())
    with pytest.raises(InputError, match="was measured with the decoder abababababab, this one is ffffffffffff"):
        load_measurement(path, "f" * 64)
    with pytest.raises(InputError, match=r"a step every 0\.02 s, this decoder has one every 0\.01 s"):
        load_measurement(path, SHA, 0.01)


class FakeDecoder:
    """Counts what it decodes; its clock goes on by 1 ms a step."""

    frame_shape = (4,)

    def __init__(self, clock: FakeClock) -> None:
        self.clock, self.frames = clock, list[np.ndarray[Any, Any]]()

    def step(self, frame: np.ndarray[Any, Any]) -> None:
        assert frame.dtype == np.float32
        self.frames.append(frame)
        self.clock.now += MS


class FakeVersions:
    def runtime_version(self) -> str:
        return "12.6"

    def compute_capability(self) -> str:
        return "8.7"


def test_a_whole_measurement_leaves_out_the_warm_up_and_validates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock()
    decoder = FakeDecoder(clock)
    (tmp_path / "jetson.json").write_text(json.dumps(RECORD))
    (tmp_path / "decoder.plan").write_bytes(b"plan")
    monkeypatch.setattr(benchmark, "open_cuda", FakeVersions)
    monkeypatch.setattr(benchmark, "open_decoder", {tmp_path / "decoder.plan": decoder}.__getitem__)
    monkeypatch.setattr(board, "identity", lambda: {"model": "a board"})
    monkeypatch.setattr(benchmark, "tensorrt_version", lambda: "10.3.0")
    frames = np.arange(12.0).reshape(3, 4)
    content = benchmark.measure(tmp_path, tmp_path / "decoder.plan", 1000, frames, clock)
    found = load_measurement(written(tmp_path, content), SHA, 0.02)
    assert len(decoder.frames) == 1100
    assert np.array_equal(decoder.frames[4], frames[1])
    assert (found.n_steps, found.n_warm_up, found.latency_us.largest) == (1000, 100, 1000.0)


def test_too_few_steps_or_no_gpu_measure_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "measurement.json"
    assert main(["--steps", "999", "--out", str(out)]) == 2
    assert "999 steps, at least 1000 are needed" in capsys.readouterr().err
    assert main(["--out", str(out)]) == 2  # this folder holds no jetson.json
    assert "nothing was measured" in capsys.readouterr().err
    assert not out.exists()
