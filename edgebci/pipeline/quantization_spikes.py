"""What int8 costs a decoder of spikes: POSSM's step on one session, rounded after training.

There is no training in the integers of this decoder, and no drift of single spikes in the generator: one way, one
stream, the test part as it is.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgebci.decoding_data import Part
from edgebci.errors import InputError
from edgebci.export.possm_step import quantize_possm
from edgebci.pipeline.cache import run_stage
from edgebci.pipeline.export_spikes import chunks_of
from edgebci.pipeline.imports import training_digest
from edgebci.pipeline.quantization_study import HELD_OUT, LossRow, loss_row
from edgebci.pipeline.studies.possm_study import recipe_for
from edgebci.pipeline.systems.possm import with_backbone
from edgebci.possm_spec import Backbone, load_possm_step, save_possm_step
from edgebci.possm_stream import FloatPossmStream
from edgebci.progress import Progress
from edgebci.session import Session

STEP_NAME, MODEL_NAME = "possm_step.safetensors", "possm.safetensors"
_PARTS: tuple[Part, ...] = ("train", "test")
_MODULES = ("edgebci.training.possm.learning", "edgebci.training.possm.export_form")


def spike_losses(
    session: Session, backbone: Backbone, epochs: int, seed: int, root: Path, progress: Progress
) -> LossRow:
    """Train POSSM's edge size on the session, unless an earlier call did, and compare its integers with its float step.

    Raises:
        InputError: the session has no sorted spikes or no test part.
    """
    if not session.data.test:
        raise InputError(f"{session.name} has no test part; prepare the session with one")
    checkpoint = load_possm_step(_trained(session, backbone, epochs, seed, root, progress))
    spec = checkpoint.spec
    seen, unseen = (chunks_of(session, name, spec) for name in _PARTS)
    exact = FloatPossmStream.of(spec, checkpoint.parameters).stream(unseen.chunks, unseen.reset_before)
    integers = quantize_possm(spec, checkpoint.parameters, seen.chunks, None, seen.reset_before)
    counted = integers.stream(unseen.chunks, unseen.reset_before).astype(np.float64)
    assert unseen.truth is not None
    name = f"POSSM {backbone}"
    return loss_row(name, name, "int8 after training", HELD_OUT, (unseen.truth, exact, counted), 1 / spec.chunk_s)


def _trained(session: Session, backbone: Backbone, epochs: int, seed: int, root: Path, progress: Progress) -> Path:
    """Where the step of this session lies."""
    from edgebci.training.possm.export_form import to_step
    from edgebci.training.possm.learning import train

    recipe = with_backbone(recipe_for(session, epochs), backbone, seed)

    def work(folder: Path) -> None:
        file = train([session], recipe, folder / MODEL_NAME, progress)
        save_possm_step(folder / STEP_NAME, to_step(file, session.name))

    inputs = [session.data.fingerprint("train", "validation"), recipe.model_dump_json()]
    return run_stage(root, f"possm_{backbone}", inputs, work, training_digest(*_MODULES)).folder / STEP_NAME
