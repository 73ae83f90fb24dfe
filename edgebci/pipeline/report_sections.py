"""The parts of a run's report that its pictures are drawn from."""

from __future__ import annotations

from scipy.special import expit

from edgebci.bundle import Bundle
from edgebci.checkpoint import Checkpoint
from edgebci.frame_stream import part_stream
from edgebci.metrics import F64
from edgebci.pipeline.preparation import Prepared
from edgebci.pipeline.quantization_report import quantization_report
from edgebci.pipeline.scoring import TestPart
from edgebci.quantization_error import QuantizationReport
from edgebci.quantized_decoder import QuantizedDecoder
from edgebci.reporting.sections import ErrorSection, Pictures, RocSection, ScatterSection, Traces, TraceSection


def pictures_of(test: TestPart, forms: dict[str, F64]) -> Pictures:
    """Traces, scatter and error over time of decoded outputs (T, D), the first of which is scattered.

    Of detectors the probability is shown, and in place of the scatter what every threshold finds.
    """
    if test.detects:
        return _of_detection(test, forms)
    traces = Traces(test.times_s, test.truth, forms)
    first, decoded = next(iter(forms.items()))
    return Pictures(
        traces=TraceSection.of(traces),
        scatter=ScatterSection.of(first, test.truth[test.scored], decoded[test.scored]),
        errors=ErrorSection.of(traces, test.scored),
    )


def _of_detection(test: TestPart, forms: dict[str, F64]) -> Pictures:
    traces = Traces(test.times_s, test.truth, {name: expit(given) for name, given in forms.items()})
    kept = {name: given[test.scored, 0] for name, given in forms.items()}
    return Pictures(
        traces=TraceSection.of(traces),
        errors=ErrorSection.of(traces, test.scored),
        roc=RocSection.of(test.events.inside, kept),
    )


def quantization_of(checkpoint: Checkpoint, bundle: Bundle, prepared: Prepared) -> QuantizationReport | None:
    """Error of every quantizer over the test part; None where the decoder is not of int8 with float scales."""
    decoder = bundle.quantized_decoder()
    if not isinstance(decoder, QuantizedDecoder):
        return None
    data, test = prepared.data, part_stream(prepared.data, "test")
    events = TestPart.of(data, prepared.usable).events if data.task == "detection" else None
    return quantization_report(
        "the exported student", checkpoint, decoder, test, data.frame_rate_hz, with_costs=False, events=events
    )
