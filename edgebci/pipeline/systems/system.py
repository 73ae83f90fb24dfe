"""What a training run asks of a system, whichever of the three it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

from edgebci.checkpoint import Checkpoint
from edgebci.pipeline.studies.trial import Way
from edgebci.session import Session


class System(ABC):
    """What one recipe makes of some sessions."""

    @abstractmethod
    def learn(self, seeds: tuple[int, ...]) -> None:
        """Train all that does not belong to one held-out session: teachers and encoders; finished ones are kept."""

    @abstractmethod
    def ways(self) -> tuple[Way, ...]:
        """How another session is decoded, the way that is meant for an implant last."""

    @abstractmethod
    def costs(self, session: Session) -> str:
        """What one output of the student costs, as one line."""

    @abstractmethod
    def deployable(self, session: Session, seed: int, trial: Path) -> Checkpoint:
        """The decoder that the last of `ways` left in the folder `trial`, as the exporter takes it.

        Raises:
            InputError: it may not run on an implant; says why.
        """
