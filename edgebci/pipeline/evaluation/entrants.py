"""The decoders that can be compared, each as something that is fitted to a recording and then decodes it.

torch is loaded when something is fitted, not before.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from edgebci.checkpoint import TrainingRecord
from edgebci.decoding_data import DecodingData
from edgebci.errors import InputError
from edgebci.files import sha256
from edgebci.pipeline.cache import Stage, run_stage, source_digest
from edgebci.pipeline.evaluation.configuration import EvaluationConfig
from edgebci.progress import Progress
from edgebci.training.recipe import TrainingRecipe

if TYPE_CHECKING:
    from edgebci.training.baselines.baseline import Baseline

# What a fitted decoder depends on besides its recipe and its data.
SOURCES = (
    "training",
    "block_spec.py",
    "decoder_float.py",
    "decoder_spec.py",
    "decoding_data.py",
    "detection.py",
    "metrics.py",
    "operators",
    "workload.py",
)
TEACHER_NAME, STUDENT_NAME = "teacher.safetensors", "student.safetensors"

Fit = Callable[[DecodingData, int, Path, Progress], "Baseline"]
"""(data, seed, folder for files) to a fitted decoder."""


@dataclass(frozen=True)
class Entrant:
    """One decoder of a comparison.

    Fields:
        name: of its folder and in tables.
        identity: every hyper-parameter, as text.
        fit: trains on the training part, chooses on validation.
        is_random: whether the seed makes a difference.
        is_causal: whether an implant could run it.
        teacher: the stage that trains what it learns from, before its own time is taken.
        is_teacher: whether that stage's time is its own.
        is_trained: False where it comes from a file and cost no time here.
        note: what a reader should know.
    """

    name: str
    identity: str
    fit: Fit
    is_random: bool = True
    is_causal: bool = True
    teacher: Callable[[int, Progress], Stage] | None = None
    is_teacher: bool = False
    is_trained: bool = True
    note: str | None = None


class Entrants:
    """The decoders of one configuration on one recording."""

    def __init__(self, config: EvaluationConfig, data: DecodingData, root: Path) -> None:
        self.config, self.data, self.root = config, data, root
        self.spec = config.student.decoder_spec(data.frames.shape[1], data.target_names, data.target_unit)
        self.budget = sum(math.prod(shape) for shape in self.spec.parameter_shapes().values())

    def named(self, name: str) -> Entrant:
        """The decoder of a name."""
        makers: dict[str, Callable[[], Entrant]] = {
            "ridge": self._ridge,
            "kalman": self._kalman,
            "logistic": self._logistic,
            "gru": lambda: self._network("gru"),
            "transformer": lambda: self._network("transformer"),
            "untaught": lambda: self._student("untaught", taught=False),
            "student": lambda: self._student("student", taught=True),
            "teacher": self._teacher,
        }
        return makers[name]()

    def saved(self, path: Path) -> Entrant:
        """A decoder that was trained elsewhere.

        Raises:
            InputError: it is not a decoder's checkpoint, or not for these frames and targets.
        """
        from edgebci.training.baselines.saved import load_saved

        saved = load_saved(path)
        found, wanted = (saved.n_inputs, saved.output_names), (self.spec.n_inputs, self.spec.output_names)
        if found != wanted:
            raise InputError(
                f"{path} decodes {', '.join(found[1])} from {found[0]} features, this configuration "
                f"{', '.join(wanted[1])} from {wanted[0]}; give the configuration that it was trained with"
            )

        def fit(_data: DecodingData, _seed: int, _folder: Path, _progress: Progress) -> Baseline:
            return saved.decoder

        causal, note = saved.is_causal, self._origin(saved.training)
        return Entrant(path.stem, sha256(path), fit, is_random=False, is_causal=causal, is_trained=False, note=note)

    def teacher_stage(self, seed: int, progress: Progress) -> Stage:
        """The teacher of a seed, trained now if it is not there."""
        recipe = self._seeded(seed)

        def work(folder: Path) -> None:
            from edgebci.training.masked_autoencoding import train_teacher

            train_teacher(self.data, recipe, folder / TEACHER_NAME, progress)

        inputs = [self.data.fingerprint("train", "validation"), recipe.teacher.model_dump_json(), str(recipe.threads)]
        return run_stage(self.root / "teachers", f"seed_{seed}", [*inputs, str(seed)], work, source_digest(*SOURCES))

    def _ridge(self) -> Entrant:
        recipe = self.config.training.ridge

        def fit(data: DecodingData, _seed: int, _folder: Path, _progress: Progress) -> Baseline:
            from edgebci.training.baselines.linear import LinearBaseline
            from edgebci.training.ridge_lags import fit_baseline

            return LinearBaseline(fit_baseline(data, recipe))

        return Entrant("ridge", recipe.model_dump_json(), fit, is_random=False)

    def _logistic(self) -> Entrant:
        recipe = self.config.training.ridge

        def fit(data: DecodingData, _seed: int, _folder: Path, _progress: Progress) -> Baseline:
            from edgebci.training.baselines.linear import LinearBaseline
            from edgebci.training.baselines.logistic import fit_logistic

            return LinearBaseline(fit_logistic(data, recipe))

        return Entrant("logistic", recipe.model_dump_json(), fit, is_random=False)

    def _kalman(self) -> Entrant:
        recipe = self.config.baselines.kalman

        def fit(data: DecodingData, _seed: int, _folder: Path, _progress: Progress) -> Baseline:
            from edgebci.training.baselines.kalman import fit_kalman

            return fit_kalman(data, recipe)

        return Entrant("kalman", recipe.model_dump_json(), fit, is_random=False)

    def _network(self, kind: str) -> Entrant:
        def fit(data: DecodingData, seed: int, folder: Path, progress: Progress) -> Baseline:
            from edgebci.training.baselines.networks import train_network
            from edgebci.training.baselines.sizes import Shape, gru_shape, transformer_shape

            baselines = self.config.baselines
            shape: Shape = (
                gru_shape(data, baselines.gru, self.budget)
                if kind == "gru"
                else transformer_shape(data, baselines.transformer, self.budget)
            )
            return train_network(data, shape, self.spec, self._seeded(seed), folder, progress)

        return Entrant(kind, f"{self._student_identity}\n{self.config.baselines.model_dump_json()}", fit)

    def _student(self, name: str, taught: bool) -> Entrant:
        def fit(data: DecodingData, seed: int, folder: Path, progress: Progress) -> Baseline:
            from edgebci.training.baselines.students import StudentDecoder
            from edgebci.training.distillation import distill

            teacher = self.teacher_stage(seed, progress).folder / TEACHER_NAME if taught else None
            out = folder / STUDENT_NAME
            return StudentDecoder(distill(data, teacher, self.spec, self._seeded(seed), out, progress))

        identity = f"{self._student_identity}\n{self.config.training.teacher.model_dump_json() if taught else ''}"
        return Entrant(name, identity, fit, teacher=self.teacher_stage if taught else None)

    def _teacher(self) -> Entrant:
        recipe = self.config.training

        def fit(data: DecodingData, seed: int, _folder: Path, progress: Progress) -> Baseline:
            from edgebci.training.baselines.students import fit_hindsight

            return fit_hindsight(data, self.teacher_stage(seed, progress).folder / TEACHER_NAME, recipe.ridge)

        note = "sees each part whole: it is no implant's decoder"
        identity = f"{recipe.teacher.model_dump_json()}\n{recipe.ridge.model_dump_json()}\n{recipe.threads}"
        return Entrant(
            "teacher", identity, fit, is_causal=False, teacher=self.teacher_stage, is_teacher=True, note=note
        )

    @property
    def _student_identity(self) -> str:
        recipe = self.config.training
        parts = (self.spec.model_dump_json(), recipe.student.model_dump_json(), recipe.ridge.model_dump_json())
        return "\n".join([*parts, str(recipe.threads)])

    def _seeded(self, seed: int) -> TrainingRecipe:
        return self._recipe.model_copy(update={"seed": seed})

    @cached_property
    def _recipe(self) -> TrainingRecipe:
        from edgebci.training.ridge_lags import with_chosen_lags

        return with_chosen_lags(self.data, self.config.training)

    def _origin(self, training: TrainingRecord) -> str | None:
        if self.data.fingerprint("train") in training.data_sha256.values():
            return None
        return "was trained on other frames than the others; whether it knows these test frames cannot be told"
