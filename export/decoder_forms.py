"""Every form of one decoder that a precision asks for, each proven before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import onnx

from edgebci.agreement import FloatAgreement, QuantizedAgreement
from edgebci.arithmetic import F32
from edgebci.checkpoint import Checkpoint
from edgebci.decoder_float import F64
from edgebci.errors import InputError
from edgebci.export.calibration import QuantizationRecipe
from edgebci.export.fixed_graph import fixed_step_graph
from edgebci.export.fixed_quantization import quantize_fixed
from edgebci.export.fixed_verification import verify_fixed
from edgebci.export.half_graph import HALF_TOLERANCE, half_step_graph
from edgebci.export.precision_check import Int8Share, int8_share, require_int8
from edgebci.export.quantization import quantize
from edgebci.export.quantized_graph import quantized_step_graph
from edgebci.export.step_graph import float_step_graph
from edgebci.export.stream_comparison import Bool, QuantizedReference, long_stream
from edgebci.export.verification import verify_float, verify_quantized
from edgebci.fixed_decoder import FixedDecoder
from edgebci.frame_stream import FrameStream
from edgebci.integer_decoder import IntegerDecoder
from edgebci.progress import Progress, part, silent
from edgebci.quantized_decoder import QuantizedDecoder
from edgebci.targets import Precision


@dataclass(frozen=True)
class Forms:
    """The graphs of one decoder and how they agree; what the precision does not ask for is None."""

    float_graph: onnx.ModelProto
    float_agreement: FloatAgreement
    half_graph: onnx.ModelProto | None = None
    half_agreement: FloatAgreement | None = None
    quantized: IntegerDecoder | None = None
    quantized_graph: onnx.ModelProto | None = None
    quantized_agreement: QuantizedAgreement | None = None
    share: Int8Share | None = None

    @property
    def shipped(self) -> onnx.ModelProto:
        """The graph of the precision that was asked for."""
        return self.quantized_graph or self.half_graph or self.float_graph


@dataclass(frozen=True)
class Wanted:
    """What an export is to make of a checkpoint."""

    precision: Precision
    recipe: QuantizationRecipe
    learned: QuantizedDecoder | None = None
    """One whose integers were trained, in place of what the recipe makes."""
    documents: Mapping[str, str] = field(default_factory=dict)
    """Texts by file name that explain the choice, to lie in the bundle."""
    loadable: bool = False
    """Whether the C can take a parameter block while it is in use; normalisation and readout then lie in RAM."""
    rewrites: tuple[str, ...] = ()
    """Fused operators for a second float graph beside the plain one (`edgebci.export.rewrites`)."""
    holds_int8_rule: bool = False
    """Refuse an int8 of which less than 95 % of the MACs are int8 by int8."""


def verified_forms(
    checkpoint: Checkpoint, calibration: FrameStream, stream: FrameStream, wanted: Wanted, progress: Progress
) -> Forms:
    """Build and prove: float forms over thousands of steps with resets, the quantized one over the whole stream.

    Raises:
        InputError: a learned decoder is not of this checkpoint, or the frames do not fit.
        VerificationError: a form does not compute what its reference computes, or is no int8.
    """
    spec, parameters = checkpoint.spec, checkpoint.parameters
    long, resets = long_stream(stream.frames, stream.reset_before)
    quantized = _integers(checkpoint, calibration, wanted, progress)
    share = int8_share(quantized) if isinstance(quantized, QuantizedDecoder) else None
    graph, first = float_step_graph(spec, parameters), part(progress, 0.1, 0.4)
    agreement = verify_float(graph, spec, parameters, long, resets, progress=first)
    second = part(progress, 0.4, 1.0)
    if quantized is not None:
        quantized_graph, found = _proven(quantized, stream, second)
        return Forms(graph, agreement, None, None, quantized, quantized_graph, found, share)
    if wanted.precision == "fp16":
        half = half_step_graph(spec, parameters)
        halves = verify_float(half, spec, parameters, long, resets, progress=second, tolerance=HALF_TOLERANCE)
        return Forms(graph, agreement, half, halves)
    return Forms(graph, agreement)


def integer_step_graph(decoder: IntegerDecoder) -> onnx.ModelProto:
    """The step graph of a decoder in integers."""
    return fixed_step_graph(decoder) if isinstance(decoder, FixedDecoder) else quantized_step_graph(decoder)


def verify_integers(
    graph: onnx.ModelProto, decoder: QuantizedReference | FixedDecoder, frames: F32, reset_before: Bool | None,
    truth: F64 | None = None, scored: Bool | None = None, progress: Progress = silent,
) -> QuantizedAgreement:  # fmt: skip
    """`verify_quantized`, or `verify_fixed`, which allows nothing."""
    if isinstance(decoder, FixedDecoder):
        return verify_fixed(graph, decoder, frames, reset_before, progress)
    return verify_quantized(graph, decoder, frames, reset_before, truth, scored, progress)


def _proven(
    decoder: IntegerDecoder, stream: FrameStream, progress: Progress
) -> tuple[onnx.ModelProto, QuantizedAgreement]:
    graph = integer_step_graph(decoder)
    seen = stream.frames, stream.reset_before, stream.truth, stream.scored
    return graph, verify_integers(graph, decoder, *seen, progress)


def _integers(
    checkpoint: Checkpoint, calibration: FrameStream, wanted: Wanted, progress: Progress
) -> IntegerDecoder | None:
    if wanted.recipe.arithmetic == "fixed":
        if wanted.learned is not None:
            raise InputError(
                "integers that were trained are of int8 arithmetic; leave them out, or leave the arithmetic at int8"
            )
        progress(0.0, "quantizing to fixed point")
        return quantize_fixed(checkpoint.spec, checkpoint.parameters, calibration.frames, wanted.recipe)
    return _quantized(checkpoint, calibration, wanted, progress)


def _quantized(
    checkpoint: Checkpoint, calibration: FrameStream, wanted: Wanted, progress: Progress
) -> QuantizedDecoder | None:
    if wanted.precision not in ("int8", "mixed"):
        return None
    progress(0.0, "quantizing")
    decoder = wanted.learned
    if decoder is None:
        frames, resets = calibration.frames, calibration.reset_before
        decoder = quantize(checkpoint.spec, checkpoint.parameters, frames, wanted.recipe, resets)
    if decoder.spec != checkpoint.spec:
        raise InputError("the quantized decoder has other sizes than the checkpoint; give the two of one training")
    if wanted.holds_int8_rule:
        require_int8(decoder)
    return decoder
