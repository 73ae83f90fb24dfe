"""The synthetic subjects of a study: for each, sessions to pretrain on and sessions held out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

from pydantic import Field

from edgebci.documents import Document
from edgebci.features.specification import Adc, Band, FeatureSpec, LowPass
from edgebci.pipeline.cache import share
from edgebci.pipeline.configuration import PreparationConfig, RecordingConfig, SplitConfig
from edgebci.pipeline.sessions import obtain_session
from edgebci.progress import Progress
from edgebci.session import Session
from edgebci.synthetic.specification import SyntheticSpec

FIRST_SEED = 700
"""Seeds of studies: neither those that the generator was tuned on nor those of its acceptance."""
RATE_HZ, FRAME_HZ = 1000.0, 50.0


class CohortSpec(Document):
    """How many subjects and sessions, and what generates them."""

    subjects: int = Field(gt=0, le=100)
    pretraining_sessions: int = Field(default=2, ge=0)
    """First sessions of every subject: the teacher sees these and no others."""
    held_out_sessions: int = Field(default=3, gt=0)
    first_session: int = Field(default=1, gt=0)
    """Number of the first session of every subject."""
    generator: SyntheticSpec
    """Seed, subject and session are set for each recording."""
    split: SplitConfig = SplitConfig(train=0.55, validation=0.15, test=0.3)


@dataclass(frozen=True, eq=False)
class Cohort:
    """Prepared sessions, in order of subject and session."""

    pretraining: tuple[Session, ...]
    held_out: tuple[Session, ...]

    def first_held_out(self) -> tuple[Session, ...]:
        """Of each subject one, where all would take too long."""
        return tuple({session.subject: session for session in reversed(self.held_out)}.values())[::-1]


def feature_spec() -> FeatureSpec:
    """Band power and local motor potential, as in examples/quickstart.toml."""
    bands = tuple(Band(low_hz=low, high_hz=high) for low, high in ((12, 30), (70, 150), (150, 400)))
    return FeatureSpec(
        rate_hz=RATE_HZ,
        frame_rate_hz=FRAME_HZ,
        reference="average",
        power_tau_s=0.1,
        bands=bands,
        lmp=LowPass(corner_hz=4),
        adc=Adc(),
    )


def preparation(spec: CohortSpec, subject: int, session: int) -> PreparationConfig:
    """How one session comes about; subjects and sessions count from 1."""
    generator = spec.generator.model_copy(
        update={"seed": FIRST_SEED + subject, "subject": subject, "session": session, "rate_hz": RATE_HZ}
    )
    return PreparationConfig(
        recording=RecordingConfig(target="velocity", synthetic=generator), split=spec.split, features=feature_spec()
    )


def obtain_cohort(spec: CohortSpec, root: Path, progress: Progress) -> Cohort:
    """Prepare every session into `root`, or read those that are there."""
    first, n_sessions = spec.first_session, spec.pretraining_sessions + spec.held_out_sessions
    numbers = list(product(range(1, spec.subjects + 1), range(first, first + n_sessions)))

    def obtain(subject: int, session: int) -> Session:
        name, done = _name(subject, session), numbers.index((subject, session))
        config = preparation(spec, subject, session)
        return obtain_session(
            config, root, name, f"subject{subject:02}", lambda f, _: progress((done + f) / len(numbers), name)
        )

    share((root, _name(*number), partial(obtain, *number)) for number in numbers)
    sessions = {number: obtain(*number) for number in numbers}
    return Cohort(
        pretraining=tuple(s for (_, number), s in sessions.items() if number < first + spec.pretraining_sessions),
        held_out=tuple(s for (_, number), s in sessions.items() if number >= first + spec.pretraining_sessions),
    )


def _name(subject: int, session: int) -> str:
    return f"subject{subject:02}_session{session:02}"
