"""Proving that every form of a foreign model computes what the model computes, before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgebci.agreement import FloatAgreement, QuantizedAgreement
from edgebci.arithmetic import F32
from edgebci.decoder_float import F64
from edgebci.decoder_float import States as FloatStates
from edgebci.export.foreign.original import OriginalModel
from edgebci.export.foreign.streaming import Window
from edgebci.export.stream_comparison import FloatFollower
from edgebci.export.verification import verify_float_reference, verify_quantized
from edgebci.foreign.decoder import ForeignDecoder
from edgebci.operators.cell import Tap
from edgebci.progress import Progress, part, silent

ORIGINAL = "the model as it came"
FEWEST_STEPS, MOST_STEPS = 1024, 4096
"""A stream of thousands of steps: shorter calibrations are gone through again, longer ones cut."""

Bool = NDArray[np.bool_]


@dataclass(frozen=True)
class VerificationStream:
    """Frames (T, n_inputs), and where states start anew (T,)."""

    frames: F32
    reset_before: Bool

    @classmethod
    def of(cls, frames: F32, reset_before: Bool | None) -> VerificationStream:
        """Thousands of steps with at least one reset."""
        resets = np.zeros(len(frames), bool) if reset_before is None else reset_before.copy()
        resets[0] = resets[len(frames) // 2] = True
        repeats = -(-FEWEST_STEPS // len(frames))
        return cls(np.tile(frames, (repeats, 1))[:MOST_STEPS], np.tile(resets, repeats)[:MOST_STEPS])


@dataclass(frozen=True)
class FloatReference:
    """The float form as `FloatFollower` takes it."""

    decoder: ForeignDecoder

    def initial_states(self) -> FloatStates:
        """All zero."""
        return _to_float64(self.decoder.initial_states())

    def run(self, frames: Any, states: FloatStates, tap: Tap) -> tuple[F64, FloatStates]:
        """See `ForeignDecoder.run`; float32 values are the same in float64."""
        before = {name: values.astype(np.float32) for name, values in states.items()}
        outputs, after = self.decoder.run(frames, before, lambda name, values: tap(name, values.astype(np.float64)))
        return outputs.astype(np.float64), _to_float64(after)


def verify_foreign_float(
    model: onnx.ModelProto,
    states: Mapping[str, str],
    decoder: ForeignDecoder,
    graph: onnx.ModelProto,
    stream: VerificationStream,
    progress: Progress = silent,
    window: Window | None = None,
) -> FloatAgreement:
    """Follow the model as it came, and the float step in every implementation, beside the NumPy form.

    Raises:
        VerificationError: names the implementation, the first tensor and the step that differ.
    """
    reference = FloatReference(decoder)
    own = FloatFollower(ORIGINAL, OriginalModel(model, states, window).step, reference)
    error = own.stream(stream.frames, stream.reset_before, part(progress, 0.0, 0.4))
    found = verify_float_reference(
        graph, reference, stream.frames, stream.reset_before, progress=part(progress, 0.4, 1.0)
    )
    return found.model_copy(update={"largest_error": {ORIGINAL: error, **found.largest_error}})


def verify_foreign_quantized(
    graph: onnx.ModelProto, decoder: ForeignDecoder, stream: VerificationStream, progress: Progress = silent
) -> QuantizedAgreement:
    """`verify_quantized` of the int8 step; raises as that does."""
    return verify_quantized(graph, decoder, stream.frames, stream.reset_before, progress=progress)


def quantization_snr_db(exact: F32, quantized: F32, names: tuple[str, ...]) -> dict[str, float]:
    """By output: variance of the float form over the mean square of what quantization adds; at most 200 dB."""
    noise = ((quantized - exact).astype(np.float64) ** 2).mean(axis=0)
    signal = exact.astype(np.float64).var(axis=0)
    ratio = np.clip(signal / np.maximum(noise, 1e-30), 1e-20, 1e20)
    return {name: float(10 * np.log10(value)) for name, value in zip(names, ratio, strict=True)}


def _to_float64(states: Mapping[str, NDArray[Any]]) -> FloatStates:
    return {name: values.astype(np.float64) for name, values in states.items()}
