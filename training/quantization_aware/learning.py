"""Quantization-aware training: the twin learns to decode, in the device's counts, what its float form decodes.

loss = distillation_weight * MSE to the float student's output + task_weight * error to the target,

both in standard deviations. The recurrence is computed step by step with rounded states, so windows are short; into
each window the float student's states are carried, computed by its stream over the whole interval, and rounded to
counts. So the twin learns with states as large as minutes of signal make them. Gradients end at a window's start.

What is scored on validation, and kept, is the `QuantizedDecoder` in NumPy: the very integers that ship. Where the task
has a weight, the score is how well they follow the target; where it has none, how well they follow the float student,
which tells epochs apart that the target's noise would not.
"""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from edgebci.checkpoint import Checkpoint, save_checkpoint
from edgebci.decoder_float import CHUNK, FloatDecoder, States
from edgebci.decoding_data import DecodingData, Floats, Part
from edgebci.detection import auroc
from edgebci.errors import InputError
from edgebci.metrics import F64, r2
from edgebci.progress import Progress, silent
from edgebci.quantized_decoder import QuantizedDecoder
from edgebci.training.loop import Learner, Plan, fit, reproducible
from edgebci.training.quantization_aware.recipe import QuantizationAwareRecipe
from edgebci.training.quantization_aware.twin import QuantizedTwin
from edgebci.training.record import partial_path, stage_record, versions
from edgebci.training.windows import gather, pieces, require_enough, window_starts

_PARTS: tuple[Part, ...] = ("train", "validation")


@dataclass(frozen=True, eq=False)
class QuantizationAware:
    """What came out: integers to ship, and the float weights that they were rounded from."""

    checkpoint: Checkpoint
    decoder: QuantizedDecoder


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
    plan = Plan(
        optimiser=recipe.optimiser,
        seed=recipe.seed,
        patience_epochs=recipe.patience_epochs,
        identity=_identity(data, student, start, recipe),
        partial=partial_path(out),
    )
    with reproducible(recipe.seed, recipe.threads):
        learner = TwinLearner(QuantizedTwin.of(student.parameters, start), data, student, recipe)
        before = learner.score_of(start)
        fitted = fit(learner, plan, progress)
    improved = fitted.score is not None and fitted.score > before
    decoder, parameters = (
        (fitted.model.quantized(), fitted.model.parameters_by_name()) if improved else (start, student.parameters)
    )
    hashes: dict[str, str] = {part: data.fingerprint(part) for part in _PARTS}
    accuracy = learner.accuracy(learner.streamed(decoder))
    record = stage_record(recipe, hashes, fitted, data.frame_rate_hz, None, accuracy)
    record = record if improved else record.model_copy(update={"best_epoch": 0})
    result = QuantizationAware(Checkpoint(student.spec, parameters, record), decoder)
    save_checkpoint(out, result.checkpoint)
    result.decoder.save(integers_path(out))
    plan.partial.unlink(missing_ok=True)
    return result


def integers_path(out: Path) -> Path:
    """Where the quantized decoder of a checkpoint `out` lies: `student.safetensors` to `student.int8.safetensors`."""
    return out.with_name(f"{out.stem}.int8.safetensors")


@dataclass
class CarriedStates:
    """The float student over every training frame: what it decodes, and its states where windows begin."""

    decoder: FloatDecoder
    data: DecodingData
    states: dict[int, States] = field(default_factory=dict)
    """Before a window's first frame, by its number."""
    outputs: Floats | None = None
    """(K, D), zeros outside the training intervals."""

    def begin(self, starts: npt.NDArray[np.int64]) -> None:
        """Stream over all training intervals from power-on and keep the states at `starts`."""
        self.states, data = {}, self.data
        outputs = np.zeros((len(data.frames), self.decoder.spec.n_outputs), np.float32)
        for first, stop in pieces(data, "train"):
            inside = np.unique(starts[(starts >= first) & (starts < stop)])
            states = self.decoder.initial_states()
            for left, right in itertools.pairwise(sorted({*range(first, stop, CHUNK), *inside.tolist(), stop})):
                if left in inside:
                    self.states[left] = {name: state.copy() for name, state in states.items()}
                outputs[left:right], states = self.decoder.run(data.frames[left:right], states)
        self.outputs = outputs

    def at(self, starts: npt.NDArray[np.int64]) -> dict[str, F64]:
        """States (b, *shape) before the windows that begin at `starts`."""
        rows = [self.states[int(start)] for start in starts]
        return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


class TwinLearner(Learner[QuantizedTwin]):
    """Windows of training frames, and the score of the integers on validation."""

    def __init__(
        self, twin: QuantizedTwin, data: DecodingData, student: Checkpoint, recipe: QuantizationAwareRecipe
    ) -> None:
        self.model, self.data, self.recipe = twin, data, recipe
        self.carried = CarriedStates(FloatDecoder.of(student.spec, student.parameters), data)
        self.carried.begin(np.empty(0, np.int64))
        self.frames, self.valid = torch.from_numpy(data.frames), torch.from_numpy(data.valid)
        self.targets = torch.from_numpy(data.targets)
        decoded, rows = torch.from_numpy(_filled(self.carried.outputs)), data.rows("train")
        self.decoded, self.spread = decoded, decoded[rows].std(dim=0).clamp(min=1e-6)
        self.detects = data.task == "detection"
        self.follows_student = not recipe.task_weight
        self.student_says = self.streamed(self.carried.decoder)
        what = "R2 to the float student" if self.follows_student else "AUROC" if self.detects else "R2"
        self.score_name = f"validation {what} of the integers"

    def windows(self, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """Where the windows of one epoch begin; the student's states there are computed at once."""
        starts = window_starts(rng, pieces(self.data, "train"), self.recipe.optimiser.window_frames)
        self.carried.begin(starts)
        return starts

    def losses(self, starts: npt.NDArray[np.int64], _: np.random.Generator) -> dict[str, Tensor]:
        """The parts of the loss, burn-in and invalid frames left out."""
        recipe, length = self.recipe, self.recipe.optimiser.window_frames
        counted = gather(self.valid, starts, length)
        counted[:, : recipe.burn_in_frames] = False
        values = self.model.values()
        states = self.model.quantized_states(self.carried.at(starts), values)
        said = self.model.run(gather(self.frames, starts, length), states, values)[0][counted]
        losses = {}
        if recipe.distillation_weight:
            taught = gather(self.decoded, starts, length)[counted]
            losses["distillation"] = recipe.distillation_weight * self._mse(said, taught, self.spread)
        if recipe.task_weight:
            truth = gather(self.targets, starts, length)[counted]
            losses["task"] = recipe.task_weight * self._task_error(said, truth)
        return losses

    def score(self, model: QuantizedTwin) -> float:
        """Mean over axes of the score of the integers over validation, from zero states."""
        return self.score_of(model.quantized())

    def score_of(self, decoder: QuantizedDecoder) -> float:
        """The same of any quantized decoder."""
        said = self.streamed(decoder)
        return float(r2(self.student_says, said).mean()) if self.follows_student else self.accuracy(said)

    def accuracy(self, said: F64) -> float:
        """R2 (detection: AUROC) of what was decoded of the valid validation frames, mean over axes."""
        true = self.data.targets[self.data.rows("validation")].astype(np.float64)
        if self.detects:
            return float(np.mean([auroc(true[:, d] > 0, said[:, d]) for d in range(true.shape[1])]))
        return float(r2(true, said).mean())

    def streamed(self, decoder: QuantizedDecoder | FloatDecoder) -> F64:
        """What a decoder says of the valid validation frames, each interval from zero states."""
        decoded = [
            np.asarray(decoder.stream(self.data.frames[start:stop]), np.float64)[self.data.valid[start:stop]]
            for start, stop in pieces(self.data, "validation")
        ]
        return np.concatenate(decoded)

    def _task_error(self, said: Tensor, truth: Tensor) -> Tensor:
        if self.detects:
            return functional.binary_cross_entropy_with_logits(said, truth)
        return self._mse(said, truth, self.targets[self.data.rows("train")].std(dim=0))

    @staticmethod
    def _mse(said: Tensor, wanted: Tensor, unit: Tensor) -> Tensor:
        return functional.mse_loss(said / unit, wanted / unit)


def _filled(outputs: Floats | None) -> Floats:
    assert outputs is not None
    return outputs


def _require_fit(
    data: DecodingData, student: Checkpoint, start: QuantizedDecoder, recipe: QuantizationAwareRecipe
) -> None:
    found, wanted = (data.frames.shape[1], data.targets.shape[1]), (student.spec.n_inputs, student.spec.n_outputs)
    if found != wanted:
        raise InputError(
            f"the data have {found[0]} features and {found[1]} target axes, the decoder {wanted[0]} and {wanted[1]}; "
            "give the recording that it was trained on"
        )
    if start.spec != student.spec:
        raise InputError("the quantized decoder has other sizes than the checkpoint; quantize this checkpoint first")
    require_enough(data, recipe.optimiser.window_frames)
    scored = len(data.rows("validation"))
    if scored < recipe.optimiser.window_frames:
        raise InputError(f"the validation intervals hold {scored} frames to score; give at least one window's length")


def _identity(data: DecodingData, student: Checkpoint, start: QuantizedDecoder, recipe: QuantizationAwareRecipe) -> str:
    """Hash of all that the result depends on."""
    texts = [data.fingerprint(*_PARTS), recipe.model_dump_json(), student.spec.model_dump_json(), str(versions())]
    digest = hashlib.sha256("\n".join(texts).encode())
    for arrays in (student.parameters, start.tensors()):
        for name, array in sorted(arrays.items()):
            digest.update(name.encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
