"""REALM's edge decoders for the study of losses: a student with its tokenizer, fine-tuned, and read out by ridge.

Teacher and student learn without labels from the training part of the one session that the decoder is for, for the
epochs of the study's other students.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from edgebci.checkpoint import Checkpoint, save_checkpoint
from edgebci.pipeline.cache import run_stage
from edgebci.pipeline.imports import training_digest
from edgebci.pipeline.studies.realm_study import recipe_for
from edgebci.pipeline.studies.size import QUICK
from edgebci.pipeline.systems.realm import STUDENT, Encoders, RealmSystem, fine_tuned_way
from edgebci.progress import Progress
from edgebci.session import Session

RealmReadout = Literal["fine-tuned", "label-free"]
REALM_READOUTS: tuple[RealmReadout, ...] = ("fine-tuned", "label-free")
DECODER_NAME = "realm.safetensors"
_MODULES = tuple(
    f"edgebci.training.realm.{name}" for name in ("distill", "export_form", "finetune", "pretrain", "readout")
)


def realm_decoder(
    session: Session, readout: RealmReadout, epochs: int, seed: int, root: Path, name: str, progress: Progress
) -> Path:
    """Where the checkpoint of REALM's edge decoder for this session lies; trained unless an earlier call did.

    Args:
        session: whose training part teaches teacher, student and readout.
        readout: the last layers with the student's own, or ridge on a frozen student's last frames.
        epochs: of each of the trainings.
        seed: of all of them.
        root: folder for what is kept.
        name: of the folder that the checkpoint gets in it.
        progress: of the training.
    """
    size = QUICK.model_copy(update={"teacher_epochs": epochs, "student_epochs": epochs})
    encoders = Encoders((session,), recipe_for(size, session), root / "realm_encoders" / session.name, progress)
    made: dict[RealmReadout, Callable[[Path], Checkpoint]] = {
        "fine-tuned": lambda folder: _fine_tuned(encoders, session, seed, folder, progress),
        "label-free": lambda _: _label_free(encoders, session, seed),
    }

    def work(folder: Path) -> None:
        save_checkpoint(folder / DECODER_NAME, made[readout](folder))

    inputs = [encoders.identity, str(seed), readout]
    return run_stage(root, name, inputs, work, training_digest(*_MODULES)).folder / DECODER_NAME


def _fine_tuned(encoders: Encoders, session: Session, seed: int, folder: Path, progress: Progress) -> Checkpoint:
    fine_tuned_way(encoders, STUDENT).decode(session, seed, folder, progress)
    return RealmSystem(encoders).deployable(session, seed, folder)


def _label_free(encoders: Encoders, session: Session, seed: int) -> Checkpoint:
    from edgebci.training.realm.export_form import label_free_checkpoint
    from edgebci.training.realm.files import load_encoder
    from edgebci.training.realm.readout import fit_label_free

    student = load_encoder(encoders.path(STUDENT, seed))
    fitted = fit_label_free(student.encoder, session.data, encoders.recipe.label_free)
    return label_free_checkpoint(fitted, session.data, student.training)
