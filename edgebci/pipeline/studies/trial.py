"""One cell of a study's grid: one way to train, on one session, from one seed. What was decoded is kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgebci.checkpoint import read_tensors, write_tensors
from edgebci.decoding_data import Floats
from edgebci.documents import Document
from edgebci.hierarchical import FEWEST_SUBJECTS, PairedSession, SubjectsComparison, compare_over_subjects
from edgebci.metrics import F64, r2
from edgebci.pipeline.cache import run_stage, share
from edgebci.pipeline.imports import training_digest
from edgebci.progress import Progress, silent
from edgebci.session import Session

DECODED_NAME = "decoded.safetensors"

Decode = Callable[[Session, int, Path, Progress], Floats]
"""(session, seed, folder for files) to what is decoded of every frame (K, D)."""


@dataclass(frozen=True)
class Way:
    """One way to get a decoder for a session.

    Fields:
        name: of its folder and in tables.
        identity: every hyper-parameter, and what it starts from, as text.
        decode: trains on the session's training part, stops on its validation part, decodes all of it.
        modules: of edgebci.training, that train and decode; a change of them, or of what they import, makes trials old.
        is_random: whether the seed makes a difference; ridge, for one, is fitted once.
    """

    name: str
    identity: str
    decode: Decode
    modules: tuple[str, ...]
    is_random: bool = True


class TrialHeader(Document):
    """What one trial was."""

    schema_version: Literal["edgebci.trial/1"] = "edgebci.trial/1"
    way: str
    session: str
    seed: int
    seconds: float
    """Of processor time over all threads, so that whatever else the machine does is not counted."""


@dataclass(frozen=True, eq=False)
class Trial:
    """What one trial decoded of the test frames (T, D), and the processor time that it took."""

    decoded: F64
    seconds: float


@dataclass(frozen=True)
class Grid:
    """Where trials are kept, and the seeds that each way is tried with."""

    root: Path
    seeds: tuple[int, ...]
    progress: Progress = silent

    def trials(self, way: Way, session: Session) -> tuple[Trial, ...]:
        """A trial for each seed; finished ones are read."""
        return tuple(self.trial(way, session, seed) for seed in self._seeds_of(way))

    def folder(self, way: Way, session: Session, seed: int) -> Path:
        """Where a trial's files lie."""
        return self.root / way.name / f"{session.name}_{seed}"

    def compare(
        self,
        sessions: Sequence[Session],
        candidate: Way,
        reference: Way,
        margin: float,
        fewest_subjects: int = FEWEST_SUBJECTS,
    ) -> SubjectsComparison:
        """Both ways on the test frames of the same sessions, over subjects."""
        self.share((candidate, reference), sessions)
        paired = [self._paired(session, candidate, reference) for session in sessions]
        return compare_over_subjects(paired, margin, fewest_subjects=fewest_subjects)

    def mean_r2(self, sessions: Sequence[Session], way: Way) -> float:
        """Mean over sessions, seeds and axes of R² on the test frames."""
        scores = [r2(truth(s), trial.decoded).mean() for s in sessions for trial in self.trials(way, s)]
        return float(np.mean(scores))

    def mean_seconds(self, sessions: Sequence[Session], way: Way) -> float:
        """Mean processor time of one trial."""
        return float(np.mean([trial.seconds for s in sessions for trial in self.trials(way, s)]))

    def share(self, ways: Sequence[Way], sessions: Sequence[Session]) -> None:
        """Do the trials that no other process is at."""
        cells = [(way, session, seed) for session in sessions for way in ways for seed in self._seeds_of(way)]
        share((self.root / w.name, f"{s.name}_{seed}", partial(self.trial, w, s, seed)) for w, s, seed in cells)

    def _seeds_of(self, way: Way) -> tuple[int, ...]:
        return self.seeds if way.is_random else self.seeds[:1]

    def _paired(self, session: Session, candidate: Way, reference: Way) -> PairedSession:
        ours, theirs = (tuple(t.decoded for t in self.trials(way, session)) for way in (candidate, reference))
        return PairedSession(session.subject, session.name, truth(session), ours, theirs, session.data.frame_rate_hz)

    def trial(self, way: Way, session: Session, seed: int) -> Trial:
        """One trial; a finished one is read."""
        seen = session.data.fingerprint("train", "validation", "test")

        def work(folder: Path) -> None:
            started = time.process_time()
            decoded = way.decode(session, seed, folder, lambda f, note: self.progress(f, f"{where}: {note}"))
            header = TrialHeader(way=way.name, session=session.name, seed=seed, seconds=time.process_time() - started)
            write_tensors(folder / DECODED_NAME, {"decoded": decoded[session.data.rows("test")]}, header)

        where = f"{way.name}, {session.name}, seed {seed}"
        inputs = [seen, way.identity, str(seed)]
        stage = run_stage(self.root / way.name, f"{session.name}_{seed}", inputs, work, training_digest(*way.modules))
        arrays, header = read_tensors(stage.folder / DECODED_NAME, TrialHeader)
        return Trial(arrays["decoded"].astype(np.float64), header.seconds)


def truth(session: Session) -> F64:
    """The targets of the test frames (T, D)."""
    targets: NDArray[np.float32] = session.data.targets[session.data.rows("test")]
    return targets.astype(np.float64)
