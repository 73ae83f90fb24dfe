"""The parts of a run's report that its pictures are drawn from."""

from __future__ import annotations

from edgebci.bundle import Bundle
from edgebci.checkpoint import Checkpoint
from edgebci.frame_stream import part_stream
from edgebci.metrics import F64
from edgebci.pipeline.preparation import Prepared
from edgebci.pipeline.quantization_report import quantization_report
from edgebci.pipeline.scoring import TestPart
from edgebci.quantization_error import QuantizationReport
from edgebci.quantized_decoder import QuantizedDecoder
from edgebci.reporting.sections import ErrorSection, Pictures, ScatterSection, Traces, TraceSection


def pictures_of(test: TestPart, forms: dict[str, F64]) -> Pictures:
    """Traces, scatter and error over time of decoded outputs (T, D), the first of which is scattered."""
    traces = Traces(test.times_s, test.truth, forms)
    first, decoded = next(iter(forms.items()))
    return Pictures(
        traces=TraceSection.of(traces),
        scatter=ScatterSection.of(first, test.truth[test.scored], decoded[test.scored]),
        errors=ErrorSection.of(traces, test.scored),
    )


def quantization_of(checkpoint: Checkpoint, bundle: Bundle, prepared: Prepared) -> QuantizationReport | None:
    """Error of every quantizer over the test part; None where the decoder is not of int8 with float scales."""
    decoder = bundle.quantized_decoder()
    if not isinstance(decoder, QuantizedDecoder):
        return None
    test = part_stream(prepared.data, "test")
    rate_hz = prepared.data.frame_rate_hz
    return quantization_report("the exported student", checkpoint, decoder, test, rate_hz, with_costs=False)
