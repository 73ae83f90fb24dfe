"""Proving a typed step: its floating-point parts against the float decoder, each int8 layer against integers.

fp32 and fp16 forms follow the decoder in float64 over the whole stream, with their own tolerances. The int8 form is the
fp16 form with other dense layers, so that two proofs together cover it: the fp16 form follows the decoder, and each
int8 layer, at every step and on the input that it really gets, gives what integer sums of its counts give.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from edgebci.agreement import FloatAgreement
from edgebci.documents import Document
from edgebci.errors import VerificationError
from edgebci.export.half_graph import HALF_TOLERANCE
from edgebci.export.step_runner import OnnxStepRunner, open_session, runtime_step
from edgebci.export.stream_comparison import CURE, FLOAT_TOLERANCE, Bool, FloatReference
from edgebci.export.tensorrt.int8_tokens import LAYER, TokensInInt8
from edgebci.export.tensorrt.typed_graph import DenseRecord, Integers, TypedStep
from edgebci.export.verification import verify_float_reference
from edgebci.metrics import F64
from edgebci.progress import Progress, silent
from edgebci.targets import Precision

_HALF_STEP = 2.0**-11
"""fp16 rounds by at most this share of a value."""


class LayerAgreement(Document):
    """Every int8 layer of a graph in ONNX Runtime against integer sums of the same counts."""

    steps: int
    layers: tuple[str, ...]
    largest_share: float
    """The largest error as a share of what rounding to fp16 can make: at most 1."""


def verify_floating(
    step: TypedStep,
    reference: FloatReference,
    frames: NDArray[Any],
    reset_before: Bool,
    precision: Precision,
    evaluator_steps: int | None = None,
) -> FloatAgreement:
    """Follow an fp32 or fp16 step; raises VerificationError as `verify_float` does."""
    tolerance = FLOAT_TOLERANCE if precision == "fp32" else HALF_TOLERANCE
    return verify_float_reference(step.model, reference, frames, reset_before, evaluator_steps, tolerance=tolerance)


def verify_int8_layers(
    step: TypedStep,
    integers: Integers,
    frames: NDArray[Any],
    reset_before: Bool,
    progress: Progress = silent,
) -> LayerAgreement:
    """Run frames (T, ...) through the int8 step and compute each int8 layer beside it from what it was given.

    Raises:
        VerificationError: names the first layer and step that differ by more than fp16 rounding can.
    """
    layers = [_layer(record, step.model, integers) for record in step.layers if record.computes == "int8"]
    exposed = _exposed(step.model, [layer.borders for layer in layers])
    run, zero = runtime_step(open_session(exposed)), OnnxStepRunner(step.model).initial_states()
    states, largest = zero, 0.0
    for k, frame in enumerate(frames):
        states = zero if reset_before[k] else states
        found = run({"frame": frame, **states}) | {"frame": frame}
        states = {name: found[f"{name}.next"] for name in states}
        largest = max([largest, *(layer.error(found, k) for layer in layers)])
        if k % 256 == 0:
            progress(k / len(frames), "int8 layers in ONNX Runtime")
    return LayerAgreement(steps=len(frames), layers=tuple(layer.name for layer in layers), largest_share=largest)


def _layer(record: DenseRecord, model: onnx.ModelProto, integers: Integers) -> TokensInInt8 | _Layer:
    return TokensInInt8(model, integers) if record.name == LAYER else _Layer(record, model, integers)


class _Layer:
    """One int8 layer in integers."""

    def __init__(self, record: DenseRecord, model: onnx.ModelProto, integers: Integers) -> None:
        self.name = name = record.name
        # The counts come from the decoder, not from the graph that is judged; the scales as fp16 holds them.
        self._weight = integers[f"{name}.weight"].astype(np.float64)
        self._act_scale = float(integers[f"{name}.act_scale"].astype(np.float16))
        weight_scale = integers[f"{name}.weight_scale"].astype(np.float16).astype(np.float64)
        self._scale: F64 = self._act_scale * weight_scale
        bias = integers.get(f"{name}.bias", np.zeros(record.outputs))
        self._bias = bias.astype(np.float16).astype(np.float64)
        nodes = {node.name: node for node in model.graph.node if node.name.startswith(f"{name}/")}
        first, last = ("wide", "kept") if record.padded_to else ("row", "y")
        self._given, self._gives = nodes[f"{name}/{first}"].input[0], nodes[f"{name}/{last}"].output[0]
        self.borders = dict.fromkeys((self._given, self._gives), np.float16)

    def error(self, found: dict[str, NDArray[Any]], step: int) -> float:
        """Of one step, as a share of the bound."""
        x = found[self._given].astype(np.float64)
        q = np.clip(np.rint(x / self._act_scale), -128, 127)
        product = (self._weight @ q) * self._scale
        expected = product + self._bias
        # Both factors of every product are rounded, then the sum, then the sum with the bias; 1 % for what is left out.
        terms = (np.abs(self._weight) @ np.abs(q)) * self._scale
        bound = 1.01 * _HALF_STEP * (2 * terms + np.abs(product) + np.abs(expected)) + np.finfo(np.float16).tiny
        share = float(np.max(np.abs(found[self._gives].astype(np.float64) - expected) / bound))
        if not share <= 1.0:
            raise VerificationError(
                f"the int8 layer {self.name} differs at step {step} by {share:.2g} times what rounding to fp16 "
                f"can make; {CURE}"
            )
        return share


def _exposed(model: onnx.ModelProto, borders: Sequence[Mapping[str, type[np.generic]]]) -> onnx.ModelProto:
    """A copy that gives these values, too, each once."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    given = {value.name for value in copy.graph.output}
    for name, dtype in {name: dtype for layer in borders for name, dtype in layer.items()}.items():
        if name not in given:
            kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
            copy.graph.output.append(helper.make_tensor_value_info(name, kind, None))
    return copy
