"""One update of the weights: loss, gradient, AdamW or LAMB, running average; the same on one device and on several."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Generic, Literal, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgebci.errors import InputError
from edgebci.training.lamb import Lamb
from edgebci.training.recipe import Optimiser
from edgebci.training.schedule import decayed_or_not, learning_rate, weight_decay

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Model = TypeVar("Model", bound=nn.Module)
Rows = NDArray[np.int64]
Losses = Callable[[Rows, np.random.Generator], dict[str, Tensor]]


class Updater(Generic[Model]):
    """A model, its optimiser and the average of its weights.

    Each of several devices takes its share of a batch; gradients and losses are the averages over all windows, exactly
    where windows count alike. A loss that leaves out frames weighs each share by its windows, not by its frames.
    """

    def __init__(self, model: Model, losses: Losses, optimiser: Optimiser, fabric: Fabric) -> None:
        self.model, self.optimiser, self.fabric = model, optimiser, fabric
        rule = torch.optim.AdamW if optimiser.algorithm == "adamw" else Lamb
        self.rule: torch.optim.Optimizer = rule(decayed_or_not(model, optimiser), lr=optimiser.learning_rate)
        # The loss is one module, so that Fabric sees all of it: autocast, and gradients shared at its end.
        self.objective, self.wrapped_rule = fabric.setup(_Objective(model, losses), self.rule)
        self.average = copy.deepcopy(model).eval()
        self.updates = torch.zeros(1)

    def update(self, rows: Rows, rng: np.random.Generator, epoch: float) -> dict[str, float]:
        """Learn from a batch at a fractional epoch, and return the parts of its loss before.

        Raises:
            InputError: the loss or its gradient is NaN or infinite; the weights are as they were.
        """
        share = np.array_split(rows, self.fabric.world_size)[self.fabric.global_rank]
        parts: dict[str, Tensor] = self.objective(share, rng)
        losses = torch.stack(list(parts.values())) * (len(share) * self.fabric.world_size / len(rows))
        values = dict(zip(parts, self._over_devices(losses.detach(), "mean").tolist(), strict=True))
        for name, value in values.items():
            self._require_finite(f"the loss {name!r}", value, epoch)
        self.rule.zero_grad()
        self.fabric.backward(losses.sum())
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.optimiser.clip_norm)
        self._require_finite("the gradient", float(norm), epoch)
        for group in self.rule.param_groups:
            group["lr"] = learning_rate(self.optimiser, epoch)
        self.rule.param_groups[0]["weight_decay"] = weight_decay(self.optimiser, epoch)
        self.wrapped_rule.step()
        self._average()
        return values

    def any_device(self, fact: bool) -> bool:
        """Whether it is so for one of the devices."""
        return bool(self._over_devices(torch.tensor(float(fact), device=self.fabric.device), "sum"))

    def tensors(self) -> dict[str, Tensor]:
        """Views of everything that the next update depends on, by name."""
        models: dict[str, nn.Module] = {"model": self.model, "average": self.average}
        tensors = {f"{key}/{name}": value for key, m in models.items() for name, value in m.state_dict().items()}
        for name, parameter in self.model.named_parameters():
            state = self.rule.state.get(parameter, {})
            tensors |= {f"moments/{name}/{key}": value for key, value in state.items()}
        return tensors | {"updates": self.updates}

    def start_rule(self, saved: Mapping[str, Tensor]) -> None:
        """Make the rule allocate the moments that were saved, as it does at its first step, without changing a weight.

        A frozen parameter, or one that no loss has reached yet, has none.
        """
        for group in self.rule.param_groups:
            group["lr"] = 0.0
        for name, parameter in self.model.named_parameters():
            if f"moments/{name}/step" in saved:
                parameter.grad = torch.zeros_like(parameter)
        self.rule.step()

    def _over_devices(self, value: Tensor, operation: Literal["mean", "sum"]) -> Tensor:
        return cast(Tensor, self.fabric.all_reduce(value.clone(), reduce_op=operation))

    @torch.no_grad()
    def _average(self) -> None:
        self.updates += 1
        count = float(self.updates)
        # A mean over all updates at first, so that the initial weights do not linger.
        decay = min(self.optimiser.average_decay, (count - 1) / (count + 9))
        for mean, value in zip(self.average.parameters(), self.model.parameters(), strict=True):
            mean.lerp_(value, 1 - decay)

    def _require_finite(self, what: str, value: float, epoch: float) -> None:
        if not math.isfinite(value):
            raise InputError(
                f"{what} became {value} in epoch {int(epoch) + 1}, at update {int(self.updates) + 1}; lower "
                f"learning_rate, now {self.optimiser.learning_rate:g}, or look for extreme values in the data"
            )


class _Objective(nn.Module):
    """A learner's loss as the module that Fabric wraps."""

    def __init__(self, model: nn.Module, losses: Losses) -> None:
        super().__init__()
        self.model, self.losses = model, losses

    def forward(self, rows: Rows, rng: np.random.Generator) -> dict[str, Tensor]:
        return self.losses(rows, rng)
