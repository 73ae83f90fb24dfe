"""Which sessions and units a model has embeddings for, and which task each session's outputs belong to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from edgebci.documents import Document, nearest
from edgebci.errors import InputError
from edgebci.session import Session


class Task(Document):
    """What is decoded; sessions with the same outputs share a readout."""

    output_names: tuple[str, ...] = Field(min_length=1)
    output_unit: str


class KnownSession(Document):
    """A session that a model has embeddings for. Outputs are standardised by the mean and sd of its training frames."""

    name: str
    n_units: int = Field(gt=0)
    task: int = Field(ge=0)
    mean: tuple[float, ...]
    sd: tuple[float, ...]


class Vocabulary(Document):
    """Sessions in the order of their embeddings; their units lie one session after the other."""

    tasks: tuple[Task, ...] = Field(min_length=1)
    sessions: tuple[KnownSession, ...] = Field(min_length=1)

    @property
    def n_units(self) -> int:
        """Of all sessions."""
        return sum(session.n_units for session in self.sessions)

    def index(self, name: str) -> int:
        """Number of a session; raises InputError where the model does not know it."""
        names = [session.name for session in self.sessions]
        if name not in names:
            raise InputError(f"the model has no embeddings of session {name!r}; {nearest(name, names)}")
        return names.index(name)

    def first_row(self, index: int) -> int:
        """Row of the first unit of a session; row 0 is the blank token."""
        return 1 + sum(session.n_units for session in self.sessions[:index])


def task_of(session: Session) -> Task:
    """What a session's targets are."""
    return Task(output_names=session.data.target_names, output_unit=session.data.target_unit)


def vocabulary_of(sessions: Sequence[Session], tasks: tuple[Task, ...] = ()) -> Vocabulary:
    """Sessions by the order given, tasks by their first session; with `tasks`, no others are taken.

    Raises:
        InputError: a session without sorted spikes, with a constant target, or whose task is not among `tasks`; two
            sessions of one name.
    """
    if len({session.name for session in sessions}) < len(sessions):
        raise InputError("two sessions have the same name, which tells their units apart; rename one")
    known = tasks or tuple(dict.fromkeys(task_of(session) for session in sessions))
    return Vocabulary(tasks=known, sessions=tuple(_known(session, known) for session in sessions))


def _known(session: Session, tasks: tuple[Task, ...]) -> KnownSession:
    if session.spikes is None or not session.spikes.n_units:
        raise InputError(f"session {session.name} has no sorted spikes; choose one that has, or train on LFP alone")
    task = task_of(session)
    if task not in tasks:
        raise InputError(
            f"session {session.name} decodes {', '.join(task.output_names)} in {task.output_unit}, for which the model "
            "has no readout; train it from scratch, or pretrain with that task"
        )
    targets = session.data.targets[session.data.rows("train")].astype(np.float64)
    mean, sd = targets.mean(axis=0), targets.std(axis=0)
    if not sd.all():
        name = session.data.target_names[int(np.argmin(sd))]
        raise InputError(
            f"the target {name!r} of session {session.name} is constant in the training intervals; choose one that "
            "varies"
        )
    return KnownSession(
        name=session.name,
        n_units=session.spikes.n_units,
        task=tasks.index(task),
        mean=tuple(mean.tolist()),
        sd=tuple(sd.tolist()),
    )
