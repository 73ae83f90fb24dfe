"""GRU and causal transformer, trained as the student is: its loss without the teacher, its augmentation, its stop."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from edgebci.decoder_spec import DecoderSpec
from edgebci.decoding_data import DecodingData, Floats
from edgebci.progress import Progress, silent
from edgebci.training.baselines.baseline import Costs
from edgebci.training.baselines.sizes import Shape
from edgebci.training.baselines.stack import StackedDecoder
from edgebci.training.distillation import Distillation, Student, TargetScale, Teachers, require_trainable
from edgebci.training.loop import Plan, fit, reproducible
from edgebci.training.network import predict
from edgebci.training.recipe import TrainingRecipe
from edgebci.training.record import identity_of
from edgebci.training.ridge import cross_fit

PARTIAL_NAME = "network.partial.safetensors"


@dataclass(frozen=True, eq=False)
class NetworkBaseline:
    """A trained network whose outputs are in the target's unit."""

    network: StackedDecoder
    shape: Shape
    epochs: int

    @property
    def costs(self) -> Costs:
        """From its shape."""
        return self.shape.costs

    def predict(self, data: DecodingData) -> Floats:
        """Decode a whole recording (K, D)."""
        return predict(self.network, data)


def train_network(
    data: DecodingData,
    shape: Shape,
    student: DecoderSpec,
    recipe: TrainingRecipe,
    folder: Path,
    progress: Progress = silent,
) -> NetworkBaseline:
    """Train a network with the student's recipe, without a teacher.

    An interrupted call leaves its state in `folder`; the same call again goes on from there, to the same bits.

    Args:
        data: learned from (training part) and stopped by (validation part).
        shape: of the network.
        student: whose size it has.
        recipe: the student's; its ridge_weight counts here too.
        folder: for the unfinished run.
        progress: of the training.

    Raises:
        InputError: too few frames, or a constant target.
    """
    require_trainable(data, recipe.student)
    plan = Plan(
        optimiser=recipe.student.optimiser,
        seed=recipe.seed,
        patience_epochs=recipe.student.patience_epochs,
        identity=identity_of(data, ("train", "validation"), recipe, student, repr(shape)),
        partial=folder / PARTIAL_NAME,
    )
    alone = recipe.student.model_copy(update={"alignment_weight": 0.0})
    with reproducible(recipe.seed, recipe.threads):
        decoded = cross_fit(data, recipe.ridge).decoded if alone.ridge_weight else None
        model = Student(shape.build(alone.dropout), alone, None, data.frames.shape[1])
        scale = TargetScale.of(data)
        fitted = fit(Distillation(model, data, Teachers(None, decoded), scale, alone), plan, progress)
    network = shape.build(0.0)
    parameters = scale.folded_into(fitted.model.decoder)
    network.load_state_dict({name: torch.from_numpy(values) for name, values in parameters.items()})
    plan.partial.unlink(missing_ok=True)
    return NetworkBaseline(network.eval(), shape, len(fitted.history))
