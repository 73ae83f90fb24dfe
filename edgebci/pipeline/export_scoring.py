"""What the exported files themselves decode of the test part, and what quantization cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from edgebci.bundle import Accuracy, Loss
from edgebci.comparison import Comparison, compare, score
from edgebci.detection import Events, auroc
from edgebci.detection_score import compare_detection
from edgebci.errors import InputError
from edgebci.frame_stream import FrameStream
from edgebci.metrics import F64
from edgebci.pipeline.preparation import Prepared

C_FORM = "bit-exact reference of the C"
INT8_ARITHMETIC = "the same weights in int8 arithmetic"
TENSORRT_FORM = "ONNX for TensorRT"
LOSS_MARGIN = 0.005
"""Loss in R² (in detection: AUROC) that post-training quantization may cost, fixed before anything was measured."""


@dataclass(frozen=True, eq=False)
class TestTruth:
    """What a decoder should have said of the test part.

    Raises:
        InputError: the target does not vary there.
    """

    __test__ = False  # not a test class, whatever pytest reads into its name

    truth: F64
    """(T, D) of the steps that count."""
    counted: np.ndarray[tuple[int], np.dtype[np.bool_]]
    """(K,) which steps of the stream those are."""
    axes: tuple[str, ...]
    rate_hz: float
    events: Events | None = None
    """The same, where the task is detection."""

    def __post_init__(self) -> None:
        constant = np.ptp(self.truth, axis=0) == 0
        if constant.any():
            name = self.axes[int(np.argmax(constant))]
            raise InputError(f"the target {name!r} is constant in the test part; choose a longer recording")

    @classmethod
    def of(cls, stream: FrameStream, prepared: Prepared) -> TestTruth:
        """That of a prepared recording."""
        data, rows = prepared.data, prepared.data.rows("test")
        events = None
        if data.task == "detection":
            events = Events.of(data.targets[rows, 0] > 0, data.times_s[rows], data.frame_rate_hz)
        return cls(stream.truth[stream.scored], stream.scored, data.target_names, data.frame_rate_hz, events)

    def accuracy(self, form: str, decoded: F64) -> Accuracy:
        """Figures of one form's output (K, D)."""
        found = decoded[self.counted]
        if self.events is not None:
            value = auroc(self.events.inside, found[:, 0])
            return Accuracy(form=form, n_frames=len(found), r2={}, pearson_r={}, auroc=value)
        scored = score(self.truth, found, self.rate_hz)
        return Accuracy(
            form=form,
            n_frames=len(found),
            r2={axis: interval.value for axis, interval in zip(self.axes, scored.r2, strict=True)},
            pearson_r={axis: interval.value for axis, interval in zip(self.axes, scored.pearson_r, strict=True)},
            r2_interval_95={axis: (i.low, i.high) for axis, i in zip(self.axes, scored.r2, strict=True)},
        )

    def loss(self, decoded: F64, reference: F64, margin: float) -> Loss:
        """What one form's output (K, D) loses against another's."""
        found = self._compared(decoded, reference, margin)
        return Loss(
            metric="AUROC" if self.events is not None else "mean R²",
            value=-found.difference.value,
            low=-found.difference.high,
            high=-found.difference.low,
            margin=found.margin,
            verdict=found.verdict.value,
            reason=found.reason,
        )

    def _compared(self, decoded: F64, reference: F64, margin: float) -> Comparison:
        ours, theirs = decoded[self.counted], reference[self.counted]
        if self.events is not None:
            return compare_detection(self.events, [ours[:, 0]], [theirs[:, 0]], margin)
        return compare(self.truth, [ours], theirs, self.rate_hz, margin)


def score_forms(
    truth: TestTruth, forms: Mapping[str, Callable[[], F64]], reference: str, margin: float = LOSS_MARGIN
) -> tuple[tuple[Accuracy, ...], Loss | None]:
    """Run and score each form; the loss is that of the last against `reference`, None where it is the reference."""
    decoded = {name: run() for name, run in forms.items()}
    last = list(decoded)[-1]
    loss = None if last == reference else truth.loss(decoded[last], decoded[reference], margin)
    return tuple(truth.accuracy(name, outputs) for name, outputs in decoded.items()), loss
