"""Proving that a chunk gives the bits of its steps, over a stream with resets.

In the fp16 form ONNX Runtime may not: where it has no kernel for fp16 it computes in float32, and which values it then
rounds to fp16 in between depends on what stands around them. There the bits are those of onnx's evaluator alone, and
ONNX Runtime is held to the tolerance of that form.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgebci.decoder_float import segments
from edgebci.documents import Document
from edgebci.errors import InputError, VerificationError
from edgebci.export.c_graph import STATE_SUFFIX
from edgebci.export.chunk_graph import FRAMES, OUTPUTS
from edgebci.export.step_runner import Step, Tensors, evaluator_step, open_session, runtime_step
from edgebci.export.stream_comparison import CURE
from edgebci.progress import Progress, part, silent

Bool = NDArray[np.bool_]


class ChunkAgreement(Document):
    """A chunk against single steps: in the evaluator, and where the tolerance is 0 in ONNX Runtime, bit for bit."""

    n_steps: int
    """Of one chunk."""
    chunks: int
    """Through ONNX Runtime."""
    evaluator_chunks: int
    """First chunks, through onnx's reference evaluator, which is slow."""
    tolerance: float
    """Of ONNX Runtime, relative to the largest magnitude of the tensor in the chunk."""
    largest_error: float
    """In ONNX Runtime, in the same measure."""


def verify_chunk(
    chunk: onnx.ModelProto,
    step: onnx.ModelProto,
    frames: NDArray[Any],
    reset_before: Bool | None = None,
    evaluator_chunks: int = 3,
    tolerance: float = 0.0,
    progress: Progress = silent,
    *,
    in_runtime: bool = True,
) -> ChunkAgreement:
    """Follow both over frames (T, ...), each with its own states; an end that fills no chunk is left out.

    `tolerance` is 0, or for the fp16 form `half_graph.HALF_TOLERANCE`, and is granted to ONNX Runtime only. An
    implementation that does not know an operator of the step is left out: `evaluator_chunks` is 0, or `in_runtime`
    false, not both.

    Raises:
        InputError: no part of the stream is as long as a chunk.
        VerificationError: names the implementation, the first tensor and the step whose bits differ.
    """
    if not (in_runtime or evaluator_chunks):
        raise ValueError("a chunk is verified in ONNX Runtime, in onnx's evaluator, or in both")
    n_steps = chunk.graph.input[0].type.tensor_type.shape.dim[0].dim_value
    zero = _initial_states(step)
    largest, chunks, evaluated = 0.0, 0, 0
    if in_runtime:
        runtime = _Follower("ONNX Runtime", runtime_step(open_session(chunk)), runtime_step(open_session(step)), zero)
        chunks = runtime.stream(frames, reset_before, n_steps, len(frames), tolerance, part(progress, 0.0, 0.5))
        largest = runtime.largest
    if evaluator_chunks:
        exact = _Follower("reference evaluator", evaluator_step(chunk), evaluator_step(step), zero)
        evaluated = exact.stream(frames, reset_before, n_steps, evaluator_chunks, 0.0, part(progress, 0.5, 1.0))
    if not (chunks or evaluated):
        raise InputError(f"no {n_steps} of the {len(frames)} frames follow each other; give a longer stream")
    return ChunkAgreement(
        n_steps=n_steps,
        chunks=chunks,
        evaluator_chunks=evaluated,
        tolerance=tolerance,
        largest_error=largest,
    )


class _Follower:
    """Runs chunks beside steps in one implementation."""

    def __init__(self, form: str, chunk: Step, step: Step, zero: Mapping[str, NDArray[Any]]) -> None:
        self._form, self._chunk, self._step, self._zero = form, chunk, step, zero
        self.largest = 0.0

    def stream(
        self,
        frames: NDArray[Any],
        reset_before: Bool | None,
        n_steps: int,
        most: int,
        tolerance: float,
        progress: Progress,
    ) -> int:
        """Go through the first `most` whole chunks of (T, ...); returns how many there were."""
        after_steps, after_chunk, done = dict(self._zero), dict(self._zero), 0
        for start, stop, reset in segments(len(frames), reset_before, n_steps):
            if reset:
                after_steps, after_chunk = dict(self._zero), dict(self._zero)
            if stop - start < n_steps or done == most:
                continue
            expected = self._steps(frames[start:stop], after_steps)
            found = self._chunk({FRAMES: frames[start:stop], **after_chunk})
            self._compare(expected, found, start, tolerance)
            after_steps = {name: expected[-1][name + STATE_SUFFIX] for name in after_steps}
            after_chunk = {name: found[name + STATE_SUFFIX] for name in after_chunk}
            done += 1
            progress(stop / len(frames), f"chunks in {self._form}")
        return done

    def _steps(self, frames: NDArray[Any], states: Tensors) -> list[Tensors]:
        results = []
        for frame in frames:
            results.append(self._step({"frame": frame, **states}))
            states = {name: results[-1][name + STATE_SUFFIX] for name in states}
        return results

    def _compare(self, expected: list[Tensors], found: Tensors, start: int, tolerance: float) -> None:
        scale = max(float(np.abs(results["output"]).max()) for results in expected)
        for k, results in enumerate(expected):
            self._hold("output", found[OUTPUTS][k], results["output"], scale, tolerance, start + k)
        for name, values in expected[-1].items():
            if name != "output":
                last = start + len(expected) - 1
                self._hold(name, found[name], values, float(np.abs(values).max()), tolerance, last)

    def _hold(
        self, name: str, found: NDArray[Any], expected: NDArray[Any], scale: float, tolerance: float, step: int
    ) -> None:
        if found.tobytes() == expected.tobytes():
            return
        error = float(np.abs(found.astype(np.float64) - expected).max()) / max(scale, 1e-12)
        if not error <= tolerance or tolerance == 0.0:  # NaN is wrong, and so are other bits of zero
            allowed = f"by {error:.2g} of its largest value, allowed is {tolerance:g}" if tolerance else "in its bits"
            raise VerificationError(f"{self._form}, chunk form: {name} differs at step {step} {allowed}; {CURE}")
        self.largest = max(self.largest, error)


def _initial_states(step: onnx.ModelProto) -> Tensors:
    """All zero, by the step's inputs behind its frame."""
    return {
        value.name: np.zeros(
            [d.dim_value for d in value.type.tensor_type.shape.dim],
            onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type),
        )
        for value in step.graph.input[1:]
    }
