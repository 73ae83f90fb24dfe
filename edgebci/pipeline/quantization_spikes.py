"""What int8 costs a decoder of spikes: POSSM's step on one session, rounded after training and trained in the integers.

There is no drift of single spikes in the generator: one stream, the test part as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgebci.decoding_data import Part
from edgebci.errors import InputError
from edgebci.export.possm_step import quantize_possm
from edgebci.files import sha256
from edgebci.pipeline.cache import run_stage, share
from edgebci.pipeline.export_spikes import chunks_of
from edgebci.pipeline.imports import training_digest
from edgebci.pipeline.quantization_aware import quantize_step_in_training
from edgebci.pipeline.quantization_study import HELD_OUT, LossRow, Way, kept_rows, loss_row, rows_stage
from edgebci.pipeline.studies.possm_study import recipe_for
from edgebci.pipeline.systems.possm import with_backbone
from edgebci.possm_quantized import QuantizedPossmStep
from edgebci.possm_spec import Backbone, load_possm_step, save_possm_step
from edgebci.possm_stream import FloatPossmStream
from edgebci.progress import Progress, part
from edgebci.session import Session

if TYPE_CHECKING:
    from edgebci.training.quantization_aware.recipe import QuantizationAwareRecipe

STEP_NAME, MODEL_NAME = "possm_step.safetensors", "possm.safetensors"
_PARTS: tuple[Part, ...] = ("train", "test")
_LEARNING: tuple[Part, ...] = ("train", "validation")
_MODULES = ("edgebci.training.possm.learning", "edgebci.training.possm.export_form")


def spike_losses(
    session: Session,
    backbones: Sequence[Backbone],
    epochs: int,
    recipe: QuantizationAwareRecipe,
    seed: int,
    root: Path,
    progress: Progress,
) -> tuple[LossRow, ...]:
    """Train POSSM's edge sizes on the session, unless an earlier call did, and compare integers with float steps.

    `recipe` is that of the training in the integers; its windows count chunks here. A second process on the same
    folder takes the backbones that the first is not at.

    Raises:
        InputError: the session has no sorted spikes or no test part.
    """
    if not session.data.test:
        raise InputError(f"{session.name} has no test part; prepare the session with one")
    shares = [part(progress, i / len(backbones), (i + 1) / len(backbones)) for i in range(len(backbones))]
    trained = {
        backbone: partial(_trained, session, backbone, epochs, seed, root, part(each, 0.0, 0.5))
        for backbone, each in zip(backbones, shares, strict=True)
    }
    share((root, _stage(backbone), train) for backbone, train in trained.items())
    measured = {
        _stage(backbone): partial(_kept_losses, session, backbone, train(), recipe, root, part(each, 0.5, 1.0))
        for (backbone, train), each in zip(trained.items(), shares, strict=True)
    }
    share((root, rows_stage(name), measure) for name, measure in measured.items())
    return tuple(row for measure in measured.values() for row in measure())


def _kept_losses(
    session: Session,
    backbone: Backbone,
    file: Path,
    recipe: QuantizationAwareRecipe,
    root: Path,
    progress: Progress,
) -> tuple[LossRow, ...]:
    seen = [session.data.fingerprint("train", "validation", "test"), sha256(file), recipe.model_dump_json()]
    return kept_rows(
        root, _stage(backbone), seen, lambda: _losses(session, backbone, file, recipe, root, progress), __name__
    )


def _stage(backbone: Backbone) -> str:
    return f"possm_{backbone}"


def _losses(
    session: Session,
    backbone: Backbone,
    file: Path,
    recipe: QuantizationAwareRecipe,
    root: Path,
    progress: Progress,
) -> tuple[LossRow, LossRow]:
    checkpoint = load_possm_step(file)
    spec = checkpoint.spec
    seen, unseen = (chunks_of(session, name, spec) for name in _PARTS)
    exact = FloatPossmStream.of(spec, checkpoint.parameters).stream(unseen.chunks, unseen.reset_before)
    rounded = quantize_possm(spec, checkpoint.parameters, seen.chunks, None, seen.reset_before)
    learned, start_kept = _in_the_integers(session, backbone, file, recipe, root, progress)
    name, truth = f"POSSM {backbone}", unseen.truth
    assert truth is not None

    def row(way: Way, step: QuantizedPossmStep) -> LossRow:
        counted = step.stream(unseen.chunks, unseen.reset_before).astype(np.float64)
        return loss_row(name, name, way, HELD_OUT, (truth, exact, counted), 1 / spec.chunk_s)

    trained = row("int8 in training", learned).model_copy(update={"start_kept": start_kept})
    return row("int8 after training", rounded), trained


def _in_the_integers(
    session: Session,
    backbone: Backbone,
    file: Path,
    recipe: QuantizationAwareRecipe,
    root: Path,
    progress: Progress,
) -> tuple[QuantizedPossmStep, bool]:
    """The step trained in the integers, and whether no epoch was better than its start."""
    from edgebci.training.quantization_aware.learning import integers_path

    checkpoint = load_possm_step(file)
    seen, judged = (chunks_of(session, name, checkpoint.spec) for name in _LEARNING)

    def work(folder: Path) -> None:
        quantize_step_in_training(seen, judged, checkpoint, folder / STEP_NAME, recipe, None, progress)

    digest = training_digest("edgebci.training.quantization_aware.learning")
    inputs = [sha256(file), recipe.model_dump_json()]
    out = run_stage(root, f"{_stage(backbone)}_quantized", inputs, work, digest).folder / STEP_NAME
    return QuantizedPossmStep.load(integers_path(out)), load_possm_step(out).training.best_epoch == 0


def _trained(session: Session, backbone: Backbone, epochs: int, seed: int, root: Path, progress: Progress) -> Path:
    """Where the step of this session lies."""
    from edgebci.training.possm.export_form import to_step
    from edgebci.training.possm.learning import train

    recipe = with_backbone(recipe_for(session, epochs), backbone, seed)

    def work(folder: Path) -> None:
        file = train([session], recipe, folder / MODEL_NAME, progress)
        save_possm_step(folder / STEP_NAME, to_step(file, session.name))

    inputs = [session.data.fingerprint("train", "validation"), recipe.model_dump_json()]
    return run_stage(root, _stage(backbone), inputs, work, training_digest(*_MODULES)).folder / STEP_NAME
