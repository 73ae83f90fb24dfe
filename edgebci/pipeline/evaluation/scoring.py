"""Scoring decoders on the test frames of one recording, by the metrics of its task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edgebci.comparison import Comparison, Score, compare, score
from edgebci.decoding_data import DecodingData, Floats
from edgebci.detection import AlarmRule, Detector, Events, auroc, best_threshold
from edgebci.detection_score import DetectionScore, compare_detection, score_detection
from edgebci.errors import InputError
from edgebci.metrics import F64, effective_lag_s, r2


@dataclass(frozen=True, eq=False)
class Judge:
    """The test frames of one recording.

    Raises:
        InputError: the target does not vary in the test part, or detection has more than one kind of event.
    """

    data: DecodingData
    rule: AlarmRule
    seed: int
    """Of the bootstrap."""

    def __post_init__(self) -> None:
        constant = np.ptp(self.truth, axis=0) == 0
        if constant.any():
            name = self.data.target_names[int(np.argmax(constant))]
            raise InputError(f"the target {name!r} is constant in the test part; choose a longer test part")
        if self.detects and self.truth.shape[1] != 1:
            raise InputError(f"{self.truth.shape[1]} kinds of events are to be detected; choose one")

    @property
    def detects(self) -> bool:
        """Whether the task is detection."""
        return self.data.task == "detection"

    @property
    def truth(self) -> F64:
        """(T, D) of the test frames that are valid."""
        return self._test(self.data.targets)

    @property
    def events(self) -> Events:
        """The same, as events."""
        return self._events("test")

    def by_seed(self, decoded: Sequence[Floats]) -> tuple[float, ...]:
        """R² as mean over axes, or AUROC, of each seed's output (K, D)."""
        if self.detects:
            return tuple(auroc(self.events.inside, self._test(one)[:, 0]) for one in decoded)
        return tuple(float(r2(self.truth, self._test(one)).mean()) for one in decoded)

    def regression(self, decoded: Sequence[Floats]) -> Score | None:
        """R² and r, all seeds together."""
        if self.detects:
            return None
        return score(self.truth, [self._test(one) for one in decoded], self.data.frame_rate_hz, self.seed)

    def detection(self, decoded: Sequence[Floats]) -> DetectionScore | None:
        """All figures of detection, each seed with the threshold that is best on validation."""
        if not self.detects:
            return None
        inside, rows = self._events("validation").inside, self.data.rows("validation")
        detectors = [
            Detector(self._test(one)[:, 0], threshold=best_threshold(inside, one[rows, 0].astype(np.float64)))
            for one in decoded
        ]
        return score_detection(self.events, detectors, self.rule, self.seed)

    def compare(self, decoded: Sequence[Floats], reference: Sequence[Floats], margin: float) -> Comparison:
        """All seeds of a decoder with all seeds of the reference."""
        ours, theirs = ([self._test(one) for one in side] for side in (decoded, reference))
        if self.detects:
            given, against = ([one[:, 0] for one in side] for side in (ours, theirs))
            return compare_detection(self.events, given, against, margin, self.seed)
        return compare(self.truth, ours, theirs, self.data.frame_rate_hz, margin, self.seed)

    def effective_lag_ms(self, decoded: Sequence[Floats]) -> float | None:
        """Mean over seeds; None where output and truth do not correlate at any shift."""
        start, stop = self.data.test[0][0], self.data.test[-1][1]
        truth, valid = self.data.targets[start:stop].astype(np.float64), self.data.valid[start:stop]
        found = [
            effective_lag_s(truth, one[start:stop].astype(np.float64), valid, self.data.frame_rate_hz)
            for one in decoded
        ]
        return 1000 * float(np.mean(found)) if np.isfinite(found).all() else None

    def _test(self, values: Floats) -> F64:
        return values[self.data.rows("test")].astype(np.float64)

    def _events(self, part: Literal["validation", "test"]) -> Events:
        rows = self.data.rows(part)
        return Events.of(self.data.targets[rows, 0] > 0, self.data.times_s[rows], self.data.frame_rate_hz)
