"""Proving that an exported graph computes what its reference computes, over a whole stream, before it is written.

Float graph: checked, inlined, and run by ONNX Runtime (with and without its functions) and by onnx's own evaluator,
against the NumPy decoder in float64.

Quantized graph: run by ONNX Runtime against the bit-exact reference. It is given the reference's frame and states at
every step, and each quantizer what the reference's quantizers before it gave, so that every quantizer is judged by its
own error: at most 1 LSB, on at most 0.1 % of its elements. (Where a value lies within float32 rounding of a tie, an
int8 quantizer may round the other way; behind it an int16 one, 256 times finer, then moves by more than 1 LSB. Measured
without that cut too, and held to the same 0.1 %.) Free-running, R2 may differ by 0.001.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnx.inliner
from numpy.typing import NDArray
from onnx import TensorProto, helper

from edgebci.agreement import FloatAgreement, QuantizedAgreement, QuantizerAgreement
from edgebci.arithmetic import F32
from edgebci.decoder_float import F64, FloatDecoder, Parameters, segments
from edgebci.decoder_spec import DecoderSpec
from edgebci.errors import VerificationError
from edgebci.export.step_runner import OnnxStepRunner, Step, Tensors, evaluator_step, open_session, runtime_step
from edgebci.metrics import r2
from edgebci.progress import Progress, part, silent
from edgebci.quantized_decoder import QuantizedDecoder

Bool = NDArray[np.bool_]

CHUNK = 256
FLOAT_TOLERANCE = 1e-4
"""Single precision gives about 1e-6 of the largest value per step; slow modes add up some hundred such errors."""
LARGEST_LSB, LARGEST_SHARE, LARGEST_R2_DIFFERENCE = 1, 1e-3, 1e-3
_CURE = "nothing is written: try another onnxruntime, and if it persists report it with the checkpoint"


def inlined(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without its local functions, fully checked."""
    onnx.checker.check_model(model, full_check=True)
    flat: onnx.ModelProto = onnx.inliner.inline_local_functions(model)
    onnx.checker.check_model(flat, full_check=True)
    return flat


def verify_float(
    model: onnx.ModelProto,
    spec: DecoderSpec,
    parameters: Parameters,
    frames: F32,
    reset_before: Bool | None = None,
    evaluator_steps: int = 300,
    progress: Progress = silent,
) -> FloatAgreement:
    """Follow the float graph over frames (T, n_inputs) in every implementation.

    Raises:
        VerificationError: names the implementation, the first tensor and the step that differ.
    """
    decoder, flat = FloatDecoder.of(spec, parameters), inlined(model)
    evaluated = min(evaluator_steps, len(frames))
    forms: list[tuple[str, Step, int]] = [
        ("ONNX Runtime", runtime_step(open_session(model)), len(frames)),
        ("ONNX Runtime, inlined", runtime_step(open_session(flat)), evaluated),
        ("reference evaluator", evaluator_step(model), evaluated),
    ]
    errors = {}
    for i, (form, step, n_steps) in enumerate(forms):
        resets = None if reset_before is None else reset_before[:n_steps]
        follow = _FloatFollower(form, step, decoder)
        errors[form] = follow.stream(frames[:n_steps], resets, part(progress, i / 3, (i + 1) / 3))
    return FloatAgreement(steps=len(frames), evaluator_steps=evaluated, tolerance=FLOAT_TOLERANCE, largest_error=errors)


@dataclass
class _FloatFollower:
    """Runs one implementation beside the NumPy decoder."""

    form: str
    step: Step
    decoder: FloatDecoder

    def stream(self, frames: F32, reset_before: Bool | None, progress: Progress) -> float:
        """The largest relative error."""
        largest, zero = 0.0, self.decoder.initial_states()
        expected_states, states = zero, _to_float32(zero)
        for start, stop, reset in segments(len(frames), reset_before, CHUNK):
            if reset:
                expected_states, states = zero, _to_float32(zero)
            tapped: dict[str, F64] = {}
            outputs, expected_states = self.decoder.run(frames[start:stop], expected_states, tapped.__setitem__)
            expected = _named_by_the_graph(tapped, self.decoder.spec) | {"output": outputs}
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
        wrong = {name: ~(error <= FLOAT_TOLERANCE) for name, error in errors.items()}  # NaN is wrong
        if first := _first(wrong):
            name, k = first
            raise VerificationError(
                f"{self.form}: {name} differs at step {start + k} by {errors[name][k]:.2g} of its largest value, "
                f"allowed is {FLOAT_TOLERANCE:g}; {_CURE}"
            )
        return max(float(error.max()) for error in errors.values())


def _named_by_the_graph(tapped: dict[str, F64], spec: DecoderSpec) -> dict[str, F64]:
    named = {}
    for i in range(spec.n_layers):
        named[f"conv.{i}.next"] = tapped[f"layers.{i}.xbc"]
        named[f"ssm.{i}.next"] = tapped[f"ssm.{i}"]
    return named


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


def verify_quantized(
    model: onnx.ModelProto,
    decoder: QuantizedDecoder,
    frames: F32,
    reset_before: Bool | None = None,
    truth: F64 | None = None,
    scored: Bool | None = None,
    progress: Progress = silent,
) -> QuantizedAgreement:
    """Follow the quantized graph over frames (T, n_inputs) in ONNX Runtime.

    Args:
        model: the graph.
        decoder: the bit-exact reference.
        frames: normalised features.
        reset_before: (T,) true where the states start anew.
        truth: (T, n_outputs) against which R2 is compared; None takes the reference's own output.
        scored: (T,) frames that count in R2; None is all.
        progress: told how far it is.

    Raises:
        VerificationError: names the first tensor and the step that differ, or the output whose R2 differs.
    """
    inlined(model)
    each = _QuantizerFollower(decoder, _cut_at_quantizers(model), LARGEST_LSB)
    each.stream(frames, reset_before, part(progress, 0.0, 0.4))
    whole = _QuantizerFollower(decoder, _exposed(model), None)
    whole.stream(frames, reset_before, part(progress, 0.4, 0.8))
    outputs = OnnxStepRunner(model).stream(frames, reset_before, part(progress, 0.8, 1.0))
    reference = decoder.stream(frames, reset_before).astype(np.float64)
    counted = slice(None) if scored is None else scored
    compared = (reference if truth is None else truth)[counted]
    return QuantizedAgreement(
        steps=len(frames),
        each_quantizer=each.agreements(),
        whole_step=whole.agreements(),
        free_running_r2_difference=_r2_difference(decoder.spec, compared, reference[counted], outputs[counted]),
    )


def _r2_difference(spec: DecoderSpec, truth: F64, reference: F64, found: F32) -> tuple[float, ...]:
    difference = r2(truth, found.astype(np.float64)) - r2(truth, reference)
    for name, value in zip(spec.output_names, difference, strict=True):
        if not abs(value) <= LARGEST_R2_DIFFERENCE:
            raise VerificationError(
                f"free-running in ONNX Runtime, R2 of {name} differs by {value:.2g} from the reference, allowed is "
                f"{LARGEST_R2_DIFFERENCE:g}; {_CURE}"
            )
    return tuple(float(value) for value in difference)


@dataclass
class _Tally:
    elements: int = 0
    differing: int = 0
    largest: int = 0
    first_step: int | None = None

    def add(self, distance: NDArray[np.int32], start: int) -> None:
        """Take the distances (T, elements) of a chunk that begins at step `start`."""
        wrong = distance.any(axis=1)
        if self.first_step is None and wrong.any():
            self.first_step = start + int(np.argmax(wrong))
        self.elements += distance.size
        self.differing += int(np.count_nonzero(distance))
        self.largest = max(self.largest, int(distance.max()))


class _QuantizerFollower:
    """Runs a graph whose quantizers are outputs, given at each step what the reference had."""

    def __init__(self, decoder: QuantizedDecoder, model: onnx.ModelProto, largest_lsb: int | None) -> None:
        self._decoder, self._step = decoder, runtime_step(open_session(model))
        self._references = [value.name for value in model.graph.input if value.name.endswith(_REFERENCE)]
        self._largest_lsb = largest_lsb
        self._tallies: dict[str, _Tally] = {}

    def stream(self, frames: F32, reset_before: Bool | None, progress: Progress) -> None:
        states = self._decoder.initial_states()
        for start, stop, reset in segments(len(frames), reset_before, CHUNK):
            states = self._decoder.initial_states() if reset else states
            expected: Tensors = {}
            _, following = self._decoder.run(frames[start:stop], states, expected.__setitem__)
            found = []
            for k, frame in enumerate(frames[start:stop]):
                before = {name: expected[f"{name}.next"][k - 1] for name in states} if k else states
                given = {name: expected[name.removesuffix(_REFERENCE)][k] for name in self._references}
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
                f"allowed is {limit}; {_CURE}"
            )

    def agreements(self) -> tuple[QuantizerAgreement, ...]:
        """One per quantizer, in the order of computation; raises VerificationError where too many elements differ."""
        for name, tally in self._tallies.items():
            if tally.differing > LARGEST_SHARE * tally.elements:
                raise VerificationError(
                    f"ONNX Runtime: {tally.differing} of {tally.elements} elements of {name} differ from the "
                    f"reference, the first at step {tally.first_step}, allowed are {LARGEST_SHARE:.1%}; {_CURE}"
                )
        return tuple(
            QuantizerAgreement(name=name, elements=tally.elements, differing=tally.differing, largest_lsb=tally.largest)
            for name, tally in self._tallies.items()
        )


_REFERENCE = ".reference"


def _int8_values(model: onnx.ModelProto) -> list[str]:
    """Outputs of the quantizers at the top level; those inside Mamba2Step are its state outputs."""
    kinds = ("QuantizeLinear", "RmsNormQuantize")
    return [node.output[0] for node in model.graph.node if node.op_type in kinds]


def _exposed(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy whose int8 values are outputs too."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    outputs = [helper.make_tensor_value_info(name, TensorProto.INT8, [None]) for name in _int8_values(model)]
    copy.graph.output.extend(outputs)
    return copy


def _cut_at_quantizers(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which whatever reads an int8 value reads an input `{name}.reference` in its place."""
    copy, names = _exposed(model), _int8_values(model)
    for node in copy.graph.node:
        node.input[:] = [name + _REFERENCE if name in names else name for name in node.input]
    inputs = [helper.make_tensor_value_info(name + _REFERENCE, TensorProto.INT8, [None]) for name in names]
    copy.graph.input.extend(inputs)
    return copy


def _to_float32(states: dict[str, F64]) -> dict[str, NDArray[Any]]:
    return {name: values.astype(np.float32) for name, values in states.items()}
