"""What the search of widths weighs: cycles and bytes of an assignment, and what it loses on validation frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edgebci.comparison import Interval, compare
from edgebci.decoder_spec import DecoderSpec
from edgebci.decoding_data import DecodingData
from edgebci.detection import Events, auroc
from edgebci.detection_score import compare_detection
from edgebci.errors import InputError
from edgebci.export.calibration import Width
from edgebci.export.widths import dense_names, state_names
from edgebci.frame_stream import FrameStream, part_stream
from edgebci.metrics import F64, r2
from edgebci.pipeline.cycle_table import CycleTable
from edgebci.workload import workload

Widths = dict[str, Width]


@dataclass(frozen=True)
class Cost:
    """What the tensors that have a choice cost in an assignment."""

    spec: DecoderSpec
    table: CycleTable

    def cycles(self, widths: Mapping[str, Width]) -> float:
        """Per step."""
        spec, shapes = self.spec, self.spec.state_shapes()
        dense = sum(
            self.table.dense_cycles(rows, columns, widths[name]) for name, (rows, columns) in dense_names(spec).items()
        )
        return dense + sum(
            self.table.state_cycles(spec.cell, int(np.prod(shapes[name])), widths[name]) for name in state_names(spec)
        )

    def bytes(self, widths: Mapping[str, Width]) -> tuple[int, int]:
        """Of all weights, and of all states; int4 weights fill whole bytes in each row."""
        spec, counted = self.spec, workload(self.spec)
        weights, states = counted.weight_bytes, counted.state_bytes
        for name, (rows, columns) in dense_names(spec).items():
            weights += rows * ((columns * widths[name] + 7) // 8) - rows * columns
        for name in state_names(spec):
            states += int(np.prod(spec.state_shapes()[name])) * (widths[name] - 16) // 8
        return weights, states

    def relative(self, widths: Mapping[str, Width]) -> float:
        """Cycles and bytes, each over those of the uniform int8 form, added."""
        plain = complete(self.spec, {})
        return self.cycles(widths) / self.cycles(plain) + sum(self.bytes(widths)) / sum(self.bytes(plain))


def complete(spec: DecoderSpec, widths: Mapping[str, Width]) -> Widths:
    """The width of every tensor that has a choice: those given, else 8 bits for weights and 16 for states."""
    plain: Widths = dict.fromkeys(dense_names(spec), 8)
    return plain | dict.fromkeys(state_names(spec), 16) | dict(widths)


@dataclass(frozen=True, eq=False)
class Validation:
    """Frames with behaviour on which assignments are compared; never those of the test.

    Fields:
        stream: the frames. rate_hz: of them.
        events: where the task is detection, the truth of the frames that are scored.
    """

    stream: FrameStream
    rate_hz: float
    events: Events | None = None

    def __post_init__(self) -> None:
        if not self.stream.scored.any():
            raise InputError("no validation frame is scored, needed are minutes; give the checkpoint a validation part")

    @classmethod
    def of(cls, data: DecodingData) -> Validation:
        """The validation part of a prepared recording."""
        stream, rows, events = part_stream(data, "validation"), data.rows("validation"), None
        if data.task == "detection":
            events = Events.of(data.targets[rows, 0] > 0, data.times_s[rows], data.frame_rate_hz)
        return cls(stream, data.frame_rate_hz, events)

    @property
    def figure(self) -> str:
        """What is compared."""
        return "R2" if self.events is None else "AUROC"

    def accuracy(self, decoded: F64) -> float:
        """R2 (mean over axes) or AUROC of outputs (T, D)."""
        found = decoded[self.stream.scored]
        if self.events is not None:
            return float(auroc(self.events.inside, found[:, 0]))
        return float(r2(self.stream.truth[self.stream.scored], found).mean())

    def loss(self, decoded: F64, exact: F64, max_loss: float) -> tuple[Interval, float]:
        """What `decoded` (T, D) loses to `exact`, with its interval, and the length of the blocks (s)."""
        counted = self.stream.scored
        found, reference = decoded[counted], exact[counted]
        if self.events is not None:
            compared = compare_detection(self.events, [found[:, 0]], [reference[:, 0]], max_loss)
        else:
            compared = compare(self.stream.truth[counted], [found], reference, self.rate_hz, max_loss)
        difference = compared.difference
        return Interval(value=-difference.value, low=-difference.high, high=-difference.low), compared.block_s

    def noise(self, decoded: F64, exact: F64) -> float:
        """Mean over outputs of squared noise over variance, of all frames or of the first (T, D)."""
        counted = self.stream.scored[: len(exact)]
        noise, signal = (decoded - exact)[counted], exact[counted]
        return float(np.mean(np.mean(noise**2, axis=0) / signal.var(axis=0)))
