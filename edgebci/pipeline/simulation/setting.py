"""Everything about a simulation that is known before the first sample is played."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgebci.bundle import Bundle
from edgebci.errors import InputError
from edgebci.firmware_sim.electronics.conditions import Conditions, FrontEndModel
from edgebci.firmware_sim.electronics.front_end import rate_factor
from edgebci.hardware import Implant
from edgebci.pipeline.simulation.front_end import DescribedFrontEnd
from edgebci.pipeline.simulation.order import SimulationOrder
from edgebci.pipeline.simulation.playing import Degraded, Portion, Source, clean_source, n_samples
from edgebci.recordings import Recording


@dataclass(frozen=True)
class Setting:
    """What is simulated, opened and found to fit together."""

    order: SimulationOrder
    conditions: Conditions
    bundle: Bundle
    implant: Implant
    front_end: DescribedFrontEnd
    recording: Recording
    folder: Path

    @property
    def model(self) -> FrontEndModel:
        """The implant's front end."""
        return self.front_end.model

    @property
    def n_rows(self) -> int:
        """Samples of each channel at the decoder's rate."""
        factor = rate_factor(self.recording.info.lfp_rate_hz, self.model.rate_hz)
        return -(-n_samples(self.recording, self.order.seconds) // factor)

    def degraded(self, model: FrontEndModel) -> Degraded:
        """A front end over this recording."""
        info = self.recording.info
        return Degraded(model, self.bundle.manifest.features.adc, info.n_channels, info.lfp_rate_hz)

    def clean(self) -> Source:
        """The recording with nothing added."""
        return clean_source(self.model, self.bundle.manifest.features.adc, self.recording)

    def first_frames(self, n: int) -> Portion:
        """Samples of the first n frames, or of as many whole ones as the recording has, with nothing added.

        Raises:
            InputError: it has not one.
        """
        features, info = self.bundle.manifest.features, self.recording.info
        wanted = n * features.samples_per_frame * rate_factor(info.lfp_rate_hz, features.rate_hz)
        counts, missing = self.clean().push(self.recording.lfp_uv(0, min(wanted, info.n_samples)))
        whole = len(counts) // features.samples_per_frame * features.samples_per_frame
        if not whole:
            raise InputError(f"the recording has {len(counts)} samples, one step takes {features.samples_per_frame}")
        return counts[:whole], missing[:whole]


def check_fit(order: SimulationOrder, bundle: Bundle, implant: Implant, recording: Recording) -> None:
    """Raise InputError where recording, bundle and implant do not fit each other: channels, and rates."""
    info, manifest = recording.info, bundle.manifest
    if info.n_channels != manifest.n_channels:
        raise InputError(
            f"{order.recording} has {info.n_channels} channels, the bundle decodes {manifest.n_channels}; give a "
            "recording of its array"
        )
    channels = implant.front_end.channels.high
    if info.n_channels > channels:
        raise InputError(
            f"the decoder reads {info.n_channels} channels, {implant.name} has {channels:.0f}; choose an implant with "
            "enough, or train on fewer channels"
        )
    rate_factor(info.lfp_rate_hz, manifest.features.rate_hz)
