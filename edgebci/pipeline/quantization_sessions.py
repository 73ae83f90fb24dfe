"""Decoders of every cell on one synthetic session with a test part as long as wanted: what the study quantizes."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from edgebci.decoder_spec import DecoderSpec
from edgebci.documents import Document
from edgebci.operators.cells import CellKind
from edgebci.pipeline.cache import run_stage
from edgebci.pipeline.configuration import PreparationConfig, RecordingConfig, SplitConfig
from edgebci.pipeline.imports import training_digest
from edgebci.pipeline.quantization_study import Case, LossTable, measure_losses
from edgebci.pipeline.sessions import obtain_session
from edgebci.pipeline.studies.cohort import feature_spec
from edgebci.progress import Progress, part
from edgebci.session import Session
from edgebci.synthetic.specification import SyntheticSpec
from edgebci.training.quantization_aware.recipe import QuantizationAwareRecipe
from edgebci.training.recipe import Optimiser, StudentRecipe, TrainingRecipe

STUDENT_NAME = "student.safetensors"


class QuantizationSize(Document):
    """How long the session, how large the decoders and how long their training."""

    name: str
    seed: int = Field(ge=0)
    """Of the synthetic world, and of every training."""
    train_s: float
    validation_s: float
    test_s: float
    n_channels: int
    d_model: int
    student_epochs: int
    quantized_epochs: int
    cells: tuple[CellKind, ...] = ("mamba2", "s4d", "gru")

    def preparation(self) -> PreparationConfig:
        """The session: training, validation and test one after the other."""
        whole_s = self.train_s + self.validation_s + self.test_s
        sizes: dict[str, object] = {"seed": self.seed, "duration_s": whole_s, "n_channels": self.n_channels}
        if self.train_s < 300:  # short parts need short rests, or nothing moves in them
            sizes["behavior"] = {"work_s": (20.0, 40.0), "rest_s": (5.0, 10.0)}
        split = SplitConfig(
            train=self.train_s / whole_s, validation=self.validation_s / whole_s, test=self.test_s / whole_s
        )
        source = RecordingConfig(target="velocity", synthetic=SyntheticSpec.model_validate(sizes))
        return PreparationConfig(recording=source, split=split, features=feature_spec())

    def training(self) -> TrainingRecipe:
        """Of the float students: the task and ridge, without a teacher."""
        student = StudentRecipe(
            alignment_weight=0.0,
            optimiser=Optimiser(learning_rate=2e-3, epochs=self.student_epochs),
            patience_epochs=max(self.student_epochs // 3, 1),
        )
        return TrainingRecipe(seed=self.seed, threads=1, student=student)

    def quantized_training(self) -> QuantizationAwareRecipe:
        """The defaults, for so many epochs."""
        recipe = QuantizationAwareRecipe(seed=self.seed)
        optimiser = recipe.optimiser.model_copy(update={"epochs": self.quantized_epochs})
        return recipe.model_copy(update={"optimiser": optimiser})


QUICK = QuantizationSize(
    name="quick",
    seed=9100,
    train_s=240.0,
    validation_s=60.0,
    test_s=180.0,
    n_channels=32,
    d_model=32,
    student_epochs=40,
    quantized_epochs=5,
)
FULL = QuantizationSize(
    name="full",
    seed=9101,
    train_s=600.0,
    validation_s=120.0,
    test_s=3600.0,
    n_channels=32,
    d_model=64,
    student_epochs=40,
    quantized_epochs=30,
)


def reproduce_quantization(size: QuantizationSize, root: Path, progress: Progress) -> LossTable:
    """Make the session, train a decoder of each cell on it, and measure what int8 costs each; what is done is kept."""
    share = part(progress, 0.0, 0.3)
    session = obtain_session(size.preparation(), root, "session", "synthetic", lambda f, _: share(f, "the session"))
    cases = []
    for i, cell in enumerate(size.cells):
        done = part(progress, 0.3 + 0.4 * i / len(size.cells), 0.3 + 0.4 * (i + 1) / len(size.cells))
        cases.append(Case(cell, _student(size, session, cell, root, done), session.data))
    return measure_losses(cases, root, size.quantized_training(), size.name, part(progress, 0.7, 1.0))


def _student(size: QuantizationSize, session: Session, cell: CellKind, root: Path, progress: Progress) -> Path:
    """Where the float student of this cell lies; trained unless an earlier call did."""
    from edgebci.training.distillation import distill

    data, recipe = session.data, size.training()
    spec = DecoderSpec(
        n_inputs=data.frames.shape[1],
        output_names=data.target_names,
        output_unit=data.target_unit,
        d_model=size.d_model,
        cell=cell,
    )

    def work(folder: Path) -> None:
        distill(data, None, spec, recipe, folder / STUDENT_NAME, lambda f, note: progress(f, f"{cell} student: {note}"))

    inputs = [data.fingerprint("train", "validation"), recipe.model_dump_json(), spec.model_dump_json()]
    digest = training_digest("edgebci.training.distillation")
    return run_stage(root, f"{cell}_student", inputs, work, digest).folder / STUDENT_NAME
