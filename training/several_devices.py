"""Work shared by several devices, each with a process of its own that Fabric's launcher starts."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from multiprocessing.queues import SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

import torch
from torch import nn

from edgebci.errors import InputError
from edgebci.progress import Progress

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    Notes = SimpleQueue[tuple[float, str] | None]

Settings = TypeVar("Settings")


class Trained(Protocol):
    """What is sent to every process: something with a model."""

    @property
    def model(self) -> nn.Module:
        """Whose weights each process changes for itself."""
        ...


Learner = TypeVar("Learner", bound=Trained)
Work = Callable[["Fabric", Progress, Learner, Settings], None]


def launch(
    fabric: Fabric, work: Work[Learner, Settings], progress: Progress, learner: Learner, settings: Settings
) -> None:
    """Do `work` in every process, pass on what the first one tells, and raise what it raises.

    What work makes is for it to write: memory that a process hands over ends with that process. Ctrl-C reaches all
    processes; this one then waits until the others have come to rest.
    """
    # The server of new processes loads what they need once; it is clean of this process's threads and devices.
    multiprocessing.set_forkserver_preload(["edgebci.training.fabric_process"])
    notes: Notes = multiprocessing.get_context("forkserver").SimpleQueue()
    listener = threading.Thread(target=_listen, args=(notes, progress), daemon=True)
    listener.start()
    try:
        with _free_port():
            error = fabric.launch(cast(Any, _in_process), _TorchSettings.now(), work, notes, learner, settings)
    except KeyboardInterrupt:
        for process in multiprocessing.active_children():
            process.join()
        raise
    finally:
        notes.put(None)
        listener.join()
    if error is not None:
        raise error


@dataclass(frozen=True)
class _TorchSettings:
    """What new processes do not inherit."""

    threads: int
    strict: bool
    warn_only: bool

    @staticmethod
    def now() -> _TorchSettings:
        return _TorchSettings(
            torch.get_num_threads(),
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
        )

    def apply(self) -> None:
        torch.set_num_threads(self.threads)
        torch.use_deterministic_algorithms(self.strict, warn_only=self.warn_only)


def _in_process(
    fabric: Fabric,
    torch_settings: _TorchSettings,
    work: Work[Learner, Settings],
    notes: Notes,
    learner: Learner,
    settings: Settings,
) -> InputError | KeyboardInterrupt | None:
    torch_settings.apply()
    for tensor in chain(learner.model.parameters(), learner.model.buffers()):
        tensor.data = tensor.data.clone()  # it came in memory that all processes share
    try:
        work(fabric, lambda share, note: notes.put((share, note)), learner, settings)
    except (InputError, KeyboardInterrupt) as error:
        return error
    return None


def _listen(notes: Notes, progress: Progress) -> None:
    while (note := notes.get()) is not None:
        progress(*note)


@contextmanager
def _free_port() -> Iterator[None]:
    """Let the launcher choose a port for this run alone; it would leave its choice to all later ones."""
    before = os.environ.pop("MASTER_PORT", None)
    try:
        yield
    finally:
        os.environ.pop("MASTER_PORT", None)
        if before is not None:
            os.environ["MASTER_PORT"] = before
