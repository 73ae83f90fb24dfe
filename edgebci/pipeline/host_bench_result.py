"""What `edgebci bench bundle` found: times of a step in every runtime, and how much faster the host library is."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgebci.documents import Document
from edgebci.errors import InputError

Pace = Literal["back to back", "at the rate"]
Quantile = Literal["p50_us", "p99_us"]
GOAL_BOUND, GOAL_BARE = 15.0, 5.0
"""How many times as fast as ONNX Runtime's best form a host step is to be: through the bindings, and without them."""
LIBRARY, RUNTIME, TORCH = "host library", "ONNX Runtime", "torch"


class BenchTime(Document):
    """One form at one pace, called from Python once per step; quantiles over its steps, in microseconds."""

    runtime: Literal["host library", "ONNX Runtime", "torch"]
    form: str
    """int8, fp32, ..., and of ONNX Runtime its optimisation level."""
    pace: Pace
    steps: int
    p50_us: float
    p99_us: float
    p999_us: float

    @property
    def name(self) -> str:
        """Runtime and form."""
        return f"{self.runtime}, {self.form}"


class BareTime(Document):
    """One form without Python and without binding, in microseconds per step (median)."""

    runtime: Literal["host library", "ONNX Runtime"]
    form: str
    how: str
    p50_us: float


class BenchAgreement(Document):
    """How far the outputs of one form are from those of its reference over the same frames."""

    name: str
    against: str
    steps: int
    relative_error: float
    """Root mean square of the difference over that of the reference."""
    allowed: float


class Speed(Document):
    """How many times as fast the host library's best form is as the best of ONNX Runtime."""

    what: str
    library_us: float
    runtime_us: float
    goal: float

    @property
    def times(self) -> float:
        """The ratio."""
        return self.runtime_us / self.library_us

    def sentence(self) -> str:
        """For a report."""
        verdict = "reached" if self.times >= self.goal else "MISSED"
        return (
            f"{self.times:.1f} times as fast ({self.library_us:.2f} µs against {self.runtime_us:.2f} µs); "
            f"the goal, {self.goal:g} times, is {verdict}"
        )


class HostBench(Document):
    """One interleaved run on this machine."""

    schema_version: Literal["edgebci.host_bench/1"] = "edgebci.host_bench/1"
    evidence: Literal["measured"] = "measured"
    bundle: str
    instructions: str
    """What the host library's kernels were compiled for."""
    load_average: tuple[float, ...]
    """Of the machine before the run: others that work on it make every time longer."""
    period_ms: float
    """Of the stream, at whose rate the paced steps were taken."""
    times: tuple[BenchTime, ...]
    bare: tuple[BareTime, ...]
    agreements: tuple[BenchAgreement, ...]
    speeds: tuple[Speed, ...]
    notes: tuple[str, ...]


def best_of(times: tuple[BenchTime, ...], runtime: str, pace: Pace, quantile: Quantile) -> BenchTime:
    """The fastest form of a runtime; raises InputError if none was timed."""
    found = [one for one in times if (one.runtime, one.pace) == (runtime, pace)]
    if not found:
        raise InputError(f"no form of {runtime} was timed {pace}; time one that the bundle holds")
    return min(found, key=lambda one: float(getattr(one, quantile)))


def best_form(times: tuple[BenchTime, ...], kind: str) -> str:
    """Which of ONNX Runtime's forms of a kind, int8 or fp32, is fastest back to back."""
    own = [one for one in times if (one.runtime, one.pace) == (RUNTIME, "back to back") and one.form.startswith(kind)]
    return min(own, key=lambda one: one.p50_us).form


def summary(runtime: str, form: str, pace: Pace, taken_us: NDArray[np.float64]) -> BenchTime:
    """Quantiles of (steps,) microseconds."""
    p50, p99, p999 = (float(value) for value in np.quantile(taken_us, (0.5, 0.99, 0.999)))
    given = {"runtime": runtime, "form": form, "pace": pace, "steps": len(taken_us)}
    return BenchTime.model_validate(given | {"p50_us": p50, "p99_us": p99, "p999_us": p999})


def speeds(times: tuple[BenchTime, ...], bare: tuple[BareTime, ...]) -> tuple[Speed, ...]:
    """Host library against ONNX Runtime's best form, each at its best: in the median and in the 99 % quantile at each
    pace, and bare.
    """
    found = []
    paces: tuple[Pace, ...] = ("back to back", "at the rate")
    quantiles: tuple[Quantile, ...] = ("p50_us", "p99_us")
    for pace in paces:
        for quantile in quantiles:
            ours, theirs = (best_of(times, runtime, pace, quantile) for runtime in (LIBRARY, RUNTIME))
            what = f"{pace}, {quantile.removesuffix('_us')}, through the bindings"
            pair = float(getattr(ours, quantile)), float(getattr(theirs, quantile))
            found.append(Speed(what=what, library_us=pair[0], runtime_us=pair[1], goal=GOAL_BOUND))
    best = {runtime: min(one.p50_us for one in bare if one.runtime == runtime) for runtime in (LIBRARY, RUNTIME)}
    found.append(
        Speed(what="without bindings, p50", library_us=best[LIBRARY], runtime_us=best[RUNTIME], goal=GOAL_BARE)
    )
    return tuple(found)


def int8_note(times: tuple[BenchTime, ...], runtime: str) -> str:
    """Says so where int8 is slower than float in a runtime; empty where it is not, or one of the two was not timed."""
    own = [one for one in times if one.runtime == runtime and one.pace == "back to back"]
    fastest = {
        kind: min((one.p50_us for one in own if one.form.startswith(kind)), default=None) for kind in ("int8", "fp32")
    }
    a, b = fastest["int8"], fastest["fp32"]
    if a is None or b is None or a <= b:
        return ""
    return (
        f"int8 is slower than fp32 in {runtime} on this machine, {a / b:.2f} times ({a:.2f} µs against {b:.2f} µs in "
        "the median, back to back); it is for chips with integer arithmetic and for size"
    )
