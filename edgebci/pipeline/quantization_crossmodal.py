"""The cross-modal edge decoder for the study of losses: taught by a session's spikes, read out by ridge from its LFP.

Spike teacher and student learn without labels from the training part of the one session that the decoder is for, for
the epochs of the study's other students.
"""

from __future__ import annotations

from pathlib import Path

from edgebci.checkpoint import save_checkpoint
from edgebci.pipeline.cache import run_stage
from edgebci.pipeline.imports import training_digest
from edgebci.pipeline.studies.crossmodal_study import recipe_for
from edgebci.pipeline.studies.size import QUICK
from edgebci.pipeline.systems.crossmodal import CrossModalSystem, Models
from edgebci.progress import Progress
from edgebci.session import Session

DECODER_NAME = "crossmodal.safetensors"
_MODULES = tuple(f"edgebci.training.crossmodal.{name}" for name in ("export_form", "files", "readout"))


def crossmodal_decoder(session: Session, epochs: int, seed: int, root: Path, name: str, progress: Progress) -> Path:
    """Where the checkpoint of the student with its readout lies; trained unless an earlier call did.

    Args:
        session: whose training part teaches teacher, student and readout; with sorted spikes.
        epochs: of both trainings.
        seed: of both.
        root: folder for what is kept.
        name: of the folder that the checkpoint gets in it.
        progress: of the training.
    """
    size = QUICK.model_copy(update={"teacher_epochs": epochs, "student_epochs": epochs})
    models = Models((session,), recipe_for(size), root / "crossmodal_models" / session.name, progress)

    def work(folder: Path) -> None:
        save_checkpoint(folder / DECODER_NAME, CrossModalSystem(models).deployable(session, seed, folder))

    return run_stage(root, name, [models.identity, str(seed)], work, training_digest(*_MODULES)).folder / DECODER_NAME
