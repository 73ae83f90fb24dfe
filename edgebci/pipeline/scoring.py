"""Scoring every form of the decoder on the whole test part, and judging them against each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgebci.comparison import Comparison, compare, score
from edgebci.decoding_data import DecodingData
from edgebci.metrics import F64, r2
from edgebci.pipeline.configuration import ComparisonConfig
from edgebci.pipeline.split import autocorrelation_time_s
from edgebci.reporting.schema import BaselineSection, FormScore
from edgebci.reporting.sentences import DEVICE_FORM

TORCH_FORM = "torch"


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
        )


def score_forms(part: TestPart, forms: dict[str, F64], seed: int) -> tuple[FormScore, ...]:
    """Score each form's prediction (T, D)."""
    return tuple(
        FormScore(
            name=name,
            score=score(part.truth[part.scored], predicted[part.scored], part.rate_hz, seed),
            r2_with_flagged_frames=float(r2(part.truth[part.usable], predicted[part.usable]).mean()),
        )
        for name, predicted in forms.items()
    )


def judge(
    part: TestPart, forms: dict[str, F64], students: list[F64], ridge: F64, ridge_text: str, config: ComparisonConfig
) -> BaselineSection:
    """Compare all students with ridge, and the device with the torch form that it came from."""
    kept = part.scored

    def compared(candidates: list[F64], reference: F64, margin: float) -> Comparison:
        rows = [candidate[kept] for candidate in candidates]
        return compare(part.truth[kept], rows, reference[kept], part.rate_hz, margin, config.seed)

    return BaselineSection(
        description=ridge_text,
        score=score(part.truth[kept], ridge[kept], part.rate_hz, config.seed),
        student_against_ridge=compared(students, ridge, config.retrained_margin),
        device_against_torch=compared([forms[DEVICE_FORM]], forms[TORCH_FORM], config.same_weights_margin),
    )


def residual_autocorrelation_s(part: TestPart, predicted: F64) -> float:
    """How long the errors of a decoder stay correlated: a gap between parts must be longer."""
    return autocorrelation_time_s((part.truth - predicted)[part.scored], part.rate_hz)
