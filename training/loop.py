"""The training loop: one for teacher and student, resumable, the same bits for the same seed."""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from edgebci.progress import Progress
from edgebci.training.recipe import Optimiser
from edgebci.training.saved_state import EpochRecord, RunHeader, load_run, save_run

Model = TypeVar("Model", bound=nn.Module)


class Learner(ABC, Generic[Model]):
    """What is trained: a model, its loss on windows, and its score on validation."""

    model: Model

    @abstractmethod
    def windows(self, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """The windows of one epoch in random order, a row each: where it begins (n,), or session and begin (n, 2)."""

    @abstractmethod
    def losses(self, rows: npt.NDArray[np.int64], rng: np.random.Generator) -> dict[str, Tensor]:
        """The weighted parts of the loss on these windows."""

    @abstractmethod
    def score(self, model: Model) -> float | None:
        """R2 on validation of `model`, a copy with averaged weights; None where the last epoch is to be kept."""


@dataclass(frozen=True)
class Plan:
    """How to train."""

    optimiser: Optimiser
    seed: int
    patience_epochs: int | None
    """Epochs without a better score before training stops; None: never."""
    identity: str
    """Hash of all that the result depends on; a saved run is continued only where it agrees."""
    partial: Path
    """Where an unfinished run is kept."""


@dataclass(frozen=True)
class Fitted(Generic[Model]):
    """What training gave."""

    model: Model
    """With the kept weights."""
    history: tuple[EpochRecord, ...]
    best_epoch: int

    @property
    def score(self) -> float | None:
        """R2 on validation of the kept weights."""
        return self.history[self.best_epoch - 1].score


@contextmanager
def reproducible(seed: int, threads: int) -> Iterator[None]:
    """Seed torch, fix its threads and refuse algorithms that vary; all is as before afterwards."""
    threads_before, strict_before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng(devices=[]):
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(True)
        torch.manual_seed(seed)
        try:
            yield
        finally:
            torch.set_num_threads(threads_before)
            torch.use_deterministic_algorithms(strict_before)


def fit(learner: Learner[Model], plan: Plan, progress: Progress) -> Fitted[Model]:
    """Train, from the saved state if there is one; an interrupted run ends with the same bits as a whole one.

    Each epoch draws from generators seeded by (seed, epoch), so that none needs to be saved.
    """
    run = _Run(learner, plan)
    run.restore()
    while not run.finished():
        record = run.epoch()
        count = len(run.history)
        progress(count / plan.optimiser.epochs, f"epoch {count}/{plan.optimiser.epochs}: {record.note()}")
        if count % plan.optimiser.save_every_epochs == 0:
            run.save()
    return run.result()


class _Run(Generic[Model]):
    """A training run between two epochs."""

    def __init__(self, learner: Learner[Model], plan: Plan) -> None:
        self.learner, self.plan = learner, plan
        self.adam = torch.optim.AdamW(_decayed_or_not(learner.model, plan.optimiser), lr=plan.optimiser.learning_rate)
        self.average = copy.deepcopy(learner.model).eval()
        self.best = copy.deepcopy(self.average)
        self.history: tuple[EpochRecord, ...] = ()
        self.updates = torch.zeros(1)

    def epoch(self) -> EpochRecord:
        """Run one epoch and score it."""
        number, plan = len(self.history), self.plan
        rng = np.random.default_rng([plan.seed, number])
        torch.manual_seed(int(rng.integers(2**31)))  # for dropout
        rows = self.learner.windows(rng)
        batches = np.array_split(rows, math.ceil(len(rows) / plan.optimiser.batch_windows))
        self.learner.model.train()
        losses = [self._update(batch, rng, number + i / len(batches)) for i, batch in enumerate(batches)]
        means = {name: float(np.mean([loss[name] for loss in losses])) for name in losses[0]}
        record = EpochRecord(losses=means, score=self.learner.score(self.average))
        self.history = (*self.history, record)
        if self.best_epoch() == len(self.history):
            self.best.load_state_dict(self.average.state_dict())
        return record

    def finished(self) -> bool:
        """Whether the last epoch is done, or the score stopped rising."""
        waited = len(self.history) - self.best_epoch()
        patience = self.plan.patience_epochs
        return len(self.history) >= self.plan.optimiser.epochs or (patience is not None and waited >= patience)

    def best_epoch(self) -> int:
        """Number, from 1, of the epoch with the best score: the first of equals, the last where there are no scores."""
        scores = [record.score for record in self.history]
        if not scores or scores[-1] is None:
            return len(scores)
        return int(np.argmax(np.array(scores, dtype=np.float64))) + 1

    def result(self) -> Fitted[Model]:
        """The kept weights."""
        return Fitted(self.best, self.history, self.best_epoch())

    def save(self) -> None:
        """Write everything that the next epoch depends on."""
        save_run(self.plan.partial, self._tensors(), RunHeader(identity=self.plan.identity, history=self.history))

    def restore(self) -> None:
        """Take up the saved run, if it is this one."""
        saved = load_run(self.plan.partial, self.plan.identity)
        if saved is None:
            return
        tensors, self.history = saved
        self._start_adam(tensors)
        with torch.no_grad():
            for name, tensor in self._tensors().items():
                tensor.copy_(tensors[name])

    def _update(self, batch: npt.NDArray[np.int64], rng: np.random.Generator, epoch: float) -> dict[str, float]:
        optimiser, model = self.plan.optimiser, self.learner.model
        losses = self.learner.losses(batch, rng)
        self.adam.zero_grad()
        torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), optimiser.clip_norm)
        for group in self.adam.param_groups:
            group["lr"] = learning_rate(optimiser, epoch)
        self.adam.step()
        self._average()
        return {name: float(loss.detach()) for name, loss in losses.items()}

    @torch.no_grad()
    def _average(self) -> None:
        self.updates += 1
        count = float(self.updates)
        # A mean over all updates at first, so that the initial weights do not linger.
        decay = min(self.plan.optimiser.average_decay, (count - 1) / (count + 9))
        for mean, value in zip(self.average.parameters(), self.learner.model.parameters(), strict=True):
            mean.lerp_(value, 1 - decay)

    def _tensors(self) -> dict[str, Tensor]:
        """Views of everything that the next epoch depends on, by name."""
        models: dict[str, nn.Module] = {"model": self.learner.model, "average": self.average, "best": self.best}
        tensors = {f"{key}/{name}": value for key, m in models.items() for name, value in m.state_dict().items()}
        for name, parameter in self.learner.model.named_parameters():
            state = self.adam.state.get(parameter, {})
            tensors |= {f"adam/{name}/{key}": value for key, value in state.items()}
        return tensors | {"updates": self.updates}

    def _start_adam(self, saved: Mapping[str, Tensor]) -> None:
        """Make AdamW allocate the moments that were saved (it does so at its first step), without changing a weight.

        A frozen parameter, or one that no loss has reached yet, has none.
        """
        for group in self.adam.param_groups:
            group["lr"] = 0.0
        for name, parameter in self.learner.model.named_parameters():
            if f"adam/{name}/step" in saved:
                parameter.grad = torch.zeros_like(parameter)
        self.adam.step()


def learning_rate(optimiser: Optimiser, epoch: float) -> float:
    """The rate at a fractional epoch: linear warm-up, then the schedule.

    `cosine` falls to `final_rate_ratio` at the last epoch, `exponential` by `decay_per_epoch`, and `one_cycle` stays at
    the top for half of the epochs before it falls as a cosine.
    """
    warm, top = optimiser.warm_up_epochs, optimiser.learning_rate
    if epoch < warm:
        start = optimiser.warm_up_start_ratio or 1 / (warm + 1)
        return top * (start + (1 - start) * epoch / warm)
    if optimiser.schedule == "exponential":
        return float(top * optimiser.decay_per_epoch ** (epoch - warm))
    flat = warm + (optimiser.epochs - warm) / 2 if optimiser.schedule == "one_cycle" else warm
    done = (epoch - flat) / max(optimiser.epochs - flat, 1)
    cosine = (1 + math.cos(math.pi * min(max(done, 0.0), 1.0))) / 2
    return top * (optimiser.final_rate_ratio + (1 - optimiser.final_rate_ratio) * cosine)


def _decayed_or_not(model: nn.Module, optimiser: Optimiser) -> list[dict[str, object]]:
    """Weight decay acts on matrices only: pulling a gain, a bias or a time constant towards 0 means nothing."""
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    others = [p for p in model.parameters() if p.dim() < 2]
    return [
        {"params": matrices, "weight_decay": optimiser.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
