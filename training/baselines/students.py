"""Students and teachers beside the baselines: a checkpoint as it is, and a teacher's hindsight read out."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from edgebci.checkpoint import Checkpoint
from edgebci.decoder_float import FloatDecoder
from edgebci.decoding_data import DecodingData, Floats
from edgebci.training.baselines.baseline import FLOAT32_BYTES, Costs
from edgebci.training.baselines.logistic import fit_logistic
from edgebci.training.recipe import RidgeRecipe
from edgebci.training.ridge import RidgeDecoder, fit_ridge
from edgebci.training.teacher import Teacher, load_teacher
from edgebci.workload import workload


@dataclass(frozen=True, eq=False)
class StudentDecoder:
    """A causal decoder as its checkpoint has it."""

    checkpoint: Checkpoint

    @property
    def costs(self) -> Costs:
        """Counted from its spec."""
        spec = self.checkpoint.spec
        return Costs(
            parameters=sum(math.prod(shape) for shape in spec.parameter_shapes().values()),
            macs_per_output=workload(spec).macs,
            state_bytes=FLOAT32_BYTES * sum(math.prod(shape) for shape in spec.state_shapes().values()),
        )

    def predict(self, data: DecodingData) -> Floats:
        """Decode a whole recording (K, D) by the definition that exports are held to, whatever layers it has."""
        decoder = FloatDecoder.of(self.checkpoint.spec, self.checkpoint.parameters)
        return decoder.stream(data.frames, data.reset_before).astype(np.float32)


@dataclass(frozen=True, eq=False)
class HindsightDecoder:
    """A frozen bidirectional teacher with a linear readout: it sees each part whole, and no implant could run it."""

    teacher: Teacher
    readout: RidgeDecoder

    @property
    def costs(self) -> Costs:
        """It gives no output before the recording ends, so there is no cost of one."""
        parameters = sum(p.numel() for p in self.teacher.parameters())
        readout = self.readout.weight.size + self.readout.bias.size
        return Costs(parameters=parameters + readout, macs_per_output=None, state_bytes=None)

    def predict(self, data: DecodingData) -> Floats:
        """Decode a whole recording (K, D)."""
        return self.readout.predict(_seen_by(self.teacher, data))


def fit_hindsight(data: DecodingData, teacher: Path, recipe: RidgeRecipe) -> HindsightDecoder:
    """Fit ridge (in detection: logistic regression) to a teacher's last layer on the training part."""
    frozen = load_teacher(teacher)
    one_lag = recipe.model_copy(update={"lags": 1})
    seen = _seen_by(frozen, data)
    readout = fit_logistic(seen, one_lag) if data.task == "detection" else fit_ridge(seen, one_lag)
    return HindsightDecoder(frozen, readout)


@torch.no_grad()
def _seen_by(teacher: Teacher, data: DecodingData) -> DecodingData:
    """The same recording with the teacher's last layer, normed, for frames; each part is seen without the others."""
    frames = torch.from_numpy(data.frames)
    seen = torch.zeros(len(frames), teacher.spec.d_model)
    for start, stop in (*data.train, *data.validation, *data.test):
        for first, last in data.segments(start, stop):
            seen[first:last] = teacher.encode(frames[None, first:last])[0]
    normed = torch.nn.functional.rms_norm(seen, (teacher.spec.d_model,), eps=teacher.spec.norm_epsilon)
    return replace(data, frames=np.asarray(normed.numpy(), dtype=np.float32), feature_channels=None)
