"""REALM: encoders learned without labels from some sessions, then read out or fine-tuned on another one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from edgebci.checkpoint import Checkpoint
from edgebci.decoding_data import Floats
from edgebci.files import sha256
from edgebci.pipeline.cache import Stage, run_stage, share
from edgebci.pipeline.imports import training_digest
from edgebci.pipeline.studies.trial import Way
from edgebci.pipeline.systems.frame_system import FrameSystem
from edgebci.progress import Progress
from edgebci.session import Session

if TYPE_CHECKING:
    from edgebci.training.realm.recipe import RealmRecipe
    from edgebci.training.realm.spec import EncoderSpec

TEACHER, STUDENT, UNTAUGHT = "teacher", "student", "untaught"
RANDOM, LARGE = "random", "large"
"""Never trained before they meet a session: of the student's size, and several times as large."""
ENCODER_NAME, DECODER_NAME = "encoder.safetensors", "decoder.safetensors"
_MODULES = tuple(
    f"edgebci.training.realm.{name}" for name in ("distill", "files", "finetune", "pretrain", "readout", "untrained")
)


@dataclass(frozen=True)
class Encoders:
    """The encoders of a study, one of each kind for every seed; finished ones are kept."""

    sessions: tuple[Session, ...]
    """That teacher and student learn from; labels are used only where the recipe says so."""
    recipe: RealmRecipe
    root: Path
    progress: Progress
    teacher: Path | None = None
    """A teacher that exists already, for every seed; None: one is trained."""

    @property
    def identity(self) -> str:
        """What all of them depend on besides kind and seed, as text."""
        seen = [s.data.fingerprint("train", "validation") for s in self.sessions]
        return "\n".join([self.recipe.model_dump_json(), *seen, sha256(self.teacher) if self.teacher else ""])

    def path(self, kind: str, seed: int) -> Path:
        """The file of one encoder, trained now if it is not there."""
        if kind == TEACHER and self.teacher:
            return self.teacher
        return self._stage(kind, seed).folder / ENCODER_NAME

    def seconds(self, kind: str, seed: int) -> float:
        """What training an encoder took."""
        return self._stage(kind, seed).seconds

    def _stage(self, kind: str, seed: int) -> Stage:
        teacher = self.path(TEACHER, seed) if kind == STUDENT else None

        def work(folder: Path) -> None:
            self._train(kind, seed, teacher, folder / ENCODER_NAME)

        inputs = [self.identity, str(seed), kind]
        return run_stage(self.root, _name(kind, seed), inputs, work, training_digest(*_MODULES))

    def train(self, kinds: Sequence[str], seeds: Sequence[int]) -> None:
        """Train those of these kinds and seeds that no other process is at."""
        share((self.root, _name(kind, seed), partial(self.path, kind, seed)) for seed in seeds for kind in kinds)

    def seeded(self, seed: int) -> RealmRecipe:
        """The recipe with this seed."""
        return self.recipe.model_copy(update={"seed": seed})

    def _train(self, kind: str, seed: int, teacher: Path | None, out: Path) -> None:
        from edgebci.training.realm.distill import distill
        from edgebci.training.realm.pretrain import pretrain
        from edgebci.training.realm.untrained import save_untrained

        recipe, sessions = self.seeded(seed), self.sessions
        if kind == TEACHER:
            pretrain(sessions, recipe, out, self.progress)
        elif kind == RANDOM:
            save_untrained(recipe, out)
        elif kind == LARGE:
            save_untrained(recipe.model_copy(update={"student": enlarged(recipe.student)}), out)
        elif kind == STUDENT:
            distill(sessions, teacher, recipe, out, self.progress)
        else:
            distill(sessions, None, _as_long(recipe), out, self.progress)


def enlarged(student: EncoderSpec) -> EncoderSpec:
    """Twice as wide and twice as deep: about eight times the multiplications."""
    return student.model_copy(update={"d_model": 2 * student.d_model, "n_layers": 2 * student.n_layers})


def _name(kind: str, seed: int) -> str:
    return f"{kind}_{seed}"


def _as_long(recipe: RealmRecipe) -> RealmRecipe:
    """Without a teacher, the student trains for the teacher's epochs too: equal compute."""
    stage = recipe.distillation
    epochs = stage.optimiser.epochs + recipe.pretraining.optimiser.epochs
    longer = stage.optimiser.model_copy(update={"epochs": epochs})
    return recipe.model_copy(update={"distillation": stage.model_copy(update={"optimiser": longer})})


def label_free_way(encoders: Encoders, kind: str) -> Way:
    """A ridge readout of a frozen encoder."""

    def decode(session: Session, seed: int, _folder: Path, _progress: Progress) -> Floats:
        from edgebci.training.realm.files import load_encoder
        from edgebci.training.realm.readout import fit_label_free

        encoder = load_encoder(encoders.path(kind, seed)).encoder
        return fit_label_free(encoder, session.data, encoders.recipe.label_free).predict(session.data)

    return Way(f"{kind}, label-free", encoders.identity, decode, _MODULES)


def fine_tuned_way(encoders: Encoders, kind: str, times: int = 1) -> Way:
    """Encoder and head trained on the session's labels; from random weights all of it learns, for twice the epochs.

    Args:
        encoders: to start from.
        kind: of encoder.
        times: as many epochs as the recipe says, for sessions of few labels, whose epochs are short.
    """

    def decode(session: Session, seed: int, folder: Path, progress: Progress) -> Floats:
        from edgebci.training.realm.finetune import fine_tune, predict

        recipe, is_scratch = encoders.seeded(seed), kind in (RANDOM, LARGE)
        stage = recipe.fine_tuning
        epochs = times * stage.optimiser.epochs * (2 if is_scratch else 1)
        tuning = stage.model_copy(
            update={
                "freeze_tokenizer": stage.freeze_tokenizer and not is_scratch,
                "optimiser": stage.optimiser.model_copy(update={"epochs": epochs}),
            }
        )
        recipe = recipe.model_copy(update={"fine_tuning": tuning})
        file = fine_tune(session, encoders.path(kind, seed), recipe, folder / DECODER_NAME, progress)
        return predict(file, session.data)

    identity = encoders.identity if times == 1 else f"{encoders.identity}\n{times} times the epochs"
    return Way(f"{kind}, fine-tuned", identity, decode, _MODULES)


@dataclass(frozen=True)
class RealmSystem(FrameSystem):
    """Label-free and fine-tuned readouts of a distilled student."""

    encoders: Encoders

    def learn(self, seeds: tuple[int, ...]) -> None:
        """Teacher and student of every seed."""
        self.encoders.train((TEACHER, STUDENT), seeds)

    def ways(self) -> tuple[Way, ...]:
        """Frozen with a ridge readout; fine-tuned."""
        return label_free_way(self.encoders, STUDENT), fine_tuned_way(self.encoders, STUDENT)

    def costs(self, session: Session) -> str:
        """MACs, bytes and state of the student."""
        from edgebci.training.realm.workload import realm_workload

        return realm_workload(self.encoders.recipe.student, session.data.targets.shape[1]).summary()

    def deployable(self, session: Session, seed: int, trial: Path) -> Checkpoint:  # noqa: ARG002 (they are in the file)
        """The fine-tuned student."""
        from edgebci.training.realm.export_form import to_checkpoint
        from edgebci.training.realm.files import load_decoder

        return to_checkpoint(load_decoder(trial / DECODER_NAME))
