"""What a twin learns from: windows with the float student's states carried into them, and the score of its integers.

A decoder of spikes learns from chunks of tokens (K, N, 2) where one of frames learns from (K, F); nothing else differs.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from edgebci.decoder_float import CHUNK, FloatDecoder, States
from edgebci.decoding_data import DecodingData, Floats
from edgebci.detection import auroc
from edgebci.metrics import F64, r2
from edgebci.possm_quantized import QuantizedPossmStep
from edgebci.possm_stream import FloatPossmStream
from edgebci.quantized_decoder import QuantizedDecoder
from edgebci.training.loop import Learner
from edgebci.training.quantization_aware.possm_twin import PossmTwin
from edgebci.training.quantization_aware.recipe import QuantizationAwareRecipe
from edgebci.training.quantization_aware.twin import QuantizedTwin
from edgebci.training.windows import gather, pieces, window_starts

FloatForm = FloatDecoder | FloatPossmStream
Integers = QuantizedDecoder | QuantizedPossmStep
Twin = TypeVar("Twin", QuantizedTwin, PossmTwin)


@dataclass
class CarriedStates:
    """The float student over every training frame: what it decodes, and its states where windows begin."""

    decoder: FloatForm
    data: DecodingData
    states: dict[int, States] = field(default_factory=dict)
    """Before a window's first frame, by its number."""
    outputs: Floats | None = None
    """(K, D), zeros outside the training intervals."""

    def begin(self, starts: npt.NDArray[np.int64]) -> None:
        """Stream over all training intervals from power-on and keep the states at `starts`."""
        self.states, data = {}, self.data
        frames: Any = data.frames  # tokens, for a decoder of spikes
        outputs = np.zeros((len(data.frames), self.decoder.spec.n_outputs), np.float32)
        for first, stop in pieces(data, "train"):
            inside = np.unique(starts[(starts >= first) & (starts < stop)])
            states = self.decoder.initial_states()
            for left, right in itertools.pairwise(sorted({*range(first, stop, CHUNK), *inside.tolist(), stop})):
                if left in inside:
                    self.states[left] = {name: state.copy() for name, state in states.items()}
                outputs[left:right], states = self.decoder.run(frames[left:right], states)
        self.outputs = outputs

    def at(self, starts: npt.NDArray[np.int64]) -> dict[str, F64]:
        """States (b, *shape) before the windows that begin at `starts`."""
        rows = [self.states[int(start)] for start in starts]
        return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


class TwinLearner(Learner[Twin]):
    """Windows of training frames, and the score of the integers on validation."""

    def __init__(self, twin: Twin, data: DecodingData, student: FloatForm, recipe: QuantizationAwareRecipe) -> None:
        self.model, self.data, self.recipe = twin, data, recipe
        self.carried = CarriedStates(student, data)
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
        starts = window_starts(rng, pieces(self.data, "train"), self.recipe.optimiser.window_frames, self.data.valid)
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

    def score(self, model: Twin) -> float:
        """Mean over axes of the score of the integers over validation, from zero states."""
        return self.score_of(model.quantized())

    def score_of(self, decoder: Integers) -> float:
        """The same of any quantized decoder."""
        said = self.streamed(decoder)
        return float(r2(self.student_says, said).mean()) if self.follows_student else self.accuracy(said)

    def accuracy(self, said: F64) -> float:
        """R2 (detection: AUROC) of what was decoded of the valid validation frames, mean over axes."""
        true = self.data.targets[self.data.rows("validation")].astype(np.float64)
        if self.detects:
            return float(np.mean([auroc(true[:, d] > 0, said[:, d]) for d in range(true.shape[1])]))
        return float(r2(true, said).mean())

    def streamed(self, decoder: Integers | FloatForm) -> F64:
        """What a decoder says of the valid validation frames, each interval from zero states."""
        frames: Any = self.data.frames  # tokens, for a decoder of spikes
        decoded = [
            np.asarray(decoder.stream(frames[start:stop]), np.float64)[self.data.valid[start:stop]]
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
