"""What a pipeline TOML may say. One document names everything that a run depends on."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from edgebci.decoder_spec import DecoderSpec
from edgebci.decoding_data import Task
from edgebci.detection import AlarmRule
from edgebci.documents import Document, load_toml
from edgebci.errors import InputError
from edgebci.export.quantization import QuantizationRecipe
from edgebci.features.specification import FeatureSpec
from edgebci.gating_limits import GateConfig
from edgebci.hardware import ComputePart, Implant, Radio, load_profile
from edgebci.operators.cells import CellKind
from edgebci.synthetic.specification import SyntheticSpec
from edgebci.training.recipe import TrainingRecipe

RECORDING_SUFFIXES = (".nwb", ".h5")


class RecordingConfig(Document):
    """Where the data come from and what is decoded."""

    path: Path | None = None
    """An NWB file or a recording in temporaldata's layout; relative to the working folder."""
    synthetic: SyntheticSpec | None = None
    lfp: str | None = None
    """Name of the ElectricalSeries, where an NWB file has several."""
    target: str
    """Name of the behaviour series, or of the intervals in which the events to detect are."""
    task: Task = "regression"
    target_half_smoothing_s: float = Field(default=0.0, ge=0)
    """Half the window with which the target was smoothed: a part of the gap between training and test."""

    @model_validator(mode="after")
    def _one_source(self) -> RecordingConfig:
        if (self.path is None) == (self.synthetic is None):
            raise ValueError("give either path or [recording.synthetic]")
        return self


class SplitConfig(Document):
    """Contiguous parts in this order, as fractions of the usable time; gaps are taken off first."""

    train: float = Field(default=0.6, gt=0, lt=1)
    validation: float = Field(default=0.15, gt=0, lt=1)
    test: float = Field(default=0.25, gt=0, lt=1)
    least_gap_s: float = Field(default=2.0, ge=0)

    @model_validator(mode="after")
    def _whole(self) -> SplitConfig:
        total = self.train + self.validation + self.test
        if abs(total - 1) > 1e-6:
            raise ValueError(f"train + validation + test is {total:g}; make it 1")
        return self


class StudentConfig(Document):
    """Size of the causal student and the seeds with which it is trained."""

    cell: CellKind = "mamba2"
    """What mixes frames over time."""
    d_model: int = 64
    n_layers: int = 2
    d_state: int = 16
    headdim: int = 32
    expand: int = 2
    d_conv: int = 4
    seeds: tuple[int, ...] = Field(default=(1,), min_length=1)

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) < len(seeds):
            raise ValueError("a seed is named twice; name each once")
        return seeds

    def decoder_spec(self, n_inputs: int, output_names: tuple[str, ...], output_unit: str) -> DecoderSpec:
        """The decoder that these sizes and these data make."""
        return DecoderSpec(
            n_inputs=n_inputs,
            output_names=output_names,
            output_unit=output_unit,
            **self.model_dump(exclude={"seeds"}),
        )


class ComparisonConfig(Document):
    """Losses in R² (in detection: AUROC) that would be accepted, fixed before the test part is opened."""

    retrained_margin: float = Field(default=0.02, gt=0, lt=1)
    same_weights_margin: float = Field(default=0.01, gt=0, lt=1)
    seed: int = Field(default=0, ge=0)


class FirmwareConfig(Document):
    """The core that the C is compiled for and run on."""

    core: Literal["cortex-m4f"] = "cortex-m4f"


class PlacementConfig(Document):
    """One implant to put the decoder into: names of profiles, or paths of your own."""

    implant: str
    compute: str
    radio: str


class PreparationConfig(Document):
    """What turns a recording into frames with targets, cut into parts."""

    recording: RecordingConfig
    split: SplitConfig = SplitConfig()
    features: FeatureSpec
    training: TrainingRecipe = TrainingRecipe()
    """Of which the ridge baseline's lags count here: they are a part of the gap."""


class PipelineConfig(PreparationConfig):
    """A whole run, from recording to report."""

    schema_version: Literal["edgebci.pipeline/1"] = Field(alias="schema")
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")
    student: StudentConfig = StudentConfig()
    quantization: QuantizationRecipe = QuantizationRecipe()
    comparison: ComparisonConfig = ComparisonConfig()
    alarms: AlarmRule = AlarmRule()
    """When a detector gives an alarm; of regression nothing reads it."""
    firmware: FirmwareConfig = FirmwareConfig()
    implants: tuple[PlacementConfig, ...] = Field(min_length=1)
    gate: GateConfig = GateConfig()
    """What `edgebci gate` allows; a run does not read it."""


def load_pipeline(path: Path, recording: Path | None = None) -> PipelineConfig:
    """Read a pipeline TOML; `recording` replaces the source that it names.

    Raises:
        InputError: the document, a profile that it names or the recording's path is wrong.
    """
    config = load_toml(path, PipelineConfig)
    for placement in config.implants:
        load_profile(Implant, placement.implant)
        load_profile(ComputePart, placement.compute)
        load_profile(Radio, placement.radio)
    if recording is not None:
        source = config.recording.model_copy(update={"path": recording, "synthetic": None})
        config = config.model_copy(update={"recording": source})
    if config.recording.path is not None:
        check_recording_path(config.recording.path)
    return config


def check_recording_path(path: Path) -> None:
    """Refuse a recording that is not there or is of a kind that cannot be read."""
    if not path.exists():
        raise InputError(f"no recording {path}; give an existing file with --recording or as path")
    if path.suffix not in RECORDING_SUFFIXES:
        raise InputError(
            f"{path} ends in {path.suffix!r}; edgebci reads {' and '.join(RECORDING_SUFFIXES)}: convert it to NWB first"
        )
