"""What a report says, as data. `report.json` is this model; `report.html` is drawn from it and from the traces.

Every figure about a chip or an implant is modelled unless its name says measured.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, JsonValue

from edgebci.comparison import Comparison, Interval, Score
from edgebci.decoding_data import Task
from edgebci.detection_score import DetectionScore
from edgebci.documents import Document
from edgebci.quantization_error import QuantizationReport
from edgebci.reporting.sections import CycleDistribution, Pictures, TimelineSection, TornadoBar, TransportSection

Metric = Literal["R²", "AUROC"]


class Span(Document):
    """A figure with its range."""

    low: float
    typical: float
    high: float

    def scaled(self, factor: float) -> Span:
        """The same figure in another unit; `factor` is positive."""
        return Span(low=self.low * factor, typical=self.typical * factor, high=self.high * factor)


class SplitSection(Document):
    """Which seconds of the recording were seen by what."""

    train_s: tuple[float, float]
    validation_s: tuple[float, float]
    test_s: tuple[float, float]
    gap_s: float
    gap_reasons_s: dict[str, float]
    residual_autocorrelation_s: float


class DataSection(Document):
    """The recording and what was decoded from it."""

    source: str
    sha256: str
    subject_id: str
    session_id: str
    duration_s: float
    n_channels: int
    n_good_channels: int
    lfp_rate_hz: float
    frame_rate_hz: float
    n_features: int
    target: str
    target_unit: str
    axes: tuple[str, ...]
    n_test_frames: int
    n_scored_frames: int
    notes: tuple[str, ...]
    split: SplitSection


class DecoderSection(Document):
    """Size of the student, counted."""

    n_parameters: int
    macs_per_step: int
    int8_mac_share: float
    weight_bytes: int
    state_bytes: int
    teacher_parameters: int
    seeds: tuple[int, ...]
    exported_seed: int


class Scored(Document):
    """A decoder with what it scored, by the metric of the task."""

    score: Score | DetectionScore

    @property
    def main(self) -> Interval:
        """R² as mean over axes, or AUROC."""
        return self.score.auroc if isinstance(self.score, DetectionScore) else self.score.r2_mean

    @property
    def regression(self) -> Score:
        """The score of a decoder that follows a quantity.

        Raises:
            ValueError: it detects.
        """
        if isinstance(self.score, DetectionScore):
            raise ValueError("a detector has no R²")
        return self.score

    @property
    def detection(self) -> DetectionScore | None:
        """The score of a detector; None where a quantity is followed."""
        return self.score if isinstance(self.score, DetectionScore) else None


class FormScore(Scored):
    """One form of the same decoder on the whole test part."""

    name: str
    r2_with_flagged_frames: float
    """In detection AUROC."""


class BaselineSection(Scored):
    """A linear decoder of the same features, and the verdict."""

    name: Literal["ridge", "logistic"] = "ridge"
    description: str
    student_against_ridge: Comparison
    device_against_torch: Comparison


class BitExactness(Document):
    """NumPy reference, host library and emulated core, compared byte by byte on the test stream."""

    n_frames: int
    reference_equals_host: bool
    host_equals_target: bool
    compared: str
    first_difference: str | None = None


class GraphCheck(Document):
    """How far an ONNX graph is from its reference."""

    name: str
    n_steps: int
    detail: str


class FunctionCost(Document):
    """Modelled cycles and counted instructions of one C function, per decoder step."""

    name: str
    part: Literal["front end", "decoder", "harness"]
    cycles_per_step: float
    instructions_per_step: float


class FirmwareSection(Document):
    """The device program on its emulated core."""

    core: str
    compiler: str
    flash_bytes: int
    ram_bytes: int
    stack_bytes: int
    instructions_per_step: float
    cycles_per_step: Span
    worst_step_cycles: float
    decoder_cycles_per_step: float
    front_end_cycles_per_step: float
    functions: tuple[FunctionCost, ...]
    assumptions: tuple[str, ...]
    step_cycles: CycleDistribution | None = None
    """Of every step of the test stream; None in reports of older runs."""


class PowerPart(Document):
    """One consumer inside an implant, in microwatt at the battery or rectifier."""

    name: str
    power_uw: Span


class MemorySection(Document):
    """Bytes that the program needs, and that the chip has."""

    flash_bytes: int
    flash_available_bytes: int
    ram_bytes: int
    ram_available_bytes: int


class AssumedInput(Document):
    """A number that no public source was found for."""

    name: str
    value: str
    source: str


class ImplantSection(Document):
    """The decoder inside one implant; everything here is modelled."""

    implant: str
    compute: str
    radio: str
    parts: tuple[PowerPart, ...]
    total_uw: Span
    radio_bit_s: Span
    radio_capacity_bit_s: float | None
    latency_us: Span
    deadline_us: float
    meets_deadline: Literal["yes", "no", "depends"]
    """`depends`: on where in their ranges the inputs lie."""
    battery_h: Span | None
    temperature_rise_c: Span | None
    temperature_limit_c: float | None
    dominant: str
    findings: tuple[str, ...]
    assumed: tuple[AssumedInput, ...]
    memory: MemorySection | None = None
    tornado: tuple[TornadoBar, ...] = ()
    """What each input does to total_uw, in microwatt, the widest first."""
    timeline: TimelineSection | None = None
    transport: TransportSection | None = None
    """Both None in reports of older runs."""
    details: JsonValue = None
    """The simulator's own report, with the inputs of every figure."""


class StageSection(Document):
    """How long a stage took, and whether it was kept from an earlier run."""

    name: str
    seconds: float
    was_kept: bool


class Report(Document):
    """Everything that a run found."""

    schema_version: Literal["edgebci.report/1"] = "edgebci.report/1"
    name: str
    created_utc: str
    edgebci_version: str
    command: str
    data: DataSection
    decoder: DecoderSection
    forms: tuple[FormScore, ...]
    baseline: BaselineSection
    graphs: tuple[GraphCheck, ...]
    bit_exactness: BitExactness
    firmware: FirmwareSection
    implants: tuple[ImplantSection, ...]
    stages: tuple[StageSection, ...]
    configuration: dict[str, JsonValue]
    pictures: Pictures | None = None
    quantization: QuantizationReport | None = None
    """Error of every quantizer over time; None in reports of older runs and where the decoder is in fixed point."""
    versions: dict[str, str] = Field(default_factory=dict)
    """Of what the run was made with."""
    hashes: dict[str, str] = Field(default_factory=dict)
    """SHA-256 of what went in and came out, by name."""

    @property
    def task(self) -> Task:
        """Whether a quantity was followed or events were detected."""
        return "regression" if self.baseline.detection is None else "detection"

    @property
    def metric(self) -> Metric:
        """What decoders are compared by."""
        return "R²" if self.task == "regression" else "AUROC"

    @property
    def shown_unit(self) -> str:
        """Of the pictures: those of a detector show what its log odds mean."""
        return self.data.target_unit if self.task == "regression" else "probability"

    def form(self, name: str) -> FormScore:
        """The score of one form by its name."""
        return next(form for form in self.forms if form.name == name)
