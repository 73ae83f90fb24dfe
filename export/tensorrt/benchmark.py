"""Time a decoder's engine as it will be used: one step per bin, with the idle gaps between them.

    python3 benchmark.py [--steps 3000] [--frames frames.npy] [--out measurement.json]

A step that is called back to back keeps clocks up and caches warm; one that comes every 20 ms does not, and its slow
tail is what a deadline meets. So every step waits for its own moment, asleep, and is timed from there: `lateness` is
how long after that moment the program woke, `latency` from then until the output lies in memory of the host. The first
steps are left out. Clocks, power mode and temperatures are read before and after, power while the program waits.
`edgebci simulate` and `edgebci gate` take the file in place of their estimate (edgebci.board_measurement/1).
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from edgebci.export.tensorrt import board
from edgebci.export.tensorrt.cuda_buffers import CudaError, open_cuda
from edgebci.export.tensorrt.run_decoder import ENGINE, open_decoder

SCHEMA = "edgebci.board_measurement/1"
STEPS, WARM_UP, LEAST_STEPS = 3000, 100, 1000
"""Of fewer than 1,000 steps a 99.9th percentile says nothing."""
RECORD = "jetson.json"
_POWER_EVERY_S = 1.0


class Clock(Protocol):
    """Time that passes."""

    def now_ns(self) -> int:
        """Since some moment."""
        ...

    def sleep_until_ns(self, moment: int) -> None:
        """Return at or after a moment."""
        ...


class WallClock:
    """This machine's own."""

    def now_ns(self) -> int:
        """Monotonic."""
        return time.perf_counter_ns()

    def sleep_until_ns(self, moment: int) -> None:
        """Asleep, so that the processor may idle as it will in use."""
        while (left := moment - self.now_ns()) > 0:
            time.sleep(left / 1e9)


@dataclass
class Timings:
    """One entry per step, in nanoseconds."""

    latency_ns: list[int] = field(default_factory=list)
    lateness_ns: list[int] = field(default_factory=list)


def paced(step: Callable[[int], None], period_ns: int, n_steps: int, clock: Clock, idle: Callable[[], None]) -> Timings:
    """Call `step(k)` once per period and time it; `idle` is called after it where half of the period is left.

    A step that is late does not move the moments of those after it.
    """
    timings, start = Timings(), clock.now_ns() + period_ns
    for k in range(n_steps):
        due = start + k * period_ns
        clock.sleep_until_ns(due)
        begun = clock.now_ns()
        step(k)
        done = clock.now_ns()
        timings.latency_ns.append(done - begun)
        timings.lateness_ns.append(begun - due)
        if done - due < period_ns // 2:
            idle()
    return timings


def percentile(values: Sequence[int], percent: float) -> int:
    """The least value that at least `percent` of the values do not exceed (nearest rank): one that was measured."""
    ranked = sorted(values)
    return ranked[max(math.ceil(len(ranked) * percent / 100), 1) - 1]


def summary_us(values: Sequence[int]) -> dict[str, float]:
    """Microseconds."""
    found = {name: percentile(values, p) / 1e3 for name, p in (("p50", 50.0), ("p99", 99.0), ("p99_9", 99.9))}
    return found | {"mean": sum(values) / len(values) / 1e3, "largest": max(values) / 1e3}


class PowerMeter:
    """Reads the rails at most once a second and keeps their means."""

    def __init__(self, read: Callable[[], dict[str, float]], clock: Clock) -> None:
        self._read, self._clock, self._next_ns = read, clock, 0
        self._sums: dict[str, float] = {}
        self.readings = 0

    def __call__(self) -> None:
        """Read, if a second has passed."""
        if self._clock.now_ns() < self._next_ns:
            return
        self._next_ns = self._clock.now_ns() + int(_POWER_EVERY_S * 1e9)
        for rail, watts in self._read().items():
            self._sums[rail] = self._sums.get(rail, 0.0) + watts
        self.readings += 1

    def means_w(self) -> dict[str, float]:
        """By rail; empty where the board has none."""
        return {rail: total / self.readings for rail, total in self._sums.items()}


def state_of_board() -> dict[str, Any]:
    """What may move while the program runs."""
    return {"clocks": board.clocks(), "temperatures_c": board.temperatures()}


def measurement(record: dict[str, Any], facts: dict[str, Any], timings: Timings, power: PowerMeter) -> dict[str, Any]:
    """The document that goes into the file; the first steps were left out already."""
    period_ns = round(record["period_s"] * 1e9)
    finished = [late + took for late, took in zip(timings.lateness_ns, timings.latency_ns, strict=True)]
    return {
        "schema_version": SCHEMA,
        "target": record["target"],
        "precision": record["precision"],
        "decoder_sha256": record["decoder_sha256"],
        "period_s": record["period_s"],
        "n_steps": len(timings.latency_ns),
        "latency_us": summary_us(timings.latency_ns),
        "lateness_us": summary_us(timings.lateness_ns),
        "missed_deadlines": sum(moment > period_ns for moment in finished),
        "power_w": power.means_w(),
        "power_readings": power.readings,
        **facts,
    }


def measure(
    folder: Path, engine: Path, n_steps: int, frames: np.ndarray[Any, Any] | None, clock: Clock
) -> dict[str, Any]:
    """Open the engine, warm it up at its own pace, and time it."""
    record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    cuda, decoder = open_cuda(), open_decoder(engine)
    given = np.random.default_rng(0).standard_normal((1000, *decoder.frame_shape)) if frames is None else frames
    given, period_ns = given.astype(np.float32), round(record["period_s"] * 1e9)
    power = PowerMeter(board.power_w, clock)
    before, begun = state_of_board(), datetime.now(timezone.utc)  # noqa: UP017 - the boards have Python 3.10
    paced(lambda k: _decode(decoder, given, k), period_ns, WARM_UP, clock, lambda: None)
    timings = paced(lambda k: _decode(decoder, given, k), period_ns, n_steps, clock, power)
    facts = {
        "begun_utc": begun.isoformat(timespec="seconds"),
        "n_warm_up": WARM_UP,
        "frames": "normal random numbers" if frames is None else "given by the user",
        "engine_sha256": hashlib.sha256(engine.read_bytes()).hexdigest(),
        "board": board.identity(),
        "tensorrt": tensorrt_version(),
        "cuda_runtime": cuda.runtime_version(),
        "compute_capability": cuda.compute_capability(),
        "power_mode": board.power_mode(),
        "before": before,
        "after": state_of_board(),
    }
    return measurement(record, facts, timings, power)


def tensorrt_version() -> str:
    """Of the binding, which the decoder has opened already."""
    return str(importlib.import_module("tensorrt").__version__)


def _decode(decoder: Any, frames: np.ndarray[Any, Any], k: int) -> None:
    decoder.step(frames[k % len(frames)])


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line: 0, or 2 with a sentence."""
    here = Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description="Time a decoder's engine, one step per bin.")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--frames", type=Path, help=".npy of (T, n_inputs) to decode; else random numbers")
    parser.add_argument("--engine", type=Path, default=here / ENGINE)
    parser.add_argument("--out", type=Path, default=here / "measurement.json")
    given = parser.parse_args(arguments)
    try:
        if given.steps < LEAST_STEPS:
            raise ValueError(f"{given.steps} steps, at least {LEAST_STEPS} are needed for a 99.9th percentile")
        frames = None if given.frames is None else np.load(given.frames, allow_pickle=False)
        found = measure(here, given.engine, given.steps, frames, WallClock())
    except (OSError, ValueError, CudaError) as error:
        sys.stderr.write(f"error: {error}; nothing was measured\n")
        return 2
    given.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    taken = found["latency_us"]
    sys.stdout.write(
        f"{found['n_steps']} steps: p50 {taken['p50']:.1f}, p99 {taken['p99']:.1f}, p99.9 {taken['p99_9']:.1f} µs, "
        f"{found['missed_deadlines']} deadlines missed; written to {given.out}\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
