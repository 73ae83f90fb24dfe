"""The two rats as sessions of a study. Their recordings are not part of the project: an absent one is named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgebci.features.specification import Band, FeatureSpec, LowPass
from edgebci.pipeline.configuration import PreparationConfig, RecordingConfig, SplitConfig
from edgebci.pipeline.proof.claim import recordings_folder
from edgebci.pipeline.sessions import obtain_session
from edgebci.progress import Progress
from edgebci.session import Session

BANDS_HZ = ((2, 5), (5, 7), (7, 9), (9, 12), (12, 30), (30, 60), (60, 112))
HALF_SMOOTHING_S = 0.2
"""Targets were smoothed with a centred window of 0.4 s."""


@dataclass(frozen=True)
class Rat:
    """A recording in an open field."""

    name: str
    split: SplitConfig

    @property
    def file(self) -> str:
        """Name of its file."""
        return f"rat_{self.name}_open_field.nwb"

    @property
    def path(self) -> Path:
        """Where its file is looked for."""
        return recordings_folder(Path()) / self.file


R1838 = Rat("r1838", SplitConfig(train=0.5, validation=0.15, test=0.35))
M851 = Rat("m851", SplitConfig(train=0.2, validation=0.55, test=0.25))
"""Stimulated from 600 to 1800 s, which counts nowhere: training ends before, the test part begins after."""
RATS = (R1838, M851)


def absent(rats: Sequence[Rat]) -> tuple[str, ...]:
    """The recordings of these that are not here, in a sentence each."""
    return tuple(f"{rat.file} is not in {rat.path.parent}" for rat in rats if not rat.path.is_file())


def feature_spec() -> FeatureSpec:
    """As in examples/rat_running_speed.toml."""
    return FeatureSpec(
        rate_hz=250,
        frame_rate_hz=50,
        reference="none",
        power_tau_s=0.25,
        bands=tuple(Band(low_hz=low, high_hz=high) for low, high in BANDS_HZ),
        lmp=LowPass(corner_hz=4),
    )


def obtain_rat(rat: Rat, target: str, root: Path, progress: Progress) -> Session:
    """Prepare a rat for decoding `target` (speed, position, velocity) into `root`, or read what is there."""
    recording = RecordingConfig(path=rat.path, target=target, target_half_smoothing_s=HALF_SMOOTHING_S)
    config = PreparationConfig(recording=recording, split=rat.split, features=feature_spec())
    return obtain_session(config, root, f"{rat.name}_{target}", rat.name, progress)
