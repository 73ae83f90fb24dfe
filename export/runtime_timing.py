"""How long one step of each form takes in ONNX Runtime on this machine, measured side by side, and what to say of it.

Forms take turns in rounds of some steps, so that a machine that slows down slows them all, and the order turns round
from one round to the next. int8 is made for microcontrollers and for size: on a PC a step of some 100,000 products is
often slower in int8 than in float32, and the report must say so.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgebci.documents import Document
from edgebci.errors import InputError
from edgebci.export.runtime_stepper import runtime_stepper
from edgebci.progress import Progress, silent

ROUNDS, STEPS_PER_ROUND, WARM_UP = 20, 50, 50
_TURN = 10
OneStep = Callable[[NDArray[Any]], object]


class StepTime(Document):
    """One form; quantiles over all its timed steps."""

    form: str
    median_us: float
    p99_us: float
    slowest_us: float


class RuntimeTiming(Document):
    """Measured on the machine that exported, with pre-bound buffers and one thread; no other figure of a bundle is
    taken on it."""

    evidence: str = "measured"
    provider: str
    steps: int
    """Timed, of each form."""
    times: tuple[StepTime, ...]

    def of(self, form: str) -> StepTime:
        """One form; raises InputError if it was not timed."""
        found = next((entry for entry in self.times if entry.form == form), None)
        if found is None:
            raise InputError(f"{form!r} was not timed; there are {', '.join(entry.form for entry in self.times)}")
        return found

    def sentence(self, fast: str = "int8", plain: str = "fp32") -> str:
        """Whether `fast` is faster than `plain` here, for a report."""
        a, b = self.of(fast).median_us, self.of(plain).median_us
        taken = (
            f"a step takes {a:.1f} µs in {fast} and {b:.1f} µs in {plain} (medians of {self.steps}, {self.provider})"
        )
        if a > b:
            purpose = "it is for chips with integer arithmetic and for size"
            return f"{fast} is slower than {plain} on this machine, {a / b:.2f} times: {taken}; {purpose}"
        return f"{fast} is {b / a:.2f} times as fast as {plain} on this machine: {taken}"


def time_forms(
    forms: Mapping[str, Path],
    frames: NDArray[Any],
    provider: str = "cpu",
    rounds: int = ROUNDS,
    progress: Progress = silent,
) -> RuntimeTiming:
    """Time the steps of several graphs of one decoder in one interleaved run.

    Args:
        forms: step graphs by the names that they get.
        frames: (T, ...) that each round goes through, from the first again when they end.
        provider: see `run_decoder.PROVIDERS`.
        rounds: of 50 steps each.
        progress: told how far it is.

    Raises:
        InputError: nothing to time, or a graph that cannot be run.
    """
    steps = {name: runtime_stepper(path, provider).step for name, path in forms.items()}
    return time_steps(steps, frames, provider, rounds, progress)


def time_steps(
    steps: Mapping[str, OneStep],
    frames: NDArray[Any],
    provider: str = "cpu",
    rounds: int = ROUNDS,
    progress: Progress = silent,
) -> RuntimeTiming:
    """`time_forms` of anything that takes a frame."""
    taken = interleaved_us(steps, frames, rounds, progress)
    times = tuple(_summary(name, row) for name, row in taken.items())
    return RuntimeTiming(provider=provider, steps=rounds * STEPS_PER_ROUND, times=times)


def interleaved_us(
    steps: Mapping[str, OneStep], frames: NDArray[Any], rounds: int = ROUNDS, progress: Progress = silent
) -> dict[str, NDArray[np.float64]]:
    """Microseconds of each of rounds * 50 steps of each, back to back within a round; the order turns round.

    Raises:
        InputError: nothing to time.
    """
    if not steps or not len(frames) or rounds < 1:
        raise InputError(
            f"{len(steps)} forms, {len(frames)} frames, {rounds} rounds to time; give at least one of each"
        )
    for step in steps.values():
        _times_us(step, frames, 0, WARM_UP)
    taken: dict[str, list[NDArray[np.float64]]] = {name: [] for name in steps}
    for k in range(rounds):
        names = list(steps) if k % 2 == 0 else list(steps)[::-1]
        for name in names:
            taken[name].append(_times_us(steps[name], frames, k * STEPS_PER_ROUND, STEPS_PER_ROUND))
        progress((k + 1) / rounds, "timing the forms")
    return {name: np.concatenate(rows) for name, rows in taken.items()}


def paced_us(
    steps: Mapping[str, OneStep], frames: NDArray[Any], period_s: float, ticks: int, progress: Progress = silent
) -> dict[str, NDArray[np.float64]]:
    """Microseconds of `ticks` steps of each, one at every tick of a clock of `period_s`, asleep between the ticks.

    Forms take turns of ten ticks, so that each finds in the caches what a program that runs alone would find, and a
    machine that slows down slows them all.
    """
    taken = {name: np.empty(ticks) for name in steps}
    for first in range(0, ticks, _TURN):
        for name, step in steps.items():
            start = time.perf_counter()
            for k in range(first, min(first + _TURN, ticks)):
                time.sleep(max(0.0, start + (k - first) * period_s - time.perf_counter()))
                taken[name][k] = _times_us(step, frames, k, 1)[0]
        progress(min(1.0, (first + _TURN) / ticks), "timing the forms at the rate of the stream")
    return taken


def _times_us(step: OneStep, frames: NDArray[Any], first: int, n: int) -> NDArray[np.float64]:
    """Microseconds of `n` steps (n,)."""
    taken = np.empty(n)
    for i in range(n):
        frame = frames[(first + i) % len(frames)]
        before = time.perf_counter_ns()
        step(frame)
        taken[i] = time.perf_counter_ns() - before
    return taken / 1e3


def _summary(form: str, taken_us: NDArray[np.float64]) -> StepTime:
    median, p99 = np.quantile(taken_us, (0.5, 0.99))
    return StepTime(form=form, median_us=float(median), p99_us=float(p99), slowest_us=float(taken_us.max()))
