"""Proving that a chunk gives the bits of its steps, over a stream with resets."""

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
    """A chunk against single steps: every output and every state had the same bits."""

    n_steps: int
    """Of one chunk."""
    chunks: int
    """Through ONNX Runtime."""
    evaluator_chunks: int
    """First chunks, through onnx's reference evaluator, which is slow."""


def verify_chunk(
    chunk: onnx.ModelProto,
    step: onnx.ModelProto,
    frames: NDArray[Any],
    reset_before: Bool | None = None,
    evaluator_chunks: int = 3,
    progress: Progress = silent,
) -> ChunkAgreement:
    """Follow both over frames (T, ...), each with its own states; an end that fills no chunk is left out.

    Raises:
        InputError: no part of the stream is as long as a chunk.
        VerificationError: names the implementation, the first tensor and the step whose bits differ.
    """
    n_steps = chunk.graph.input[0].type.tensor_type.shape.dim[0].dim_value
    zero = _initial_states(step)
    found = []
    forms = (
        ("ONNX Runtime", runtime_step(open_session(chunk)), runtime_step(open_session(step)), len(frames)),
        ("reference evaluator", evaluator_step(chunk), evaluator_step(step), evaluator_chunks),
    )
    for i, (form, one_chunk, one_step, most) in enumerate(forms):
        follower = _Follower(form, one_chunk, one_step, zero)
        found.append(follower.stream(frames, reset_before, n_steps, most, part(progress, i / 2, (i + 1) / 2)))
    if not found[0]:
        raise InputError(f"no {n_steps} of the {len(frames)} frames follow each other; give a longer stream")
    return ChunkAgreement(n_steps=n_steps, chunks=found[0], evaluator_chunks=found[1])


class _Follower:
    """Runs chunks beside steps in one implementation."""

    def __init__(self, form: str, chunk: Step, step: Step, zero: Mapping[str, NDArray[Any]]) -> None:
        self._form, self._chunk, self._step, self._zero = form, chunk, step, zero

    def stream(
        self, frames: NDArray[Any], reset_before: Bool | None, n_steps: int, most: int, progress: Progress
    ) -> int:
        """Go through the first `most` whole chunks of (T, ...); returns how many there were."""
        states, done = dict(self._zero), 0
        for start, stop, reset in segments(len(frames), reset_before, n_steps):
            states = dict(self._zero) if reset else states
            if stop - start < n_steps or done == most:
                continue
            expected = self._steps(frames[start:stop], states)
            found = self._chunk({FRAMES: frames[start:stop], **states})
            self._compare(expected, found, start)
            states = {name: found[name + STATE_SUFFIX] for name in states}
            done += 1
            progress(stop / len(frames), f"chunks in {self._form}")
        return done

    def _steps(self, frames: NDArray[Any], states: Tensors) -> list[Tensors]:
        results = []
        for frame in frames:
            results.append(self._step({"frame": frame, **states}))
            states = {name: results[-1][name + STATE_SUFFIX] for name in states}
        return results

    def _compare(self, expected: list[Tensors], found: Tensors, start: int) -> None:
        for k, results in enumerate(expected):
            if found[OUTPUTS][k].tobytes() != results["output"].tobytes():
                self._refuse("output", start + k)
        for name, values in expected[-1].items():
            if name != "output" and found[name].tobytes() != values.tobytes():
                self._refuse(name, start + len(expected) - 1)

    def _refuse(self, name: str, step: int) -> None:
        raise VerificationError(f"{self._form}, chunk form: the bits of {name} differ at step {step}; {CURE}")


def _initial_states(step: onnx.ModelProto) -> Tensors:
    """All zero, by the step's inputs behind its frame."""
    return {
        value.name: np.zeros(
            [d.dim_value for d in value.type.tensor_type.shape.dim],
            onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type),
        )
        for value in step.graph.input[1:]
    }
