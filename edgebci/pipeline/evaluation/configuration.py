"""What an evaluation's TOML may say; a pipeline's TOML will do as well."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from pydantic import Field

from edgebci.decoding_data import Task
from edgebci.detection import AlarmRule
from edgebci.documents import load_toml, nearest, schema_of
from edgebci.errors import InputError
from edgebci.pipeline.configuration import (
    ComparisonConfig,
    PipelineConfig,
    PreparationConfig,
    StudentConfig,
    check_recording_path,
)
from edgebci.training.baselines.recipe import BaselineRecipe
from edgebci.training.recipe import TrainingRecipe

SCHEMA = "edgebci.evaluation/1"

DecoderName = Literal["ridge", "kalman", "logistic", "gru", "transformer", "untaught", "student", "teacher"]
DECODERS: tuple[str, ...] = get_args(DecoderName)
NOT_FOR: dict[Task, str] = {"regression": "logistic", "detection": "kalman"}
"""Each task has a baseline of its own, which is not for the other."""


class EvaluationConfig(PreparationConfig):
    """Which decoders to compare, on which recording."""

    schema_version: Literal["edgebci.evaluation/1"] = Field(alias="schema")
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")
    decoders: tuple[DecoderName, ...] = ()
    """Empty: all that the task has. `untaught` is the student without its teacher."""
    reference: str = "ridge"
    """The one that every other is compared with."""
    student: StudentConfig = StudentConfig()
    baselines: BaselineRecipe = BaselineRecipe()
    comparison: ComparisonConfig = ComparisonConfig()
    alarms: AlarmRule = AlarmRule()

    @property
    def preparation(self) -> PreparationConfig:
        """All that the frames depend on, and nothing else."""
        return PreparationConfig(
            recording=self.recording,
            split=self.split,
            features=self.features,
            training=TrainingRecipe(ridge=self.training.ridge),
        )

    @property
    def competing(self) -> tuple[str, ...]:
        """The decoders that are named, or all that the task has."""
        return self.decoders or tuple(name for name in DECODERS if name != NOT_FOR[self.recording.task])


def load_evaluation(path: Path, recording: Path | None = None) -> EvaluationConfig:
    """Read an evaluation's or a pipeline's TOML; `recording` replaces the source that it names.

    Raises:
        InputError: the document is wrong, of another kind, or its recording is not there.
    """
    schema = schema_of(path)
    if schema == SCHEMA:
        config = load_toml(path, EvaluationConfig)
    elif schema == "edgebci.pipeline/1":
        config = _of_pipeline(load_toml(path, PipelineConfig))
    else:
        known = [SCHEMA, "edgebci.pipeline/1"]
        raise InputError(f"{path}: schema {schema!r} cannot be evaluated; {nearest(schema, known)}")
    if recording is not None:
        source = config.recording.model_copy(update={"path": recording, "synthetic": None})
        config = config.model_copy(update={"recording": source})
    if config.recording.path is not None:
        check_recording_path(config.recording.path)
    return config


def chosen(
    config: EvaluationConfig, decoders: str | None, n_seeds: int | None, reference: str | None
) -> EvaluationConfig:
    """`config` with what the command line says instead.

    Raises:
        InputError: a decoder that does not exist, or is not for this task, or no seed.
    """
    changes: dict[str, object] = {}
    if decoders is not None:
        changes["decoders"] = tuple(name.strip() for name in decoders.split(",") if name.strip())
    if reference is not None:
        changes["reference"] = reference
    if n_seeds is not None:
        if n_seeds < 1:
            raise InputError(f"{n_seeds} seeds train nothing; give at least 1 with --seeds")
        changes["student"] = config.student.model_copy(update={"seeds": tuple(range(1, n_seeds + 1))})
    config = config.model_copy(update=changes)
    _check_decoders(config)
    return config


def _check_decoders(config: EvaluationConfig) -> None:
    task, names = config.recording.task, config.competing
    allowed = [name for name in DECODERS if name != NOT_FOR[task]]
    for name in names:
        if name not in allowed:
            raise InputError(f"no decoder {name!r} for {task}; {nearest(name, allowed)}")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise InputError(f"the decoder {twice!r} is named twice; name each once")


def _of_pipeline(config: PipelineConfig) -> EvaluationConfig:
    return EvaluationConfig(
        schema=SCHEMA,
        name=config.name,
        recording=config.recording,
        split=config.split,
        features=config.features,
        training=config.training,
        student=config.student,
        comparison=config.comparison,
        alarms=config.alarms,
    )
