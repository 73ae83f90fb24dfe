"""What a training run asks of a system, whichever of the three it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgebci.export.quantization import QuantizationRecipe
from edgebci.pipeline.studies.trial import Way
from edgebci.progress import Progress
from edgebci.session import Session


@dataclass(frozen=True)
class BundleOrder:
    """Where a session's decoder is to go as a bundle, and what it is made with."""

    folder: Path
    prepared: Path
    """Folder of the prepared session."""
    recipe: QuantizationRecipe
    core: str
    trials: int
    """Decoders that were tried before this one was chosen."""


@dataclass(frozen=True)
class Plot:
    """A picture that belongs into the run's report."""

    title: str
    svg: str
    note: str
    """What is drawn, and how it was measured."""


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

    def plots(self, sessions: Sequence[Session], seed: int, folder: Path) -> tuple[Plot, ...]:  # noqa: ARG002
        """What the system itself has to show of these held-out sessions; numbers go to `folder`."""
        return ()

    @abstractmethod
    def export(self, session: Session, seed: int, trial: Path, order: BundleOrder, progress: Progress) -> None:
        """Write what the last of `ways` left in the folder `trial` as a verified bundle.

        Raises:
            InputError: it may not run on an implant; says why.
            VerificationError: an exported form does not compute what it should.
        """
