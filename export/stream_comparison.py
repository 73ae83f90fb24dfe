"""Following a graph through a stream beside its reference, and telling where the two part.

Both followers run the reference over a chunk at a time, the graph step by step, and compare the chunk: the first tensor
of the first step that differs too much is named in a VerificationError.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from edgebci.agreement import QuantizerAgreement
from edgebci.arithmetic import F32
from edgebci.decoder_float import F64, States, segments
from edgebci.errors import InputError, VerificationError
from edgebci.export.step_runner import Step, Tensors, open_session, runtime_step
from edgebci.operators.cell import Tap
from edgebci.progress import Progress
from edgebci.quantized_decoder import QuantizedStates

Bool = NDArray[np.bool_]

CHUNK = 256
FLOAT_TOLERANCE = 1e-4
"""Single precision gives about 1e-6 of the largest value per step; slow modes add up some hundred such errors."""
LARGEST_LSB, LARGEST_SHARE = 1, 1e-3
FEWEST = 3
"""Elements that may differ in a stream too short to tell a share of 0.1 % from chance; or whole steps, where in each of
them a quantizer that was given the reference's own values rounds the other way, too."""
REFERENCE_SUFFIX = ".reference"
CURE = "nothing is written: try another onnxruntime, and if it persists report it with the checkpoint"


LONG = 2000
"""Steps after which what adds up in a float state has shown itself: at 50 Hz some 40 s, longer than any decay."""


def long_stream(frames: NDArray[Any], reset_before: Bool | None, least: int = LONG) -> tuple[NDArray[Any], Bool]:
    """The stream (T, ...) itself or repeated, each time from a reset, to at least `least` steps, with a reset within.

    Raises:
        InputError: no frames.
    """
    n = len(frames)
    if not n:
        raise InputError("no frames to verify with; give a stream that has some")
    resets = np.zeros(n, bool) if reset_before is None else reset_before
    if n < least:
        anew = resets | (np.arange(n) == 0)
        repeated = np.arange(least) % n
        return frames[repeated], anew[repeated]
    return frames, resets if resets[1:].any() else resets | np.isin(np.arange(n), (0, n // 2))


class Spec(Protocol):
    """What a decoder gives."""

    @property
    def output_names(self) -> tuple[str, ...]:
        """Decoded axes."""
        ...


class FloatReference(Protocol):
    """A decoder in float64; a frame is whatever its graph takes as `frame`."""

    def initial_states(self) -> States:
        """The state at power-on and after a reset."""
        ...

    def run(self, frames: Any, states: States, tap: Tap) -> tuple[F64, States]:
        """Frames (T, ...) that follow each other, to outputs (T, n_outputs) and the next states."""
        ...


class QuantizedReference(Protocol):
    """A bit-exact decoder."""

    @property
    def spec(self) -> Spec:
        """What it gives."""
        ...

    def initial_states(self) -> QuantizedStates:
        """The state at power-on and after a reset."""
        ...

    def stream(self, frames: Any, reset_before: Bool | None) -> F32:
        """Frames (T, ...) from zero states to outputs (T, n_outputs)."""
        ...

    def run(self, frames: Any, states: QuantizedStates, tap: Tap) -> tuple[F32, QuantizedStates]:
        """Frames (T, ...) that follow each other, to outputs (T, n_outputs) and the next states."""
        ...


@dataclass
class FloatFollower:
    """Runs one implementation beside the NumPy decoder."""

    form: str
    step: Step
    decoder: FloatReference
    tolerance: float = FLOAT_TOLERANCE

    def stream(self, frames: NDArray[Any], reset_before: Bool | None, progress: Progress) -> float:
        """The largest relative error."""
        largest, zero = 0.0, self.decoder.initial_states()
        expected_states, states = zero, _to_float32(zero)
        for start, stop, reset in segments(len(frames), reset_before, CHUNK):
            if reset:
                expected_states, states = zero, _to_float32(zero)
            tapped: dict[str, F64] = {}
            outputs, expected_states = self.decoder.run(frames[start:stop], expected_states, tapped.__setitem__)
            states_after = {name: values for name, values in tapped.items() if name.endswith(".next")}
            expected = states_after | {"output": outputs}
            found = []
            for frame in frames[start:stop]:
                results = self.step({"frame": frame, **states})
                states = {name: results[f"{name}.next"] for name in states}
                found.append(results)
            largest = max(largest, self._compare(expected, found, start))
            progress(stop / len(frames), f"float graph in {self.form}")
        return largest

    def _compare(self, expected: dict[str, F64], found: list[Tensors], start: int) -> float:
        errors = {}
        for name, values in expected.items():
            scale = max(float(np.abs(values).max()), 1e-12)
            distance = np.abs(_stacked(found, name) - values).reshape(len(values), -1)
            errors[name] = distance.max(axis=1) / scale
        wrong = {name: ~(error <= self.tolerance) for name, error in errors.items()}  # NaN is wrong
        if first := _first(wrong):
            name, k = first
            raise VerificationError(
                f"{self.form}: {name} differs at step {start + k} by {errors[name][k]:.2g} of its largest value, "
                f"allowed is {self.tolerance:g}; {CURE}"
            )
        return max(float(error.max()) for error in errors.values())


def _stacked(found: list[Tensors], name: str) -> NDArray[Any]:
    """The values of all steps (T, ...); of a convolution's state the newest column, which is what a step computes."""
    values = np.stack([results[name] for results in found])
    return values[..., -1] if name.startswith("conv.") else values


def _first(wrong: dict[str, Bool]) -> tuple[str, int] | None:
    """The earliest wrong step, and there the tensor that is computed first."""
    firsts = [(int(np.argmax(steps)), name) for name, steps in wrong.items() if steps.any()]
    if not firsts:
        return None
    step, name = min(firsts, key=lambda found: found[0])
    return name, step


@dataclass
class _Tally:
    elements: int = 0
    step_elements: int = 0
    differing: int = 0
    largest: int = 0
    by_step: dict[int, int] = field(default_factory=dict)
    """Differing elements of each step that has some."""

    def add(self, distance: NDArray[np.int32], start: int) -> None:
        """Take the distances (T, elements) of a chunk that begins at step `start`."""
        counts = np.count_nonzero(distance, axis=1)
        self.by_step |= {start + int(k): int(counts[k]) for k in np.flatnonzero(counts)}
        self.elements += distance.size
        self.step_elements = distance.shape[1]
        self.differing += int(counts.sum())
        self.largest = max(self.largest, int(distance.max()))

    def beyond(self, ties: Set[int]) -> int:
        """Differing elements of steps other than `ties`."""
        return sum(count for step, count in self.by_step.items() if step not in ties)


class QuantizerFollower:
    """Runs a graph whose quantizers are outputs, given at each step what the reference had."""

    def __init__(
        self,
        decoder: QuantizedReference,
        model: onnx.ModelProto,
        largest_lsb: int | None,
        ties: Set[int] = frozenset(),
    ) -> None:
        """`ties`: steps in which a quantizer by itself rounds the other way, so that what is behind it may differ."""
        self._decoder, self._step = decoder, runtime_step(open_session(model))
        self._references = [value.name for value in model.graph.input if value.name.endswith(REFERENCE_SUFFIX)]
        self._largest_lsb, self._ties = largest_lsb, ties
        self._tallies: dict[str, _Tally] = {}

    def stream(self, frames: NDArray[Any], reset_before: Bool | None, progress: Progress) -> None:
        """Go through (T, n_inputs); raises VerificationError at the first step beyond the largest LSB allowed."""
        states = self._decoder.initial_states()
        for start, stop, reset in segments(len(frames), reset_before, CHUNK):
            states = self._decoder.initial_states() if reset else states
            expected: Tensors = {}
            _, following = self._decoder.run(frames[start:stop], states, expected.__setitem__)
            found = []
            for k, frame in enumerate(frames[start:stop]):
                before = {name: expected[f"{name}.next"][k - 1] for name in states} if k else states
                given = {name: expected[name.removesuffix(REFERENCE_SUFFIX)][k] for name in self._references}
                found.append(self._step({"frame": frame, **before, **given}))
            self._compare(expected, found, start)
            states = following
            progress(stop / len(frames), "quantized graph in ONNX Runtime")

    def _compare(self, expected: Tensors, found: list[Tensors], start: int) -> None:
        distances = {}
        for name, values in expected.items():
            newest = values[..., -1] if name.startswith("conv.") else values
            distance = np.abs(_stacked(found, name).astype(np.int32) - newest).reshape(len(newest), -1)
            self._tallies.setdefault(name, _Tally()).add(distance, start)
            distances[name] = distance.max(axis=1)
        limit = self._largest_lsb
        first = _first({name: distance > limit for name, distance in distances.items()}) if limit is not None else None
        if first:
            name, k = first
            raise VerificationError(
                f"ONNX Runtime: {name} differs at step {start + k} by {distances[name][k]} LSB from the reference, "
                f"allowed is {limit}; {CURE}"
            )

    def differing_steps(self) -> Set[int]:
        """Steps in which any quantizer differed."""
        return {step for tally in self._tallies.values() for step in tally.by_step}

    def agreements(self) -> tuple[QuantizerAgreement, ...]:
        """One per quantizer, in the order of computation; raises VerificationError where too many elements differ."""
        for name, tally in self._tallies.items():
            # One value rounded the other way moves all that is behind it in that step, so chance is counted in steps
            # there; what differs in other steps has no such excuse.
            least, allowed = FEWEST * (tally.step_elements if self._ties else 1), LARGEST_SHARE * tally.elements
            if tally.differing > max(allowed, least) or tally.beyond(self._ties) > max(allowed, FEWEST):
                raise VerificationError(
                    f"ONNX Runtime: {tally.differing} of {tally.elements} elements of {name} differ from the "
                    f"reference, the first at step {min(tally.by_step)}, allowed are {LARGEST_SHARE:.1%}; {CURE}"
                )
        return tuple(
            QuantizerAgreement(name=name, elements=tally.elements, differing=tally.differing, largest_lsb=tally.largest)
            for name, tally in self._tallies.items()
        )


def _int8_values(model: onnx.ModelProto) -> list[str]:
    """Outputs of the quantizers at the top level; those inside steps of cells are state outputs."""
    kinds = ("QuantizeLinear", "RmsNormQuantize", "StateQuantize", "StateQuantizeInt8", "SiluQuantize")
    return [node.output[0] for node in model.graph.node if node.op_type in kinds]


def exposed(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy whose int8 values are outputs too."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    outputs = [helper.make_tensor_value_info(name, TensorProto.INT8, [None]) for name in _int8_values(model)]
    copy.graph.output.extend(outputs)
    return copy


def cut_at_quantizers(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which whatever reads an int8 value reads an input `{name}.reference` in its place."""
    copy, names = exposed(model), _int8_values(model)
    for node in copy.graph.node:
        node.input[:] = [name + REFERENCE_SUFFIX if name in names else name for name in node.input]
    inputs = [helper.make_tensor_value_info(name + REFERENCE_SUFFIX, TensorProto.INT8, [None]) for name in names]
    copy.graph.input.extend(inputs)
    return copy


def _to_float32(states: dict[str, F64]) -> dict[str, NDArray[Any]]:
    return {name: values.astype(np.float32) for name, values in states.items()}
