"""Proving that an exported graph computes what its reference computes, over a whole stream, before it is written.

Float graph: checked, inlined, and run by ONNX Runtime (with and without its functions) and by onnx's own evaluator,
against the NumPy decoder in float64.

Quantized graph: run by ONNX Runtime against the bit-exact reference. It is given the reference's frame and states at
every step, and each quantizer what the reference's quantizers before it gave, so that every quantizer is judged by its
own error: at most 1 LSB, on at most 0.1 % of its elements. (Where a value lies within float32 rounding of a tie, an
int8 quantizer may round the other way; behind it an int16 one, 256 times finer, then moves by more than 1 LSB. Measured
without that cut too, and held to the same 0.1 %; in a stream of fewer than 3,000 steps, up to three may differ, if in
each of them a quantizer was seen to round the other way.) Free-running, R2 may differ by 0.001.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgebci.agreement import FloatAgreement, QuantizedAgreement
from edgebci.arithmetic import F32
from edgebci.decoder_float import F64, FloatDecoder, Parameters
from edgebci.decoder_spec import DecoderSpec
from edgebci.errors import VerificationError
from edgebci.export.step_runner import OnnxStepRunner, Step, evaluator_step, open_session, runtime_step
from edgebci.export.stream_comparison import (
    CURE,
    FLOAT_TOLERANCE,
    LARGEST_LSB,
    FloatFollower,
    FloatReference,
    QuantizedReference,
    QuantizerFollower,
    Spec,
    cut_at_quantizers,
    exposed,
)
from edgebci.export.traceability import inline
from edgebci.metrics import r2
from edgebci.progress import Progress, part, silent

Bool = NDArray[np.bool_]

LARGEST_R2_DIFFERENCE = 1e-3
EVALUATOR_STEPS = 300
"""Through onnx's own evaluator, which is slow."""


def inlined(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without its local functions, fully checked; its nodes say where they came from (`traceability`)."""
    onnx.checker.check_model(model, full_check=True)
    flat = inline(model)
    onnx.checker.check_model(flat, full_check=True)
    return flat


def verify_float(
    model: onnx.ModelProto,
    spec: DecoderSpec,
    parameters: Parameters,
    frames: F32,
    reset_before: Bool | None = None,
    evaluator_steps: int | None = None,
    progress: Progress = silent,
    tolerance: float = FLOAT_TOLERANCE,
) -> FloatAgreement:
    """Follow the float graph over frames (T, n_inputs) in every implementation.

    `evaluator_steps` is EVALUATOR_STEPS where it is None; `tolerance` is relative to the largest value of a tensor; the
    fp16 form has its own (`half_graph.HALF_TOLERANCE`).

    Raises:
        VerificationError: names the implementation, the first tensor and the step that differ.
    """
    return verify_float_reference(
        model, FloatDecoder.of(spec, parameters), frames, reset_before, evaluator_steps, progress, tolerance
    )


def verify_float_reference(
    model: onnx.ModelProto,
    decoder: FloatReference,
    frames: NDArray[Any],
    reset_before: Bool | None = None,
    evaluator_steps: int | None = None,
    progress: Progress = silent,
    tolerance: float = FLOAT_TOLERANCE,
) -> FloatAgreement:
    """`verify_float` for any decoder."""
    flat = inlined(model)
    evaluated = min(EVALUATOR_STEPS if evaluator_steps is None else evaluator_steps, len(frames))
    forms: list[tuple[str, Step, int]] = [
        ("ONNX Runtime", runtime_step(open_session(model)), len(frames)),
        ("ONNX Runtime, inlined", runtime_step(open_session(flat)), evaluated),
        ("reference evaluator", evaluator_step(model), evaluated),
    ]
    errors = {}
    for i, (form, step, n_steps) in enumerate(forms):
        resets = None if reset_before is None else reset_before[:n_steps]
        follow = FloatFollower(form, step, decoder, tolerance)
        errors[form] = follow.stream(frames[:n_steps], resets, part(progress, i / 3, (i + 1) / 3))
    return FloatAgreement(steps=len(frames), evaluator_steps=evaluated, tolerance=tolerance, largest_error=errors)


def verify_quantized(
    model: onnx.ModelProto,
    decoder: QuantizedReference,
    frames: NDArray[Any],
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
    each = QuantizerFollower(decoder, cut_at_quantizers(model), LARGEST_LSB)
    each.stream(frames, reset_before, part(progress, 0.0, 0.4))
    whole = QuantizerFollower(decoder, exposed(model), None, each.differing_steps())
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


def _r2_difference(spec: Spec, truth: F64, reference: F64, found: F32) -> tuple[float, ...]:
    difference = r2(truth, found.astype(np.float64)) - r2(truth, reference)
    for name, value in zip(spec.output_names, difference, strict=True):
        if not abs(value) <= LARGEST_R2_DIFFERENCE:
            raise VerificationError(
                f"free-running in ONNX Runtime, R2 of {name} differs by {value:.2g} from the reference, allowed is "
                f"{LARGEST_R2_DIFFERENCE:g}; {CURE}"
            )
    return tuple(float(value) for value in difference)
