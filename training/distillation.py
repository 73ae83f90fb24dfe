"""How the student learns: to decode the target, and to see at each moment what the teacher sees with hindsight.

loss = task_weight * MSE to the standardised target + ridge_weight * MSE to what the ridge baseline decodes
       + alignment_weight * (1 - cosine to the teacher's last layer)
       + reconstruction_weight * MSE of the frame itself, rebuilt from the last layer

In detection the student's output is the log odds of an event: the task's error is then binary cross-entropy, and what
ridge decodes is compared with the probability.

The ridge baseline is a second teacher, fitted to the same training intervals: what it decodes of a frame that it was
not fitted to follows the signal without the target's noise. On minutes of a rat's LFP, task and ridge together gave a
higher R2 than ridge; the task alone gave a lower one.

The projections to the teacher's width and back to the frame belong to training and are not kept. The teacher runs once
over each training interval; what it says of a frame is the same in every epoch, whatever noise the student gets.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgebci.checkpoint import Checkpoint, save_checkpoint
from edgebci.decoder_spec import DecoderSpec
from edgebci.decoding_data import DecodingData, Floats, Part
from edgebci.detection import auroc
from edgebci.errors import InputError
from edgebci.files import sha256
from edgebci.metrics import r2
from edgebci.progress import Progress, silent
from edgebci.training.augmentation import augment, channels_of
from edgebci.training.causal_decoder import CausalDecoder
from edgebci.training.loop import Learner, Plan, fit, reproducible
from edgebci.training.misalignment import misalignment
from edgebci.training.network import Network
from edgebci.training.recipe import StudentRecipe, TrainingRecipe
from edgebci.training.record import identity_of, partial_path, record_of
from edgebci.training.ridge import cross_fit
from edgebci.training.ssm import spread_time_constants
from edgebci.training.teacher import Teacher, load_teacher
from edgebci.training.windows import gather, pieces, require_enough, window_starts


def distill(
    data: DecodingData,
    teacher: Path | None,
    spec: DecoderSpec,
    recipe: TrainingRecipe,
    out: Path,
    progress: Progress = silent,
) -> Checkpoint:
    """Train a causal student towards a teacher's checkpoint (None: without one) and write it to `out`.

    Early stopping and the choice of epoch look at validation only. An interrupted call leaves its state beside `out`;
    the same call again goes on from there, to the same bits. The checkpoint's output is in the target's unit.

    Raises:
        InputError: too few training frames, no validation frames, a constant target, or sizes that do not fit the data.
    """
    _require_same_sizes(data, spec)
    require_trainable(data, recipe.student)
    teacher_sha256 = None if teacher is None else sha256(teacher)
    parts: tuple[Part, ...] = ("train", "validation")
    plan = Plan(
        optimiser=recipe.student.optimiser,
        seed=recipe.seed,
        patience_epochs=recipe.student.patience_epochs,
        identity=identity_of(data, parts, recipe, spec, teacher_sha256 or ""),
        partial=partial_path(out),
    )
    with reproducible(recipe.seed, recipe.threads):
        teachers = Teachers(
            view=None if teacher is None else teacher_view(load_teacher(teacher), data),
            decoded=cross_fit(data, recipe.ridge).decoded if recipe.student.ridge_weight else None,
        )
        decoder = CausalDecoder(spec, recipe.student.dropout)
        student = Student(
            decoder, recipe.student, None if teachers.view is None else teachers.view.shape[1], spec.n_inputs
        )
        spread_time_constants(student, recipe.student.time_constants_s, data.frame_rate_hz)
        scale = TargetScale.of(data)
        fitted = fit(Distillation(student, data, teachers, scale, recipe.student), plan, progress)
    record = record_of(data, parts, recipe, fitted, fitted.score, teacher_sha256)
    checkpoint = Checkpoint(spec, scale.folded_into(fitted.model.decoder), record)
    save_checkpoint(out, checkpoint)
    plan.partial.unlink(missing_ok=True)
    return checkpoint


@dataclass(frozen=True, eq=False)
class TargetScale:
    """Mean and standard deviation of each target axis (D,) over the training frames."""

    mean: Floats
    sd: Floats

    @staticmethod
    def of(data: DecodingData) -> TargetScale:
        """Measure the training frames; whether there is an event needs no unit."""
        if data.task == "detection":
            n_axes = data.targets.shape[1]
            return TargetScale(np.zeros(n_axes, dtype=np.float32), np.ones(n_axes, dtype=np.float32))
        targets = data.targets[data.rows("train")]
        return TargetScale(targets.mean(axis=0), targets.std(axis=0))

    def standardised(self, targets: Floats) -> Floats:
        """Targets (K, D) without unit."""
        return (targets - self.mean) / self.sd

    def folded_into(self, decoder: Network) -> dict[str, Floats]:
        """The decoder's parameters, its readout changed so that outputs are in the target's unit."""
        parameters = {name: tensor.numpy() for name, tensor in decoder.state_dict().items()}
        weight, bias = parameters["readout.weight"], parameters["readout.bias"]
        return parameters | {
            "readout.weight": weight * self.sd[:, None],
            "readout.bias": bias * self.sd + self.mean,
        }


@dataclass(frozen=True, eq=False)
class Teachers:
    """What there is to learn from besides the target, at every training frame."""

    view: Tensor | None
    """The bidirectional teacher's last layer (K, teacher's d_model)."""
    decoded: Floats | None
    """What ridge decodes when fitted to other frames, in the target's unit (K, D)."""


class Student(nn.Module):
    """The decoder, and the projections that exist during training only."""

    def __init__(self, decoder: Network, recipe: StudentRecipe, teacher_width: int | None, n_inputs: int) -> None:
        super().__init__()
        self.decoder, width = decoder, decoder.readout.in_features
        self.to_teacher = None if teacher_width is None else nn.Linear(width, teacher_width)
        self.to_frame = nn.Linear(width, n_inputs) if recipe.reconstruction_weight else None


class Distillation(Learner[Student]):
    """Decode, and align."""

    def __init__(
        self, model: Student, data: DecodingData, teachers: Teachers, scale: TargetScale, recipe: StudentRecipe
    ) -> None:
        self.model, self.data, self.recipe, self.view = model, data, recipe, teachers.view
        self.frames, self.valid = torch.from_numpy(data.frames), torch.from_numpy(data.valid)
        self.targets = torch.from_numpy(scale.standardised(data.targets))
        decoded = teachers.decoded
        self.ridge = None if decoded is None else torch.from_numpy(scale.standardised(decoded))
        self.channels, self.detects = channels_of(data), data.task == "detection"
        self.score_name = "validation AUROC" if self.detects else "validation R2"
        self.burn_in = round(recipe.burn_in_s * data.frame_rate_hz)

    def windows(self, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """Where the training windows of one epoch begin."""
        return window_starts(rng, pieces(self.data, "train"), self.recipe.optimiser.window_frames, self.data.valid)

    def losses(self, starts: npt.NDArray[np.int64], rng: np.random.Generator) -> dict[str, Tensor]:
        """The parts of the loss on augmented windows, burn-in and invalid frames left out."""
        recipe, model, length = self.recipe, self.model, self.recipe.optimiser.window_frames
        frames, counted = gather(self.frames, starts, length), gather(self.valid, starts, length)
        counted[:, : self.burn_in] = False
        noisy = augment(frames, self.channels, recipe.augmentation, rng)
        encoded, _ = model.decoder.encode(noisy, model.decoder.initial_states(len(starts)))
        x = encoded[counted]
        decoded = model.decoder.decode(x)
        truth = gather(self.targets, starts, length)[counted]
        losses = {"task": recipe.task_weight * self._task_error(decoded, truth)}
        if self.ridge is not None:
            guide = gather(self.ridge, starts, length)[counted]
            said = decoded.sigmoid() if self.detects else decoded
            losses["ridge"] = recipe.ridge_weight * functional.mse_loss(said, guide)
        if model.to_teacher is not None and self.view is not None:
            taught = gather(self.view, starts, length)[counted]
            losses["alignment"] = recipe.alignment_weight * misalignment(model.to_teacher(x), taught, "cosine")
        if model.to_frame is not None:
            rebuilt = model.to_frame(x)
            losses["reconstruction"] = recipe.reconstruction_weight * functional.mse_loss(rebuilt, frames[counted])
        return losses

    @torch.no_grad()
    def score(self, model: Student) -> float:
        """R2 (detection: AUROC) over the validation intervals, mean over axes; the state starts from zero in each."""
        decoded, truth = [], []
        for start, stop in pieces(self.data, "validation"):
            counted = self.valid[start:stop].clone()
            counted[: self.burn_in] = False
            decoded.append(model.decoder.stream(self.frames[start:stop])[counted])
            truth.append(self.targets[start:stop][counted])
        true, said = (torch.cat(one).double().numpy() for one in (truth, decoded))
        if self.detects:
            return float(np.mean([auroc(true[:, d] > 0, said[:, d]) for d in range(true.shape[1])]))
        return float(r2(true, said).mean())

    def _task_error(self, decoded: Tensor, truth: Tensor) -> Tensor:
        error = functional.binary_cross_entropy_with_logits if self.detects else functional.mse_loss
        return error(decoded, truth)


@torch.no_grad()
def teacher_view(teacher: Teacher, data: DecodingData) -> Tensor:
    """The teacher's last layer for every training frame (K, d_model); zeros elsewhere, where it may not look."""
    frames = torch.from_numpy(data.frames)
    seen = torch.zeros(len(frames), teacher.spec.d_model)
    for start, stop in pieces(data, "train"):
        seen[start:stop] = teacher.encode(frames[None, start:stop])[0]
    return seen


def _require_same_sizes(data: DecodingData, spec: DecoderSpec) -> None:
    found, wanted = (data.frames.shape[1], data.targets.shape[1]), (spec.n_inputs, spec.n_outputs)
    if found != wanted:
        raise InputError(
            f"the data have {found[0]} features and {found[1]} target axes, the decoder {wanted[0]} and {wanted[1]}; "
            "change its spec"
        )


def require_trainable(data: DecodingData, recipe: StudentRecipe) -> None:
    """Refuse data with too few frames for the recipe, or with a target that does not vary where it must."""
    require_enough(data, recipe.optimiser.window_frames)
    burn_in = round(recipe.burn_in_s * data.frame_rate_hz)
    if burn_in >= recipe.optimiser.window_frames:
        raise InputError(f"a burn-in of {burn_in} frames leaves nothing of a window; shorten burn_in_s")
    scored = sum(int(data.valid[start + burn_in : stop].sum()) for start, stop in pieces(data, "validation"))
    if scored < recipe.optimiser.window_frames:
        raise InputError(f"the validation intervals hold {scored} frames to score; give at least one window's length")
