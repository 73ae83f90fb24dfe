"""The training loop: one for every system, on one device or several, resumable at any update, to the same bits."""

from __future__ import annotations

import copy
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from edgebci.errors import InputError
from edgebci.progress import Progress, silent
from edgebci.training.accelerator import Accelerator, prepare, quiet
from edgebci.training.interruption import Interruption, held_back
from edgebci.training.pace import Pace
from edgebci.training.randomness import Randomness
from edgebci.training.recipe import Optimiser
from edgebci.training.saved_state import EpochPosition, EpochRecord, RunHeader, load_run, save_run
from edgebci.training.several_devices import launch
from edgebci.training.updates import Updater

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Model = TypeVar("Model", bound=nn.Module)


class Learner(ABC, Generic[Model]):
    """What is trained: a model, its loss on windows, and its score on validation."""

    model: Model
    score_name: str = "validation R2"
    """What a note calls the score."""

    @abstractmethod
    def windows(self, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """The windows of one epoch in random order, a row each: where it begins (n,), or session and begin (n, 2)."""

    @abstractmethod
    def losses(self, rows: npt.NDArray[np.int64], rng: np.random.Generator) -> dict[str, Tensor]:
        """The weighted parts of the loss on these windows."""

    @abstractmethod
    def score(self, model: Model) -> float | None:
        """How good `model`, a copy with averaged weights, is on validation, the higher the better.

        None where the last epoch is to be kept. Nothing but this decides when to stop and which epoch is kept.
        """


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
    accelerator: Accelerator = "cpu"
    """A learner for anything else moves its windows to where its model is."""
    devices: int = 1
    save_every_updates: int = 500
    """Besides the epochs of the recipe; does not change the result."""


@dataclass(frozen=True)
class Fitted(Generic[Model]):
    """What training gave."""

    model: Model
    """With the kept weights, on the CPU."""
    history: tuple[EpochRecord, ...]
    best_epoch: int

    @property
    def score(self) -> float | None:
        """Of the kept weights, on validation."""
        return self.history[self.best_epoch - 1].score


def best_epoch(history: Sequence[EpochRecord]) -> int:
    """Number, from 1, of the epoch with the best score: the first of equals, the last where there are no scores."""
    scores = [record.score for record in history]
    if not scores or scores[-1] is None:
        return len(scores)
    return int(np.argmax(np.array(scores, dtype=np.float64))) + 1


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

    The state is saved every so many epochs and updates, and on Ctrl-C after the update that is under way. For several
    devices, processes are started that share each batch; the learner is copied to each, so it must be picklable, its
    own model stays as it is, and a script that trains must keep to `if __name__ == "__main__"`.

    Raises:
        InputError: there are fewer devices than planned, fewer windows in a batch than devices, or the loss became
            NaN or infinite; what was saved before stays.
    """
    fabric = prepare(plan.accelerator, plan.devices, plan.optimiser.precision)
    if plan.devices == 1:
        fabric.launch()
        return _trained(fabric, progress, learner, plan).result()
    launch(fabric, _train_and_save, progress, learner, plan)
    return _saved_result(fabric, learner, plan)


def _trained(fabric: Fabric, progress: Progress, learner: Learner[Model], plan: Plan) -> _Run[Model]:
    """Train in the process of one device."""
    with quiet(), held_back() as interruption:
        run = _Run(learner, plan, fabric, interruption, progress if fabric.is_global_zero else silent)
        while not run.finished():
            run.epoch()
    return run


def _train_and_save(fabric: Fabric, progress: Progress, learner: Learner[Model], plan: Plan) -> None:
    _trained(fabric, progress, learner, plan).save()


def _saved_result(fabric: Fabric, learner: Learner[Model], plan: Plan) -> Fitted[Model]:
    """What several processes left."""
    saved = load_run(plan.partial, plan.identity, _devices(fabric, plan))
    assert saved is not None
    tensors, header = saved
    best = copy.deepcopy(learner.model).eval()
    best.load_state_dict({name.removeprefix("best/"): t for name, t in tensors.items() if name.startswith("best/")})
    return Fitted(best, header.history, best_epoch(header.history))


def _devices(fabric: Fabric, plan: Plan) -> str:
    return f"{plan.devices} x {fabric.device.type}"


class _Run(Generic[Model]):
    """A training run, and how far it is.

    Each epoch draws from generators seeded by (seed, epoch).
    """

    def __init__(
        self, learner: Learner[Model], plan: Plan, fabric: Fabric, interruption: Interruption, progress: Progress
    ) -> None:
        self.learner, self.plan, self.fabric = learner, plan, fabric
        self.interruption, self.progress = interruption, progress
        self.updater = Updater(learner.model, learner.losses, plan.optimiser, fabric)
        self.best = copy.deepcopy(self.updater.average)
        self.history: tuple[EpochRecord, ...] = ()
        self.losses: list[dict[str, float]] = []
        """Of each update of the epoch that is under way."""
        self.batches = 1
        """Of that epoch."""
        self.rng = np.random.default_rng()
        """Of that epoch."""
        self.restored = self._restore()
        self.pace = Pace(self._share_done())

    def epoch(self) -> None:
        """Run an epoch, or what is left of it, and score it."""
        batches = self._batches()
        self.batches = len(batches)
        self.learner.model.train()
        for batch in batches[len(self.losses) :]:
            self._update(batch)
            self._rest()
        means = {name: float(np.mean([loss[name] for loss in self.losses])) for name in self.losses[0]}
        record = EpochRecord(losses=means, score=self._score())
        self.history, self.losses = (*self.history, record), []
        if best_epoch(self.history) == len(self.history):
            self.best.load_state_dict(self.updater.average.state_dict())
        self._tell(record.note(self.learner.score_name))
        if len(self.history) % self.plan.optimiser.save_every_epochs == 0:
            self.save()
        self._stop_if_asked()

    def finished(self) -> bool:
        """Whether the last epoch is done, or the score stopped rising."""
        waited = len(self.history) - best_epoch(self.history)
        patience = self.plan.patience_epochs
        return len(self.history) >= self.plan.optimiser.epochs or (patience is not None and waited >= patience)

    def result(self) -> Fitted[Model]:
        """The kept weights."""
        return Fitted(self.best.cpu(), self.history, best_epoch(self.history))

    def _score(self) -> float | None:
        """As the first device finds it."""
        found = self.learner.score(self.updater.average) if self.fabric.is_global_zero else None
        score: float | None = self.fabric.broadcast(found)
        if score is not None and not math.isfinite(score):
            raise InputError(
                f"the {self.learner.score_name} became {score} in epoch {len(self.history) + 1}; "
                "give validation intervals with valid frames and targets that vary"
            )
        return score

    def _batches(self) -> list[npt.NDArray[np.int64]]:
        """Draw the windows of an epoch, and set the generators to where its next update begins."""
        self.rng = np.random.default_rng([self.plan.seed, len(self.history)])
        torch.manual_seed(int(self.rng.integers(2**31)))  # for dropout
        rows = self.learner.windows(self.rng)
        if self.restored is not None:
            self.restored.restore(self.rng, self.fabric.device)
            self.restored = None
        count = math.ceil(len(rows) / self.plan.optimiser.batch_windows)
        smallest = len(rows) // count if count else 0
        if smallest < self.fabric.world_size:
            raise InputError(
                f"a batch of {smallest} windows cannot be shared by {self.fabric.world_size} devices; "
                "give fewer devices, larger batch_windows, or more data"
            )
        return np.array_split(rows, count)

    def _update(self, batch: npt.NDArray[np.int64]) -> None:
        began_s, done = time.monotonic(), len(self.losses)
        if self.fabric.world_size > 1:  # each device draws for windows of its own
            self.rng = np.random.default_rng([self.plan.seed, len(self.history), done, self.fabric.global_rank])
            torch.manual_seed(int(self.rng.integers(2**31)))
        self.losses.append(self.updater.update(batch, self.rng, len(self.history) + done / self.batches))
        self.pace.trained(len(batch), time.monotonic() - began_s)

    def _rest(self) -> None:
        """Between two updates: save, tell or stop, where it is time to."""
        if int(self.updater.updates) % self.plan.save_every_updates == 0:
            self.save()
        if self.pace.due():
            self._tell(f"update {len(self.losses)}/{self.batches}")
        self._stop_if_asked()

    def _stop_if_asked(self) -> None:
        if self.updater.any_device(self.interruption.asked):
            self.save()
            raise KeyboardInterrupt

    def _tell(self, note: str) -> None:
        share = self._share_done()
        number = len(self.history) + bool(self.losses)
        try:
            self.progress(share, f"epoch {number}/{self.plan.optimiser.epochs}: {note}, {self.pace.note(share)}")
        except KeyboardInterrupt:
            self.save()
            raise

    def _share_done(self) -> float:
        return (len(self.history) + len(self.losses) / self.batches) / self.plan.optimiser.epochs

    def save(self) -> None:
        """Write everything that the next update depends on."""
        if not self.fabric.is_global_zero:
            return
        random = Randomness.now(self.rng, self.fabric.device)
        position = EpochPosition(losses=tuple(self.losses), batches=self.batches, generator=random.generator)
        header = RunHeader(
            identity=self.plan.identity,
            devices=_devices(self.fabric, self.plan),
            history=self.history,
            position=position if self.losses else None,
        )
        save_run(self.plan.partial, self._tensors() | random.tensors, header)

    def _restore(self) -> Randomness | None:
        """Take up the saved run, if it is this one; return the generators of an epoch that it was inside of."""
        saved = load_run(self.plan.partial, self.plan.identity, _devices(self.fabric, self.plan))
        if saved is None:
            return None
        tensors, header = saved
        if any(name not in tensors or tensors[name].shape != value.shape for name, value in self._tensors().items()):
            return None
        self.updater.start_rule(tensors)
        with torch.no_grad():
            for name, tensor in self._tensors().items():
                tensor.copy_(tensors[name])
        self.history = header.history
        if header.position is None:
            return None
        self.losses, self.batches = list(header.position.losses), header.position.batches
        return Randomness(header.position.generator, tensors)

    def _tensors(self) -> dict[str, Tensor]:
        best = {f"best/{name}": value for name, value in self.best.state_dict().items()}
        return self.updater.tensors() | best
