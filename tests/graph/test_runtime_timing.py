"""Forms are timed side by side, and a form that is meant to be fast and is not is said to be slower."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from edgebci.errors import InputError
from edgebci.export.run_decoder import BoundDecoder
from edgebci.export.runtime_timing import RuntimeTiming, StepTime, time_forms


def timing(int8_us: float, fp32_us: float) -> RuntimeTiming:
    times = [
        StepTime(form=form, median_us=us, p99_us=2 * us, slowest_us=3 * us)
        for form, us in (("fp32", fp32_us), ("int8", int8_us))
    ]
    return RuntimeTiming(provider="cpu", steps=1000, times=tuple(times))


def paths(form: Any, folder: Path) -> dict[str, Path]:
    found = {"fp32": folder / "float.onnx", "int8": folder / "int8.onnx"}
    onnx.save(form.float_graph, found["fp32"])
    onnx.save(form.quantized_graph, found["int8"])
    return found


def test_an_int8_form_that_is_slower_is_said_to_be_slower() -> None:
    assert timing(50.0, 40.0).sentence() == (
        "int8 is slower than fp32 on this machine, 1.25 times: a step takes 50.0 µs in int8 and 40.0 µs in fp32 "
        "(medians of 1000, cpu); it is for chips with integer arithmetic and for size"
    )


def test_an_int8_form_that_is_faster_is_said_to_be_faster() -> None:
    assert timing(20.0, 40.0).sentence() == (
        "int8 is 2.00 times as fast as fp32 on this machine: a step takes 20.0 µs in int8 and 40.0 µs in fp32 "
        "(medians of 1000, cpu)"
    )


def test_what_was_not_timed_has_no_sentence() -> None:
    with pytest.raises(InputError, match="'fp16' was not timed; there are fp32, int8"):
        timing(1.0, 1.0).sentence("fp16")


def test_every_form_of_a_decoder_is_timed_over_the_same_number_of_steps(mamba2: Any, tmp_path: Path) -> None:
    found = time_forms(paths(mamba2, tmp_path), mamba2.frames[:70], rounds=3)
    assert ([entry.form for entry in found.times], found.steps) == (["fp32", "int8"], 150)
    for entry in found.times:
        assert 0 < entry.median_us <= entry.p99_us <= entry.slowest_us
    assert found.sentence().startswith("int8 is ")
    assert found.evidence == "measured"


def test_forms_take_turns_and_the_order_turns_round(
    mamba2: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that a step moves by its turn: the median of a form is then the middle of its turns."""
    order: list[int] = []
    opened: list[BoundDecoder] = []
    clock = {"ns": 0}

    def step(self: BoundDecoder, _: Any) -> None:
        if not any(self is other for other in opened):
            opened.append(self)
        order.append(next(i for i, other in enumerate(opened) if other is self))
        clock["ns"] += 1000 * (1 + order[-1])

    monkeypatch.setattr(BoundDecoder, "step", step)
    monkeypatch.setattr(time, "perf_counter_ns", lambda: clock["ns"])
    found = time_forms(paths(mamba2, tmp_path), mamba2.frames[:70], rounds=2)
    turns = [0, 1, 0, 1, 1, 0]  # warm-up, then two rounds
    assert order == [turn for turn in turns for _ in range(50)]
    assert [entry.median_us for entry in found.times] == [1.0, 2.0]


@pytest.mark.parametrize(("forms", "n", "rounds"), [(0, 5, 1), (2, 0, 1), (2, 5, 0)])
def test_nothing_to_time_is_refused(mamba2: Any, tmp_path: Path, forms: int, n: int, rounds: int) -> None:
    given = dict(list(paths(mamba2, tmp_path).items())[:forms])
    with pytest.raises(InputError, match=rf"{forms} forms, {n} frames, {rounds} rounds to time; give at least one"):
        time_forms(given, np.zeros((n, 48), np.float32), rounds=rounds)
