"""Proving that the step graph in fixed point gives the bits of its reference, over a whole stream with resets.

Nothing in it rounds otherwise from runtime to runtime: integers add exactly, and what is float32 is computed operation
by operation in the reference's order. So there is no tolerance: outputs are compared at every step, states wherever the
reference's chunks end, both runs carrying their own.
"""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray

from edgebci.agreement import QuantizedAgreement, QuantizerAgreement
from edgebci.arithmetic import F32
from edgebci.decoder_float import segments
from edgebci.errors import VerificationError
from edgebci.export.step_runner import Step, Tensors, evaluator_step, open_session, runtime_step
from edgebci.export.stream_comparison import CURE
from edgebci.export.verification import inlined
from edgebci.fixed_decoder import CHUNK, FixedDecoder
from edgebci.progress import Progress, part, silent

INLINED, EVALUATED = 100, 8
"""First steps, through the inlined graph, and through onnx's own evaluator, which is slow."""


def verify_fixed(
    model: onnx.ModelProto,
    decoder: FixedDecoder,
    frames: F32,
    reset_before: NDArray[np.bool_] | None = None,
    progress: Progress = silent,
) -> QuantizedAgreement:
    """Follow the graph over frames (T, n_inputs) in ONNX Runtime, with functions and inlined, and in onnx's evaluator.

    Raises:
        VerificationError: names the implementation, the first tensor and the step where they differ.
    """
    flat = inlined(model)
    forms: list[tuple[str, Step, int]] = [
        ("ONNX Runtime", runtime_step(open_session(model)), len(frames)),
        ("ONNX Runtime, inlined", runtime_step(open_session(flat)), min(INLINED, len(frames))),
        ("the reference evaluator", evaluator_step(flat), min(EVALUATED, len(frames))),
    ]
    for i, (form, step, n) in enumerate(forms):
        resets = None if reset_before is None else reset_before[:n]
        _follow(form, step, decoder, frames[:n], resets, part(progress, i / 3, (i + 1) / 3))
    sizes = {"output": decoder.spec.n_outputs} | {n: int(v.size) for n, v in decoder.initial_states().items()}
    equal = tuple(
        QuantizerAgreement(name=name, elements=size * len(frames), differing=0, largest_lsb=0)
        for name, size in sizes.items()
    )
    zero = (0.0,) * decoder.spec.n_outputs
    return QuantizedAgreement(
        steps=len(frames), each_quantizer=equal, whole_step=equal, free_running_r2_difference=zero
    )


def _follow(
    form: str,
    step: Step,
    decoder: FixedDecoder,
    frames: F32,
    reset_before: NDArray[np.bool_] | None,
    progress: Progress,
) -> None:
    expected_states = states = decoder.initial_states()
    for start, stop, reset in segments(len(frames), reset_before, CHUNK):
        if reset:
            expected_states = states = decoder.initial_states()
        expected, expected_states = decoder.run(frames[start:stop], expected_states)
        for k, frame in enumerate(frames[start:stop]):
            results = step({"frame": frame, **states})
            _require_equal(form, start + k, {"output": expected[k]}, results)
            states = {name: results[f"{name}.next"] for name in states}
        _require_equal(form, stop - 1, expected_states, states)
        progress(stop / len(frames), f"fixed-point graph in {form}")


def _require_equal(form: str, step: int, expected: Tensors, found: Tensors) -> None:
    for name, values in expected.items():
        if values.tobytes() != np.ascontiguousarray(found[name]).tobytes():
            raise VerificationError(
                f"{form}: {name} differs at step {step} from the fixed-point reference, which it must equal bit for "
                f"bit; {CURE}"
            )
