"""Quantization-aware training: the twin learns to decode, in the device's counts, what its float form decodes.

loss = distillation_weight * MSE to the float student's output + task_weight * error to the target,

both in standard deviations. The recurrence is computed step by step with rounded states, so windows are short; into
each window the float student's states are carried, computed by its stream over the whole interval, and rounded to
counts. So the twin learns with states as large as minutes of signal make them. Gradients end at a window's start.

What is scored on validation, and kept, are the integers in NumPy that ship. Where the task has a weight, the score is
how well they follow the target; where it has none, how well they follow the float student, which tells epochs apart
that the target's noise would not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgebci.arithmetic import F32
from edgebci.checkpoint import Checkpoint, TrainingRecord, save_checkpoint
from edgebci.decoder_float import FloatDecoder
from edgebci.decoding_data import DecodingData, Part
from edgebci.documents import Document
from edgebci.errors import InputError
from edgebci.possm_quantized import QuantizedPossmStep
from edgebci.possm_spec import PossmCheckpoint, save_possm_step
from edgebci.possm_stream import ChunkStream, FloatPossmStream
from edgebci.progress import Progress, silent
from edgebci.quantized_decoder import QuantizedDecoder
from edgebci.training.loop import Plan, fit, reproducible
from edgebci.training.quantization_aware.chunks import chunks_as_data
from edgebci.training.quantization_aware.learner import Twin, TwinLearner
from edgebci.training.quantization_aware.possm_twin import PossmTwin
from edgebci.training.quantization_aware.recipe import QuantizationAwareRecipe
from edgebci.training.quantization_aware.twin import QuantizedTwin
from edgebci.training.record import partial_path, stage_record, versions
from edgebci.training.windows import require_enough

_PARTS: tuple[Part, ...] = ("train", "validation")
Integers = TypeVar("Integers", QuantizedDecoder, QuantizedPossmStep)


@dataclass(frozen=True, eq=False)
class QuantizationAware:
    """What came out: integers to ship, and the float weights that they were rounded from."""

    checkpoint: Checkpoint
    decoder: QuantizedDecoder


@dataclass(frozen=True, eq=False)
class QuantizationAwareStep:
    """The same of a decoder of spikes."""

    checkpoint: PossmCheckpoint
    step: QuantizedPossmStep


def train_quantization_aware(
    data: DecodingData,
    student: Checkpoint,
    start: QuantizedDecoder,
    recipe: QuantizationAwareRecipe,
    out: Path,
    progress: Progress = silent,
) -> QuantizationAware:
    """Train from a decoder that was quantized after training, and write what comes out.

    Early stopping and the choice of epoch look at validation only. Where no epoch is better there than the start, the
    start is what comes out. An interrupted call leaves its state beside `out`; the
    same call again goes on from there, to the same bits.

    Args:
        data: what the student was trained on.
        student: the float decoder that teaches, and whose weights are where training begins.
        start: the student, quantized after training.
        recipe: how long, how fast.
        out: the checkpoint of the float weights; the integers lie beside it, see `integers_path`.
        progress: of the training.

    Raises:
        InputError: sizes that do not fit the data, or too few frames.
    """
    _require_fit(data, student, start, recipe)
    floating = FloatDecoder.of(student.spec, student.parameters)
    begin = _Begin(data, student.spec, student.parameters, start, recipe, out)
    with reproducible(recipe.seed, recipe.threads):
        learner = TwinLearner(QuantizedTwin.of(student.parameters, start), data, floating, recipe)
        ended = _ended(learner, begin, progress)
    result = QuantizationAware(Checkpoint(student.spec, ended.parameters, ended.record), ended.integers)
    save_checkpoint(out, result.checkpoint)
    result.decoder.save(integers_path(out))
    partial_path(out).unlink(missing_ok=True)
    return result


def train_possm_quantization_aware(
    seen: Mapping[Part, ChunkStream],
    student: PossmCheckpoint,
    start: QuantizedPossmStep,
    recipe: QuantizationAwareRecipe,
    out: Path,
    progress: Progress = silent,
) -> QuantizationAwareStep:
    """The same of a decoder of spikes; a recipe's frames are its chunks.

    Args:
        seen: the chunks of training and validation with their targets, in order of time.
        student: the float step.
        start: the step, quantized after training.
        recipe: how long, how fast.
        out: the float step; the integers lie beside it, see `integers_path`.
        progress: of the training.

    Raises:
        InputError: too few chunks, or the quantized step has other sizes.
    """
    data = chunks_as_data(seen, student.spec)
    _require_enough(data, recipe)
    _require_same_sizes(student.spec, start.spec)
    floating = FloatPossmStream.of(student.spec, student.parameters)
    begin = _Begin(data, student.spec, student.parameters, start, recipe, out)
    with reproducible(recipe.seed, recipe.threads):
        learner = TwinLearner(PossmTwin.of(student.parameters, start), data, floating, recipe)
        ended = _ended(learner, begin, progress)
    result = QuantizationAwareStep(PossmCheckpoint(student.spec, ended.parameters, ended.record), ended.integers)
    save_possm_step(out, result.checkpoint)
    result.step.save(integers_path(out))
    partial_path(out).unlink(missing_ok=True)
    return result


def integers_path(out: Path) -> Path:
    """Where the quantized decoder of a checkpoint `out` lies: `student.safetensors` to `student.int8.safetensors`."""
    return out.with_name(f"{out.stem}.int8.safetensors")


@dataclass(frozen=True, eq=False)
class _Begin(Generic[Integers]):
    """Where training begins."""

    data: DecodingData
    spec: Document
    parameters: Mapping[str, NDArray[Any]]
    integers: Integers
    recipe: QuantizationAwareRecipe
    out: Path

    @property
    def hashes(self) -> dict[str, str]:
        """Of the data, by part."""
        return {part: self.data.fingerprint(part) for part in _PARTS}

    def plan(self) -> Plan:
        """How to train."""
        return Plan(
            optimiser=self.recipe.optimiser,
            seed=self.recipe.seed,
            patience_epochs=self.recipe.patience_epochs,
            identity=self._identity(),
            partial=partial_path(self.out),
        )

    def _identity(self) -> str:
        """Hash of all that the result depends on."""
        recipe, spec = self.recipe.model_dump_json(), self.spec.model_dump_json()
        digest = hashlib.sha256("\n".join((self.data.fingerprint(*_PARTS), recipe, spec, str(versions()))).encode())
        for arrays in (self.parameters, self.integers.tensors()):
            for name, array in sorted(arrays.items()):
                digest.update(name.encode() + np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class _Ended(Generic[Integers]):
    """What training came to."""

    integers: Integers
    parameters: Mapping[str, F32]
    record: TrainingRecord


def _ended(learner: TwinLearner[Twin], begin: _Begin[Integers], progress: Progress) -> _Ended[Integers]:
    """Train, and keep the start where nothing was better on validation."""
    before = learner.score_of(begin.integers)
    fitted = fit(learner, begin.plan(), progress)
    improved = fitted.score is not None and fitted.score > before
    integers: Any = fitted.model.quantized() if improved else begin.integers
    parameters = fitted.model.parameters_by_name() if improved else begin.parameters
    accuracy = learner.accuracy(learner.streamed(integers))
    record = stage_record(begin.recipe, begin.hashes, fitted, begin.data.frame_rate_hz, None, accuracy)
    return _Ended(integers, parameters, record if improved else record.model_copy(update={"best_epoch": 0}))


def _require_fit(
    data: DecodingData, student: Checkpoint, start: QuantizedDecoder, recipe: QuantizationAwareRecipe
) -> None:
    found, wanted = (data.frames.shape[1], data.targets.shape[1]), (student.spec.n_inputs, student.spec.n_outputs)
    if found != wanted:
        raise InputError(
            f"the data have {found[0]} features and {found[1]} target axes, the decoder {wanted[0]} and {wanted[1]}; "
            "give the recording that it was trained on"
        )
    _require_same_sizes(student.spec, start.spec)
    _require_enough(data, recipe)


def _require_same_sizes(student: Document, start: Document) -> None:
    if start != student:
        raise InputError("the quantized decoder has other sizes than the checkpoint; quantize this checkpoint first")


def _require_enough(data: DecodingData, recipe: QuantizationAwareRecipe) -> None:
    require_enough(data, recipe.optimiser.window_frames)
    scored = len(data.rows("validation"))
    if scored < recipe.optimiser.window_frames:
        raise InputError(f"the validation intervals hold {scored} frames to score; give at least one window's length")
