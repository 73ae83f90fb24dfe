"""What int8 costs a decoder of spikes: POSSM, rounded after training and trained in the integers.

Its step decodes the sorted spikes of each session on which it was trained.

There is no drift of single spikes in the generator: one stream, the test part as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, eq=False)
class SpikeCase:
    """POSSM with one backbone for one session.

    Fields:
        name: of the decoder and the session, fit for a folder.
        session: with sorted spikes.
    """

    name: str
    session: Session
    backbone: Backbone


@dataclass(frozen=True)
class SpikeStudy:
    """How long POSSM learns in float, and how in the integers, where `recipe` counts windows in chunks."""

    epochs: int
    seed: int
    recipe: QuantizationAwareRecipe
    root: Path
    """Folder for what is kept."""


def spike_losses(cases: Sequence[SpikeCase], study: SpikeStudy, progress: Progress) -> tuple[LossRow, ...]:
    """Train POSSM's edge sizes, unless an earlier call did, and compare their integers with their float steps.

    A second process on the same folder takes the cases that the first is not at.

    Raises:
        InputError: a session has no sorted spikes or no test part.
    """
    for case in cases:
        if not case.session.data.test:
            raise InputError(f"{case.session.name} has no test part; prepare the session with one")
    shares = [part(progress, i / len(cases), (i + 1) / len(cases)) for i in range(len(cases))]
    trained = {
        case.name: partial(_trained, case, study, part(each, 0.0, 0.5))
        for case, each in zip(cases, shares, strict=True)
    }
    share((study.root, name, train) for name, train in trained.items())
    measured = {
        case.name: partial(_kept_losses, case, trained[case.name](), study, part(each, 0.5, 1.0))
        for case, each in zip(cases, shares, strict=True)
    }
    share((study.root, rows_stage(name), measure) for name, measure in measured.items())
    return tuple(row for measure in measured.values() for row in measure())


def _kept_losses(case: SpikeCase, file: Path, study: SpikeStudy, progress: Progress) -> tuple[LossRow, ...]:
    seen = [case.session.data.fingerprint("train", "validation", "test"), sha256(file), study.recipe.model_dump_json()]
    return kept_rows(study.root, case.name, seen, lambda: _losses(case, file, study, progress), __name__)


def _losses(case: SpikeCase, file: Path, study: SpikeStudy, progress: Progress) -> tuple[LossRow, LossRow]:
    checkpoint = load_possm_step(file)
    spec = checkpoint.spec
    seen, unseen = (chunks_of(case.session, name, spec) for name in _PARTS)
    exact = FloatPossmStream.of(spec, checkpoint.parameters).stream(unseen.chunks, unseen.reset_before)
    rounded = quantize_possm(spec, checkpoint.parameters, seen.chunks, None, seen.reset_before)
    learned, start_kept = _in_the_integers(case, file, study, progress)
    cell, truth = f"POSSM {case.backbone}", unseen.truth
    assert truth is not None

    def row(way: Way, step: QuantizedPossmStep) -> LossRow:
        counted = step.stream(unseen.chunks, unseen.reset_before).astype(np.float64)
        return loss_row(case.name, cell, way, HELD_OUT, (truth, exact, counted), 1 / spec.chunk_s)

    trained = row("int8 in training", learned).model_copy(update={"start_kept": start_kept})
    return row("int8 after training", rounded), trained


def _in_the_integers(
    case: SpikeCase, file: Path, study: SpikeStudy, progress: Progress
) -> tuple[QuantizedPossmStep, bool]:
    """The step trained in the integers, and whether no epoch was better than its start."""
    from edgebci.training.quantization_aware.learning import integers_path

    checkpoint = load_possm_step(file)
    seen, judged = (chunks_of(case.session, name, checkpoint.spec) for name in _LEARNING)

    def work(folder: Path) -> None:
        quantize_step_in_training(seen, judged, checkpoint, folder / STEP_NAME, study.recipe, None, progress)

    digest = training_digest("edgebci.training.quantization_aware.learning")
    inputs = [sha256(file), study.recipe.model_dump_json()]
    out = run_stage(study.root, f"{case.name}_quantized", inputs, work, digest).folder / STEP_NAME
    return QuantizedPossmStep.load(integers_path(out)), load_possm_step(out).training.best_epoch == 0


def _trained(case: SpikeCase, study: SpikeStudy, progress: Progress) -> Path:
    """Where the step of this session lies."""
    from edgebci.training.possm.export_form import to_step
    from edgebci.training.possm.learning import train

    session = case.session
    recipe = with_backbone(recipe_for(session, study.epochs), case.backbone, study.seed)

    def work(folder: Path) -> None:
        file = train([session], recipe, folder / MODEL_NAME, progress)
        save_possm_step(folder / STEP_NAME, to_step(file, session.name))

    inputs = [session.data.fingerprint("train", "validation"), recipe.model_dump_json()]
    return run_stage(study.root, case.name, inputs, work, training_digest(*_MODULES)).folder / STEP_NAME
