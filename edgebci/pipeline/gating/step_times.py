"""How long a step takes in the old bundle and in the new one, on this machine, taking turns."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgebci.bundle import FIRMWARE, FLOAT_ONNX, INT8_ONNX, bundle_faults
from edgebci.errors import InputError
from edgebci.export.runtime_stepper import runtime_stepper
from edgebci.export.runtime_timing import STEPS_PER_ROUND, OneStep, interleaved_us
from edgebci.firmware_sim.host_twin import HostTwin
from edgebci.firmware_sim.toolchain import compile_host
from edgebci.gating_limits import Growth, Outcome, TimeLimits
from edgebci.gating_result import Check
from edgebci.metrics import F64
from edgebci.pipeline.bundle_kinds import manifest_of
from edgebci.pipeline.gating.accuracy import Noisy
from edgebci.pipeline.portable_bits import FRAMES_HOST
from edgebci.progress import Progress, silent

GRAPHS = {"fp32 in ONNX Runtime": FLOAT_ONNX, "int8 in ONNX Runtime": INT8_ONNX}
IN_C = "int8 in C"
_FRAMES = 200


@dataclass(frozen=True, eq=False)
class FormTimes:
    """One form in both bundles: the median of each round (K,), in microseconds."""

    form: str
    before_us: F64
    after_us: F64


def interleave(before: Path, after: Path, rounds: int, progress: Progress = silent) -> tuple[FormTimes, ...]:
    """Time every form that both bundles hold, taking turns of 50 steps; frames are random, no form's time depends on
    them.

    Raises:
        InputError: a bundle is damaged or holds no form that the other has. MissingToolError: ziglang is absent.
    """
    for folder in (before, after):
        _require_whole(folder)
    with tempfile.TemporaryDirectory(prefix="edgebci-gate-") as work:
        steps = {side: _steps(folder, Path(work, side)) for side, folder in (("old", before), ("new", after))}
        forms = [form for form in steps["old"] if form in steps["new"]]
        if not forms:
            raise InputError(f"{before} and {after} have no form in common to be timed; accept a new baseline")
        frames = _frames(after)
        turns = {f"{side} {form}": steps[side][form] for form in forms for side in steps}
        taken = interleaved_us(turns, frames, rounds, progress)
    medians = {name: np.median(row.reshape(rounds, STEPS_PER_ROUND), axis=1) for name, row in taken.items()}
    return tuple(FormTimes(form, medians[f"old {form}"], medians[f"new {form}"]) for form in forms)


def time_figures(times: Sequence[FormTimes], limits: TimeLimits) -> list[Noisy]:
    """One for each form."""
    found = []
    for one in times:
        growth = Growth.of(one.before_us[None], one.after_us[None])
        found.append(Noisy(float(growth.p_longer()[0]), partial(_check, one, growth, limits)))
    return found


def harmless(growth: Growth, before_us: F64, limits: TimeLimits) -> NDArray[np.bool_]:
    """(R,) whether a growth is within the relative or within the absolute limit."""
    return np.asarray(
        (growth.relative <= growth.tolerance(limits)) | (growth.relative * before_us <= limits.absolute_us)
    )


def _check(one: FormTimes, growth: Growth, limits: TimeLimits, rejected: bool, _: float) -> Check:
    before, after = float(np.median(one.before_us)), float(np.median(one.after_us))
    passed = bool(harmless(growth, np.array([before]), limits)[0]) or not rejected
    tolerance = float(growth.tolerance(limits)[0])
    return Check(
        name=f"step, {one.form}",
        group="time",
        outcome=Outcome.PASS if passed else Outcome.FAIL,
        evidence="measured",
        unit="µs",
        baseline=before,
        candidate=after,
        limit=None,
        sentence=(
            f"{after:.2f} µs after {before:.2f} µs, {growth.relative[0]:+.1%} in {growth.rounds} rounds taking turns "
            f"on this machine; refused above both {tolerance:.1%} (the larger of {limits.relative:.0%} and "
            f"{limits.sigmas:g} sigma) and {limits.absolute_us:g} µs"
        ),
    )


def _require_whole(folder: Path) -> None:
    if faults := bundle_faults(folder, manifest_of(folder)[1]):
        raise InputError(f"the bundle {folder} is damaged: {'; '.join(faults)}; export it again")


def _frames(folder: Path) -> NDArray[Any]:
    """(200, ...) random frames; of integers, all are one token that every table has."""
    path = next(folder / name for name in GRAPHS.values() if (folder / name).is_file())
    like = runtime_stepper(path).frame_like
    if like.dtype == np.int32:
        return np.zeros((_FRAMES, *like.shape), np.int32)
    return np.random.default_rng(0).standard_normal((_FRAMES, *like.shape)).astype(like.dtype)


def _steps(folder: Path, work: Path) -> dict[str, OneStep]:
    steps: dict[str, OneStep] = {
        form: runtime_stepper(folder / name).step for form, name in GRAPHS.items() if (folder / name).is_file()
    }
    if (folder / FIRMWARE).is_dir() and manifest_of(folder)[0] == "frames":
        work.mkdir()
        twin = HostTwin(compile_host(folder / FIRMWARE, work / "twin.so", harness=FRAMES_HOST))
        steps[IN_C] = lambda _: twin.step_again()
    return steps
