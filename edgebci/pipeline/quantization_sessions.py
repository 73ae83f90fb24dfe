"""What the study of losses quantizes: decoders of every cell, REALM's edge decoders, and where a session has sorted
spikes the cross-modal one and POSSM; on a synthetic session with a test part as long as wanted and on two rats.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from pathlib import Path

from pydantic import Field

from edgebci.decoder_spec import DecoderSpec
from edgebci.documents import Document
from edgebci.operators.cells import CellKind
from edgebci.pipeline.cache import run_stage, share
from edgebci.pipeline.configuration import PreparationConfig, RecordingConfig, SplitConfig
from edgebci.pipeline.imports import training_digest
from edgebci.pipeline.quantization_crossmodal import crossmodal_decoder
from edgebci.pipeline.quantization_realm import REALM_READOUTS, RealmReadout, realm_decoder
from edgebci.pipeline.quantization_spikes import SpikeCase, SpikeStudy, spike_losses
from edgebci.pipeline.quantization_study import Case, LossTable, measure_losses, write_table
from edgebci.pipeline.sessions import obtain_session
from edgebci.pipeline.studies.cohort import feature_spec
from edgebci.pipeline.studies.rats import RATS, absent, obtain_rat
from edgebci.possm_spec import Backbone
from edgebci.progress import Progress, part
from edgebci.session import Session
from edgebci.synthetic.specification import SyntheticSpec
from edgebci.training.quantization_aware.recipe import QuantizationAwareRecipe
from edgebci.training.recipe import Optimiser, StudentRecipe, TrainingRecipe

STUDENT_NAME, RAT_TARGET = "student.safetensors", "speed"


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
    realm: tuple[RealmReadout, ...] = REALM_READOUTS
    """Of REALM's edge student, on every session."""
    backbones: tuple[Backbone, ...] = ("gru", "mamba2", "s4d")
    """Of POSSM on the spikes of every session that has sorted ones."""
    rats: bool
    """Whether the rats' recordings are asked for; an absent one is named."""

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
    rats=False,
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
    quantized_epochs=12,
    rats=True,
)


def reproduce_quantization(size: QuantizationSize, root: Path, progress: Progress) -> LossTable:
    """Make the sessions, train a decoder of each kind on each, and measure what int8 costs it; what is done is kept."""
    start = part(progress, 0.0, 0.1)
    session = obtain_session(size.preparation(), root, "session", "synthetic", lambda f, _: start(f, "the session"))
    rats = [rat for rat in RATS if rat.path.is_file()] if size.rats else []
    recorded = [obtain_rat(rat, RAT_TARGET, root, start) for rat in rats]
    sessions = {"": session} | {f"{rat.name}_": one for rat, one in zip(rats, recorded, strict=True)}
    cases = _cases(size, sessions, root, part(progress, 0.1, 0.4))
    table = measure_losses(cases, root, size.quantized_training(), size.name, part(progress, 0.4, 0.9))
    of_spikes = SpikeStudy(size.student_epochs, size.seed, size.quantized_training(), root)
    rows = spike_losses(_spike_cases(size, sessions), of_spikes, part(progress, 0.9, 1.0))
    not_run = absent(RATS) if size.rats else ()
    return write_table(table.model_copy(update={"rows": (*table.rows, *rows), "absent": not_run}), root)


def _spike_cases(size: QuantizationSize, sessions: Mapping[str, Session]) -> list[SpikeCase]:
    return [
        SpikeCase(f"{start}possm_{backbone}", session, backbone)
        for start, session in sessions.items()
        if session.spikes is not None
        for backbone in size.backbones
    ]


@dataclass(frozen=True, eq=False)
class _Decoder:
    """A float decoder that is trained, or was, in a stage of its own."""

    name: str
    stage: str
    session: Session
    train: Callable[[Progress], Path]


def _cases(size: QuantizationSize, sessions: Mapping[str, Session], root: Path, progress: Progress) -> list[Case]:
    """A float student of every cell, REALM's decoders and, where spikes teach one, the cross-modal decoder of every
    session, by the start of its name.

    Trained kind by kind, since REALM's two of a session share an encoder that a second process would have to wait for.
    """
    decoders = [
        [
            *_students(size, *named, root),
            *_realm_decoders(size, *named, root),
            *_crossmodal_decoders(size, *named, root),
        ]
        for named in sessions.items()
    ]
    by_kind = [one for of_a_kind in zip_longest(*decoders) for one in of_a_kind if one is not None]
    shares = [part(progress, i / len(by_kind), (i + 1) / len(by_kind)) for i in range(len(by_kind))]
    share((root, one.stage, partial(one.train, each)) for one, each in zip(by_kind, shares, strict=True))
    return [Case(one.name, one.train(progress), one.session.data) for of_a_session in decoders for one in of_a_session]


def _students(size: QuantizationSize, start: str, session: Session, root: Path) -> list[_Decoder]:
    names = {f"{start}{cell}": cell for cell in size.cells}
    return [
        _Decoder(name, f"{name}_student", session, partial(_student, size, session, cell, name, root))
        for name, cell in names.items()
    ]


def _realm_decoders(size: QuantizationSize, start: str, session: Session, root: Path) -> list[_Decoder]:
    names = {f"{start}realm_{readout.replace('-', '_')}": readout for readout in size.realm}
    return [
        _Decoder(
            name, name, session, partial(realm_decoder, session, readout, size.student_epochs, size.seed, root, name)
        )
        for name, readout in names.items()
    ]


def _crossmodal_decoders(size: QuantizationSize, start: str, session: Session, root: Path) -> list[_Decoder]:
    if session.spikes is None:
        return []
    name = f"{start}crossmodal"
    return [
        _Decoder(name, name, session, partial(crossmodal_decoder, session, size.student_epochs, size.seed, root, name))
    ]


def _student(
    size: QuantizationSize, session: Session, cell: CellKind, name: str, root: Path, progress: Progress
) -> Path:
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
        distill(data, None, spec, recipe, folder / STUDENT_NAME, lambda f, note: progress(f, f"{name} student: {note}"))

    inputs = [data.fingerprint("train", "validation"), recipe.model_dump_json(), spec.model_dump_json()]
    digest = training_digest("edgebci.training.distillation")
    return run_stage(root, f"{name}_student", inputs, work, digest).folder / STUDENT_NAME
