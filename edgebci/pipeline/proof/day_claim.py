"""A simulated day of decoding, 8.64 million steps at 100 Hz, in the C for this machine against the float64 decoder.

Both carry their own states from the first step to the last. Each hour is kept as it ends, states included, so that an
interrupted day goes on in the hour in which it stopped.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgebci.arithmetic import F32
from edgebci.checkpoint import read_tensors, write_tensors
from edgebci.decoder_float import FloatDecoder, States
from edgebci.documents import Document, load_json
from edgebci.edge_student import load_edge_student
from edgebci.errors import VerificationError
from edgebci.example_decoder import random_frames, random_parameters
from edgebci.export.host_kernels import generate_for_host
from edgebci.files import write_text
from edgebci.firmware_sim.host_step import STEP_HARNESS, HostStepper
from edgebci.firmware_sim.toolchain import compile_host
from edgebci.pipeline.edge_student_program import build_program
from edgebci.pipeline.proof.claim import Place
from edgebci.pipeline.proof.figure import Figure
from edgebci.progress import Progress

SEED, RATE_HZ, HOURS = 1, 100, 24
CHUNK = 1_000
DRIFT_BOUND = 1.1
"""How much larger the error of the last hours may be than that of the first: the states forget within seconds, so all
hours are draws of one distribution, whose root mean squares over 360,000 steps differ by far less than a tenth."""


@dataclass(frozen=True)
class DaySize:
    """How long the day is."""

    hours: int = HOURS
    steps_per_hour: int = 3600 * RATE_HZ


class Hour(Document):
    """What one hour showed; sums over its steps and outputs."""

    hour: int
    steps: int
    square_error: float
    square_truth: float
    not_finite: int
    """Outputs that are infinite or not a number."""
    saturated_inputs: int
    """Features beyond the range of the first quantizer."""
    saturated_states: int
    """Elements of integer states at a limit of their type, counted every thousand steps."""


class _Header(Document):
    """Of the file of both states after an hour."""

    hour: int


def measure_day(place: Place, progress: Progress, size: DaySize = DaySize()) -> tuple[Figure, ...]:
    """Decode the day, hour by hour; raises VerificationError where an output is no number or the error drifts."""
    progress(0.0, "compiling")
    day = prepared_day(place, size)
    return figures_of([day.hour(k, progress) for k in range(size.hours)])


def prepared_day(place: Place, size: DaySize) -> Day:
    """Compile the reference decoder; nothing is decoded yet."""
    student = load_edge_student(place.checkout / "examples" / "edge_student.toml")
    folder = place.folder / "program"
    program = build_program(student, folder, SEED)
    generate_for_host(folder / "decoder_int8.onnx", program.front_end, folder / "steps")
    stepper = HostStepper(compile_host(folder / "steps", folder / "steps.so", harness=STEP_HARNESS))
    truth = FloatDecoder.of(student.decoder, random_parameters(student.decoder, SEED))
    act_scale = float(program.decoder.entry.tensors()["input.act_scale"])
    return Day(place.folder, stepper, truth, 127.5 * act_scale, size)


@dataclass(frozen=True)
class Day:
    """Both decoders, and where their hours are kept."""

    folder: Path
    stepper: HostStepper
    truth: FloatDecoder
    range_of_input: float
    size: DaySize

    def hour(self, k: int, progress: Progress) -> Hour:
        """One hour, from what the hour before left."""
        path = self.folder / f"hour_{k}.json"
        if path.is_file():
            return load_json(path, Hour)
        states = self._before(k)
        found = Hour(
            hour=k, steps=0, square_error=0.0, square_truth=0.0, not_finite=0, saturated_inputs=0, saturated_states=0
        )
        for start in range(0, self.size.steps_per_hour, CHUNK):
            n = min(CHUNK, self.size.steps_per_hour - start)
            frames = random_frames(self.truth.spec, n, 1 + k * self.size.steps_per_hour + start)
            truth, states = self.truth.run(frames, states)
            found = self._with_chunk(found, frames, truth)
            progress((k + start / self.size.steps_per_hour) / self.size.hours, f"hour {k + 1}")
        self._keep(k, states)
        write_text(path, found.model_dump_json() + "\n")
        return found

    def _with_chunk(self, found: Hour, frames: F32, truth: NDArray[np.float64]) -> Hour:
        outputs = self.stepper.stream(frames).astype(np.float64)
        finite = np.isfinite(outputs)
        return Hour(
            hour=found.hour,
            steps=found.steps + len(frames),
            square_error=found.square_error + float(((outputs - truth)[finite] ** 2).sum()),
            square_truth=found.square_truth + float((truth**2).sum()),
            not_finite=found.not_finite + int((~finite).sum()),
            saturated_inputs=found.saturated_inputs + int((np.abs(frames) > self.range_of_input).sum()),
            saturated_states=found.saturated_states + at_limits(self.stepper.states()),
        )

    def _before(self, k: int) -> States:
        """Both states as the hour before left them."""
        self.stepper.reset()
        if k == 0:
            return self.truth.initial_states()
        kept, _ = read_tensors(self.folder / f"states_{k - 1}.safetensors", _Header)
        tensors: dict[str, Any] = dict(kept)
        self.stepper.restore(tensors.pop("context"))
        return {name: values.astype(np.float64) for name, values in tensors.items()}

    def _keep(self, k: int, states: States) -> None:
        tensors: dict[str, NDArray[Any]] = {"context": self.stepper.snapshot(), **states}
        write_tensors(self.folder / f"states_{k}.safetensors", tensors, _Header(hour=k))


def at_limits(states: dict[str, NDArray[Any]]) -> int:
    """Elements at the least or the greatest value of an integer type."""
    whole = [values for values in states.values() if values.dtype.kind == "i"]
    return sum(int(np.isin(values, (np.iinfo(values.dtype).min, np.iinfo(values.dtype).max)).sum()) for values in whole)


def figures_of(hours: list[Hour]) -> tuple[Figure, ...]:
    """Sums over the day; raises VerificationError where an output is no number or the last hour's error is larger."""
    errors = [math.sqrt(hour.square_error / hour.square_truth) for hour in hours]
    broken, drift = sum(hour.not_finite for hour in hours), errors[-1] / errors[0]
    if broken or drift > DRIFT_BOUND:
        raise VerificationError(
            f"{broken} outputs of the simulated day are no numbers and the last hour's error is {drift:.3f} times the "
            f"first's, allowed are 0 and {DRIFT_BOUND:g}; report it with the files of this claim"
        )
    steps = sum(hour.steps for hour in hours)
    counted = Figure(
        name="steps", label="steps of a simulated day at 100 Hz, without reset", value=steps, evidence="counted"
    )
    return (
        counted,
        _like(counted, "not_finite", "outputs in it that are infinite or not a number", broken),
        Figure(
            name="drift",
            label="error of the int8 C against float64 in the last hour over that in the first",
            value=drift,
            low=min(errors) / errors[0],
            high=max(errors) / errors[0],
            unit="times",
            evidence="measured",
            note=f"normalised RMS {errors[0]:.4f} in the first hour; range over all hours; bound {DRIFT_BOUND:g}",
        ),
        _like(
            counted, "saturated_inputs", "features that saturated", sum(hour.saturated_inputs for hour in hours), False
        ),
        _like(
            counted,
            "saturated_states",
            "elements of states at a limit, looked at every 1,000 steps",
            sum(hour.saturated_states for hour in hours),
            False,
        ),
    )


def _like(figure: Figure, name: str, label: str, value: int, headline: bool = True) -> Figure:
    """A counted figure like `figure`."""
    return figure.model_copy(update={"name": name, "label": label, "value": value, "headline": headline})
