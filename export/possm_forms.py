"""Every form of one decoder of spikes that a precision asks for, each proven before anything is written."""

from __future__ import annotations

from dataclasses import dataclass

import onnx

from edgebci.agreement import FloatAgreement, QuantizedAgreement
from edgebci.export.calibration import QuantizationRecipe
from edgebci.export.half_graph import HALF_TOLERANCE, halved
from edgebci.export.possm_step import float_possm_graph, quantize_possm, quantized_possm_graph
from edgebci.export.precision_check import Int8Share, possm_int8_share, require_int8
from edgebci.export.stream_comparison import long_stream
from edgebci.export.verification import verify_float_reference, verify_quantized
from edgebci.possm_quantized import QuantizedPossmStep
from edgebci.possm_spec import PossmCheckpoint
from edgebci.possm_stream import ChunkStream, FloatPossmStream
from edgebci.progress import Progress, part
from edgebci.targets import Precision


@dataclass(frozen=True)
class PossmForms:
    """The graphs of one decoder and how they agree; what the precision does not ask for is None."""

    float_graph: onnx.ModelProto
    float_agreement: FloatAgreement
    half_graph: onnx.ModelProto | None = None
    half_agreement: FloatAgreement | None = None
    quantized: QuantizedPossmStep | None = None
    quantized_graph: onnx.ModelProto | None = None
    quantized_agreement: QuantizedAgreement | None = None
    share: Int8Share | None = None

    @property
    def shipped(self) -> onnx.ModelProto:
        """The graph of the precision that was asked for."""
        return self.quantized_graph or self.half_graph or self.float_graph


def verified_possm_forms(
    checkpoint: PossmCheckpoint,
    calibration: ChunkStream,
    stream: ChunkStream,
    precision: Precision,
    recipe: QuantizationRecipe,
    progress: Progress,
    learned: QuantizedPossmStep | None = None,
) -> PossmForms:
    """Build and prove: float forms over thousands of steps with resets, the quantized one over the whole stream.

    `learned` are integers that were trained, to be taken as they are; None: the step is rounded here.

    Raises:
        InputError: the recipe asks for what a decoder of spikes does not have.
        VerificationError: a form does not compute what its reference computes, or is no int8.
    """
    spec, parameters = checkpoint.spec, checkpoint.parameters
    progress(0.0, "quantizing")
    quantized = None
    if precision in ("int8", "mixed"):
        quantized = learned or quantize_possm(spec, parameters, calibration.chunks, recipe, calibration.reset_before)
    share = _share(quantized, precision) if quantized else None
    long, resets = long_stream(stream.chunks, stream.reset_before)
    graph, reference = float_possm_graph(spec, parameters), FloatPossmStream.of(spec, parameters)
    agreement = verify_float_reference(graph, reference, long, resets, progress=part(progress, 0.1, 0.4))
    second = part(progress, 0.4, 1.0)
    if quantized is not None:
        quantized_graph = quantized_possm_graph(quantized)
        found = verify_quantized(
            quantized_graph, quantized, stream.chunks, stream.reset_before, stream.truth, None, second
        )
        return PossmForms(graph, agreement, None, None, quantized, quantized_graph, found, share)
    if precision == "fp16":
        half = halved(graph)
        halves = verify_float_reference(half, reference, long, resets, progress=second, tolerance=HALF_TOLERANCE)
        return PossmForms(graph, agreement, half, halves)
    return PossmForms(graph, agreement)


def _share(quantized: QuantizedPossmStep, precision: Precision) -> Int8Share:
    return require_int8(quantized) if precision == "int8" else possm_int8_share(quantized)
