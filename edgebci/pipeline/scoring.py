"""Scoring every form of the decoder on the whole test part, and judging them against each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from edgebci.comparison import Comparison, Score, compare, score
from edgebci.decoding_data import DecodingData, Floats, Task
from edgebci.detection import AlarmRule, Detector, Events, auroc, best_threshold
from edgebci.detection_score import DetectionScore, compare_detection, score_detection
from edgebci.metrics import F64, r2
from edgebci.pipeline.configuration import ComparisonConfig
from edgebci.pipeline.split import autocorrelation_time_s
from edgebci.reporting.schema import BaselineSection, FormScore
from edgebci.reporting.sentences import DEVICE_FORM

TORCH_FORM = "torch"
Alarm = tuple[AlarmRule, float]
"""The rule, and the log odds from which a decoder is on."""


@dataclass(frozen=True)
class TestPart:
    """Truth of the test part and which of its frames count."""

    __test__ = False  # not a test class, whatever pytest reads into its name

    times_s: F64
    truth: F64
    scored: NDArray[np.bool_]
    """(T,) frames that are valid and in time that the recording's quality table trusts."""
    usable: NDArray[np.bool_]
    """(T,) the same, distrusted time included."""
    rate_hz: float
    task: Task = "regression"

    @classmethod
    def of(cls, data: DecodingData, usable: NDArray[np.bool_]) -> TestPart:
        """The test part of a prepared recording."""
        rows = slice(*data.test[0])
        return cls(
            times_s=data.times_s[rows],
            truth=data.targets[rows].astype(np.float64),
            scored=data.valid[rows],
            usable=usable[rows],
            rate_hz=data.frame_rate_hz,
            task=data.task,
        )

    @property
    def detects(self) -> bool:
        """Whether the task is detection."""
        return self.task == "detection"

    @property
    def events(self) -> Events:
        """Of the scored frames, in detection.

        Raises:
            InputError: they hold no event, or nothing else.
        """
        return Events.of(self.truth[self.scored, 0] > 0, self.times_s[self.scored], self.rate_hz)

    def compared(self, candidates: list[F64], references: list[F64], margin: float, seed: int) -> Comparison:
        """Candidates, one (T, D) for each seed, minus references, by the metric of the task."""
        ours, theirs = ([one[self.scored] for one in side] for side in (candidates, references))
        if self.detects:
            given, against = ([one[:, 0] for one in side] for side in (ours, theirs))
            return compare_detection(self.events, given, against, margin, seed)
        return compare(self.truth[self.scored], ours, theirs, self.rate_hz, margin, seed)


@dataclass(frozen=True)
class Alarms:
    """When a detector gives an alarm: the rule, and the log odds from which each decoder is on.

    A form of the student has the threshold that was chosen for the student in torch: a device gets one with its
    weights, and does not choose again.
    """

    rule: AlarmRule
    student: float
    baseline: float

    @property
    def of_student(self) -> Alarm:
        """Of every form of the student."""
        return self.rule, self.student

    @property
    def of_baseline(self) -> Alarm:
        """Of the linear baseline."""
        return self.rule, self.baseline

    @classmethod
    def chosen(cls, data: DecodingData, rule: AlarmRule, student: Floats, baseline: Floats) -> Alarms:
        """The thresholds at which balanced accuracy is best on the validation part, of outputs (K, D)."""
        rows = data.rows("validation")
        inside = data.targets[rows, 0] > 0
        of_student, of_baseline = (
            best_threshold(inside, one[rows, 0].astype(np.float64)) for one in (student, baseline)
        )
        return cls(rule, of_student, of_baseline)


def score_forms(part: TestPart, forms: Mapping[str, F64], seed: int, alarms: Alarms | None) -> tuple[FormScore, ...]:
    """Score each form's prediction (T, D); `alarms` only where the task is detection."""
    return tuple(
        FormScore(
            name=name,
            score=_score(part, predicted, seed, alarms.of_student if alarms else None),
            r2_with_flagged_frames=_with_flagged(part, predicted),
        )
        for name, predicted in forms.items()
    )


def judge(
    part: TestPart,
    forms: Mapping[str, F64],
    students: list[F64],
    baseline: F64,
    text: str,
    config: ComparisonConfig,
    alarms: Alarms | None,
) -> BaselineSection:
    """Compare all students with the linear baseline, and the device with the torch form that it came from."""
    device, torch = forms[DEVICE_FORM], forms[TORCH_FORM]
    return BaselineSection(
        name="logistic" if part.detects else "ridge",
        description=text,
        score=_score(part, baseline, config.seed, alarms.of_baseline if alarms else None),
        student_against_ridge=part.compared(students, [baseline], config.retrained_margin, config.seed),
        device_against_torch=part.compared([device], [torch], config.same_weights_margin, config.seed),
    )


def residual_autocorrelation_s(part: TestPart, predicted: F64) -> float:
    """How long the errors of a decoder stay correlated: a gap between parts must be longer."""
    decoded = expit(predicted) if part.detects else predicted
    return autocorrelation_time_s((part.truth - decoded)[part.scored], part.rate_hz)


def _score(part: TestPart, predicted: F64, seed: int, alarm: Alarm | None) -> Score | DetectionScore:
    kept = predicted[part.scored]
    if alarm is None:
        return score(part.truth[part.scored], kept, part.rate_hz, seed)
    rule, threshold = alarm
    return score_detection(part.events, [Detector(kept[:, 0], threshold)], rule, seed)


def _with_flagged(part: TestPart, predicted: F64) -> float:
    truth, decoded = part.truth[part.usable], predicted[part.usable]
    return auroc(truth[:, 0] > 0, decoded[:, 0]) if part.detects else float(r2(truth, decoded).mean())
