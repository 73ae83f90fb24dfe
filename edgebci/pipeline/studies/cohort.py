"""The synthetic subjects of a study: for each, sessions to pretrain on and sessions held out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from edgebci.documents import Document
from edgebci.features.specification import Adc, Band, FeatureSpec, LowPass
from edgebci.pipeline.configuration import PreparationConfig, RecordingConfig, SplitConfig
from edgebci.pipeline.sessions import obtain_session
from edgebci.progress import Progress, part
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
    generator: SyntheticSpec
    """Seed, subject and session are set for each recording."""
    split: SplitConfig = SplitConfig(train=0.55, validation=0.15, test=0.3)


@dataclass(frozen=True, eq=False)
class Cohort:
    """Prepared sessions, in order of subject and session."""

    pretraining: tuple[Session, ...]
    held_out: tuple[Session, ...]


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
    n_sessions = spec.pretraining_sessions + spec.held_out_sessions
    total, pretraining, held_out = spec.subjects * n_sessions, list[Session](), list[Session]()
    for i in range(total):
        subject, session = i // n_sessions + 1, i % n_sessions + 1
        name = f"subject{subject:02}_session{session:02}"
        share = part(progress, i / total, (i + 1) / total)
        config = preparation(spec, subject, session)
        made = obtain_session(config, root, name, f"subject{subject:02}", lambda f, _, s=share, n=name: s(f, n))  # type: ignore[misc]
        (pretraining if session <= spec.pretraining_sessions else held_out).append(made)
    return Cohort(tuple(pretraining), tuple(held_out))
