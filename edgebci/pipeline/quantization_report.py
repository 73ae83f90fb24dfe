"""The error report of a quantized decoder: which quantizer errs when, which saturates, and which operator it costs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgebci.checkpoint import Checkpoint
from edgebci.comparison import Comparison, compare
from edgebci.decoder_float import FloatDecoder
from edgebci.detection import Events, auroc
from edgebci.detection_score import compare_detection
from edgebci.files import make_folder, write_text
from edgebci.frame_stream import FrameStream
from edgebci.metrics import F64, r2
from edgebci.progress import Progress, part, silent
from edgebci.quantization_error import OperatorCost, QuantizationReport, quantizer_errors
from edgebci.quantized_decoder import QuantizedDecoder
from edgebci.reporting.quantization_page import report_page

MARGIN = 0.005
"""Loss in R² that is accepted of quantization after training."""
MOST_BINS, SHORTEST_BIN_S = 200, 0.2
JSON_NAME, PAGE_NAME = "quantization.json", "quantization.html"
_MEASURED = (
    "each operator's weights, input and state quantized alone in an otherwise float decoder, and spared alone in an "
    "otherwise quantized one, over the same frames; the twin that does so agrees with the bit-exact reference"
)

_NOT_MEASURED = "what each operator costs was not measured; edgebci quantization-report does that"


def quantization_report(
    name: str,
    checkpoint: Checkpoint,
    decoder: QuantizedDecoder,
    stream: FrameStream,
    frame_rate_hz: float,
    progress: Progress = silent,
    margin: float = MARGIN,
    with_costs: bool = True,
    events: Events | None = None,
) -> QuantizationReport:
    """Measure a quantized decoder against its float form on a stream.

    Args:
        name: of the decoder, for the title.
        checkpoint: the float weights that the decoder was rounded from.
        decoder: in integers.
        stream: held-out frames with what should be decoded.
        frame_rate_hz: frames per second.
        progress: of the whole.
        margin: loss in R² that would be accepted.
        with_costs: quantize each operator alone as well, which takes torch and ten times as long.
        events: of the stream's scored frames where the decoder detects: AUROC is then what is compared.

    Raises:
        InputError: the two forms have different sizes, or there are no frames.
    """
    floating = FloatDecoder.of(checkpoint.spec, checkpoint.parameters)
    bins = max(len(stream) // MOST_BINS, round(SHORTEST_BIN_S * frame_rate_hz), 1)
    share = part(progress, 0.0, 0.3)
    errors, exact, counted = quantizer_errors(floating, decoder, stream.frames, stream.reset_before, bins, share)
    judge = _Judge(stream, exact, frame_rate_hz, margin, events)
    return QuantizationReport(
        name=name,
        frame_rate_hz=frame_rate_hz,
        n_steps=len(stream),
        bin_steps=bins,
        metric="R²" if events is None else "AUROC",
        r2_float=judge.accuracy(exact),
        r2_quantized=judge.accuracy(counted.astype(np.float64)),
        loss=judge.compared(counted.astype(np.float64)),
        quantizers=errors,
        costs=_costs(checkpoint, decoder, judge, part(progress, 0.3, 1.0)) if with_costs else (),
        costs_note=_MEASURED if with_costs else _NOT_MEASURED,
    )


def write_report(report: QuantizationReport, folder: Path) -> None:
    """Write the JSON and the page into `folder`."""
    make_folder(folder)
    write_text(folder / JSON_NAME, report.model_dump_json(indent=1) + "\n")
    write_text(folder / PAGE_NAME, report_page(report))


class _Judge:
    """Compares what was decoded of a stream with what the float form decodes of it."""

    def __init__(self, stream: FrameStream, exact: F64, rate_hz: float, margin: float, events: Events | None) -> None:
        self.stream, self.exact, self.rate_hz, self.margin, self.events = stream, exact, rate_hz, margin, events

    def accuracy(self, decoded: F64) -> float:
        """R² as mean over axes, or AUROC, on the frames that count."""
        kept = self.stream.scored
        if self.events is not None:
            return auroc(self.events.inside, decoded[kept, 0])
        return float(r2(self.stream.truth[kept], decoded[kept]).mean())

    def compared(self, decoded: F64) -> Comparison:
        """On the frames that count."""
        kept = self.stream.scored
        if self.events is not None:
            return compare_detection(self.events, [decoded[kept, 0]], [self.exact[kept, 0]], self.margin)
        truth = self.stream.truth[kept]
        return compare(truth, [decoded[kept]], self.exact[kept], self.rate_hz, self.margin)


def _costs(
    checkpoint: Checkpoint, decoder: QuantizedDecoder, judge: _Judge, progress: Progress
) -> tuple[OperatorCost, ...]:
    """Of every operator, the one that costs most by itself first."""
    from edgebci.training.quantization_aware.costs import operators, stream_with_exact
    from edgebci.training.quantization_aware.twin import QuantizedTwin

    twin = QuantizedTwin.of(checkpoint.parameters, decoder)
    stream, everything = judge.stream, frozenset(twin.quantizers)

    def with_exact(exact: frozenset[str]) -> Comparison:
        return judge.compared(stream_with_exact(twin, stream.frames, stream.reset_before, exact))

    found, costs = operators(twin), []
    for i, (name, own) in enumerate(found.items()):
        progress(i / len(found), f"what {name} costs")
        costs.append(OperatorCost(name=name, alone=with_exact(everything - own), spared=with_exact(own)))
    return tuple(sorted(costs, key=lambda one: one.alone.difference.value))
