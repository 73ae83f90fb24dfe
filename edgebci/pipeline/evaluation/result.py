"""What an evaluation found: every decoder on the same test frames, beside one reference."""

from __future__ import annotations

from typing import Literal

from edgebci.comparison import Comparison, Interval, Score
from edgebci.decoding_data import Task
from edgebci.detection_score import DetectionScore
from edgebci.documents import Document
from edgebci.training.baselines.baseline import Costs


class DecoderResult(Document):
    """One decoder, all of its seeds together."""

    decoder: str
    seeds: tuple[int, ...]
    """Empty where chance plays no part."""
    is_causal: bool
    regression: Score | None
    detection: DetectionScore | None
    by_seed: tuple[float, ...]
    """R² as mean over axes, or AUROC."""
    against_reference: Comparison | None
    """None for the reference itself."""
    costs: Costs
    effective_lag_ms: float | None
    """Mean over seeds of the shift at which output and truth correlate most; positive: the output is late."""
    training_s: float | None
    """Mean over seeds; a student's is without its teacher's, which is the teacher's own. None: trained elsewhere."""
    note: str | None = None

    @property
    def accuracy(self) -> Interval:
        """R² as mean over axes, or AUROC."""
        if self.detection is not None:
            return self.detection.auroc
        if self.regression is None:
            raise ValueError("a result holds the score of its task")
        return self.regression.r2_mean


class Evaluation(Document):
    """All of one comparison."""

    schema_version: Literal["edgebci.evaluation_result/1"] = "edgebci.evaluation_result/1"
    name: str
    edgebci_version: str
    task: Task
    axes: tuple[str, ...]
    unit: str
    metric: Literal["R²", "AUROC"]
    reference: str
    margin: float
    test_s: float
    """Time that is scored."""
    data_sha256: dict[str, str]
    """By part."""
    decoders: tuple[DecoderResult, ...]

    def decoder(self, name: str) -> DecoderResult:
        """The result of that name."""
        return next(result for result in self.decoders if result.decoder == name)
