"""What a claim is: figures with a name, the sources that they measure, and a command that shows them to anyone."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgebci.errors import EdgebciError
from edgebci.pipeline.proof.figure import Figure
from edgebci.pipeline.proof.sources import Sources
from edgebci.progress import Progress

DATA_VARIABLE, DATA_FOLDER = "EDGEBCI_TEST_DATA", Path("../shared/data")


class CannotMeasureError(EdgebciError):
    """What a claim needs is not on this machine; its earlier figures stand."""


@dataclass(frozen=True)
class Place:
    """Where a claim is measured.

    Fields:
        folder: for its files; what an interrupted measurement left there is still there when it is repeated.
        checkout: the top of the tree, with examples/.
        recording: the recording that the claim needs, or None.
        runs: folder of all runs: what is kept there outlives a change of the claim's sources.
    """

    folder: Path
    checkout: Path
    recording: Path | None = None
    runs: Path = Path("runs")


@dataclass(frozen=True)
class Claim:
    """A group of figures that are measured together.

    Fields:
        name: as in `edgebci proof --only NAME`.
        title: for people.
        command: one line that shows the figures, or most of them, without `edgebci proof`.
        sources: what the figures depend on.
        minutes: about how long it takes on 2 cores; for the progress bar.
        measure: does it.
        recording: file name of a recording that is not part of the project, or None.
        quoted: names of the figures that the README's table shows; without any, the long table alone has the claim.
    """

    name: str
    title: str
    command: str
    sources: Sources
    minutes: float
    measure: Callable[[Place, Progress], tuple[Figure, ...]]
    recording: str | None = None
    quoted: tuple[str, ...] = ()

    def find_recording(self, checkout: Path) -> Path | None:
        """The recording that it needs, or None if it needs none.

        Raises:
            CannotMeasureError: it needs one that is absent.
        """
        if self.recording is None:
            return None
        path = recordings_folder(checkout) / self.recording
        if not path.is_file():
            raise CannotMeasureError(f"{self.recording} is not on this machine")
        return path


def recordings_folder(checkout: Path) -> Path:
    """Where recordings that are not part of the project are looked for."""
    return Path(os.environ.get(DATA_VARIABLE, checkout / DATA_FOLDER))


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def seconds_of(work: Callable[[], object]) -> float:
    """Wall-clock seconds of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def timed(name: str, label: str, seconds: list[float], note: str = "", headline: bool = True) -> Figure:
    """A figure of wall-clock time: the median, and the shortest and longest where there are several."""
    several = len(seconds) > 1
    cores = available_cores()
    return Figure(
        name=name,
        label=label,
        value=statistics.median(seconds),
        low=min(seconds) if several else None,
        high=max(seconds) if several else None,
        unit="s",
        evidence="measured",
        note=", ".join(filter(None, (f"{cores} core{'s' if cores > 1 else ''}", note))),
        headline=headline,
    )
