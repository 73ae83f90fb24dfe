"""How the teacher learns: hidden frames of the training intervals are rebuilt from those on both sides.

It sees frames only, never a target. 60 % of a window is hidden in contiguous blocks; the error counts at hidden frames
only, against the frames as they were before augmentation.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from edgebci.checkpoint import TrainingRecord
from edgebci.decoder_spec import DecoderSpec
from edgebci.decoding_data import DecodingData, Part
from edgebci.progress import Progress, silent
from edgebci.training.augmentation import augment, channels_of
from edgebci.training.loop import Learner, Plan, fit, reproducible
from edgebci.training.masking import block_mask
from edgebci.training.model_file import save_model
from edgebci.training.recipe import TeacherRecipe, TrainingRecipe
from edgebci.training.record import identity_of, partial_path, record_of
from edgebci.training.ssm import spread_time_constants
from edgebci.training.teacher import Teacher, TeacherHeader
from edgebci.training.windows import gather, pieces, require_enough, window_starts


def train_teacher(data: DecodingData, recipe: TrainingRecipe, out: Path, progress: Progress = silent) -> TrainingRecord:
    """Train a teacher on the training intervals and write it to `out`.

    An interrupted call leaves its state beside `out`; the same call again goes on from there, to the same bits. The
    record's validation R2 is that of rebuilding hidden frames; it is measured after training and decides nothing.

    Raises:
        InputError: too few training frames, or a target that is constant in them.
    """
    require_enough(data, recipe.teacher.optimiser.window_frames)
    spec = teacher_spec(data, recipe.teacher)
    plan = Plan(
        optimiser=recipe.teacher.optimiser,
        seed=recipe.seed,
        patience_epochs=None,
        identity=identity_of(data, ("train",), recipe, spec),
        partial=partial_path(out),
    )
    with reproducible(recipe.seed, recipe.threads):
        model = Teacher(spec, recipe.teacher.dropout)
        spread_time_constants(model, recipe.teacher.time_constants_s, data.frame_rate_hz)
        learner = MaskedAutoencoding(model, data, recipe.teacher)
        fitted = fit(learner, plan, progress)
        record = record_of(data, ("train",), recipe, fitted, learner.rebuilt_r2(fitted.model, "validation"))
    save_model(out, fitted.model, TeacherHeader(spec=spec, training=record))
    plan.partial.unlink(missing_ok=True)
    return record


def teacher_spec(data: DecodingData, recipe: TeacherRecipe) -> DecoderSpec:
    """Sizes of the teacher: what it puts out is what goes in."""
    n_features = data.frames.shape[1]
    return DecoderSpec(
        n_inputs=n_features,
        output_names=tuple(f"feature {i}" for i in range(n_features)),
        output_unit="sd of the feature",
        d_model=recipe.d_model,
        n_layers=recipe.n_layers,
        d_state=recipe.d_state,
        headdim=recipe.headdim,
    )


class MaskedAutoencoding(Learner[Teacher]):
    """Rebuild hidden frames."""

    def __init__(self, model: Teacher, data: DecodingData, recipe: TeacherRecipe) -> None:
        self.model, self.data, self.recipe = model, data, recipe
        self.frames, self.valid = torch.from_numpy(data.frames), torch.from_numpy(data.valid)
        self.channels = channels_of(data)
        self.block_frames = [max(1, round(length_s * data.frame_rate_hz)) for length_s in recipe.mask_block_s]

    def windows(self, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """Where the training windows of one epoch begin."""
        return self._starts("train", rng)

    def losses(self, starts: npt.NDArray[np.int64], rng: np.random.Generator) -> dict[str, Tensor]:
        """Mean squared error at hidden, valid frames of augmented windows."""
        frames, hidden, counted = self._windows(starts, rng)
        rebuilt = self.model(augment(frames, self.channels, self.recipe.augmentation, rng), hidden)
        return {"masked": functional.mse_loss(rebuilt[counted], frames[counted])}

    def score(self, model: Teacher) -> None:
        """The teacher keeps its last weights: it is not to see validation."""

    @torch.no_grad()
    def rebuilt_r2(self, model: Teacher, part: Part) -> float | None:
        """Share of the variance of hidden frames that is rebuilt, all features pooled; None for too short a part."""
        rng = np.random.default_rng(0)
        starts = self._starts(part, rng)
        if not len(starts):
            return None
        frames, hidden, counted = self._windows(starts, rng)
        truth = frames[counted]
        error = model(frames, hidden)[counted] - truth
        return 1 - float(error.square().sum() / (truth - truth.mean(0)).square().sum())

    def _starts(self, part: Part, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        return window_starts(rng, pieces(self.data, part), self.recipe.optimiser.window_frames, self.data.valid)

    def _windows(self, starts: npt.NDArray[np.int64], rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Frames (b, T, F), which of them to hide (b, T), and at which of those the error counts (b, T)."""
        length = self.recipe.optimiser.window_frames
        mask = block_mask(rng, (len(starts), length), self.recipe.mask_fraction, *self.block_frames)
        hidden = torch.from_numpy(mask)
        return gather(self.frames, starts, length), hidden, hidden & gather(self.valid, starts, length)
