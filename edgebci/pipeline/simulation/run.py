"""`edgebci simulate`: the recording, the implant's front end, the decoder that ships, and what comes of them."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgebci.bundle import Bundle
from edgebci.comparison import Comparison, compare
from edgebci.errors import InputError
from edgebci.firmware_sim.electronics.conditions import Conditions, FrontEndModel
from edgebci.firmware_sim.electronics.front_end import rate_factor
from edgebci.firmware_sim.electronics.source import source_quality
from edgebci.hardware import Implant, load_profile
from edgebci.pipeline.simulation import forms
from edgebci.pipeline.simulation.front_end import DescribedFrontEnd, described
from edgebci.pipeline.simulation.losses import lost_rows, policies
from edgebci.pipeline.simulation.order import SimulationOrder
from edgebci.pipeline.simulation.playing import (
    Degraded,
    Lossy,
    Played,
    Route,
    Source,
    clean_source,
    n_samples,
    play,
)
from edgebci.pipeline.simulation.recovery import recoveries
from edgebci.pipeline.simulation.report import Clipping, FormAccuracy, PacketLoss, PolicyLoss, SimulationReport
from edgebci.pipeline.simulation.truth import Truth, truth_of
from edgebci.progress import Progress, part, silent
from edgebci.recordings import Recording, open_recording
from edgebci.recordings.intervals import runs

CLEAN, DEGRADED, UNDISTURBED, LOSSY, OTHER = "clean", "degraded", "undisturbed", "lossy", "other reference"
MARGIN = 0.02
"""Loss in R2 that would be accepted: what the partitions of the budget call the same accuracy."""


@dataclass(frozen=True)
class Simulated:
    """The report, and the traces that a picture is drawn of."""

    report: SimulationReport
    truth: Truth
    played: Mapping[str, Played]


@dataclass(frozen=True)
class Setting:
    """Everything that is known before the first sample is played."""

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


def simulate(order: SimulationOrder, progress: Progress = silent) -> Simulated:
    """Simulate a bundle in an implant over a recording.

    Raises:
        InputError: a profile, file of conditions, bundle or recording is wrong, or they do not fit each other.
        MissingToolError: there is no compiler for the bundle's C.
    """
    bundle, conditions = forms.bundle_with_program(order.bundle), order.read_conditions()
    implant, features = load_profile(Implant, order.implant), bundle.manifest.features
    front_end = described(implant, conditions, features.rate_hz, features.adc)
    with (
        tempfile.TemporaryDirectory(prefix="edgebci-simulation-") as name,
        open_recording(order.recording) as recording,
    ):
        _check_fit(order, bundle, implant, recording)
        setting = Setting(order, conditions, bundle, implant, front_end, recording, Path(name))
        return _simulate(setting, progress)


def _simulate(setting: Setting, progress: Progress) -> Simulated:
    progress(0.0, "compiling")
    features = setting.bundle.manifest.features
    sources, routes = _wiring(setting)
    degraded = setting.degraded(setting.model)
    sources = {**sources, DEGRADED: degraded}
    order = setting.order
    played = play(setting.recording, order.seconds, sources, routes, order.threads, part(progress, 0.1, 0.9))
    n_frames = len(played[CLEAN].valid)
    truth = truth_of(setting.recording, setting.bundle, order.behavior, n_frames).narrowed(played[CLEAN])
    progress(0.95, "scoring")
    start_s = setting.recording.info.start_s
    report = SimulationReport(
        bundle=order.bundle.name,
        recording=order.recording.name,
        implant=setting.implant.name,
        seconds=setting.n_rows / features.rate_hz,
        n_channels=setting.bundle.manifest.n_channels,
        rate_hz=features.rate_hz,
        frames_scored=int(truth.counted.sum()),
        only_test_intervals=truth.held_out,
        notes=_notes(setting),
        source=source_quality(setting.recording, setting.conditions.source),
        front_end=setting.model,
        accuracy=_accuracies(setting, truth, played),
        degraded_against_clean=_compared(truth, played),
        effective_lag_ms=truth.effective_lag_ms(played[CLEAN]),
        clipping=_clipping(degraded),
        recoveries=recoveries(setting.model.events, truth.times_s, played[DEGRADED], played[UNDISTURBED], start_s)
        if setting.model.events
        else (),
        packet_loss=_packet_loss(setting, truth, played),
    )
    return Simulated(report, truth, played)


def _wiring(setting: Setting) -> tuple[dict[str, Source], dict[str, Route]]:
    """What is played but for the degraded source, and the decoders that listen."""
    bundle, folder = setting.bundle, setting.folder
    library = forms.shipped(bundle, folder)
    other = _other_reference(setting)
    sources: dict[str, Source] = {CLEAN: setting.clean()}
    routes = {CLEAN: Route(CLEAN, library), DEGRADED: Route(DEGRADED, library)}
    unlike = forms.with_reference(bundle, other, setting.recording, setting.clean(), folder)
    routes[OTHER] = Route(DEGRADED, unlike)
    if setting.model.events:
        sources[UNDISTURBED] = setting.degraded(setting.model.model_copy(update={"events": ()}))
        routes[UNDISTURBED] = Route(UNDISTURBED, library)
    if setting.conditions.packets is not None:
        sources[LOSSY] = Lossy(setting.clean(), _lost(setting))
        for i, (name, policy) in enumerate(policies(bundle.manifest.features).items()):
            routes[name] = Route(LOSSY, forms.with_policy(bundle, policy, folder, f"policy_{i}"))
    return sources, routes


def _other_reference(setting: Setting) -> str:
    """Without a common reference, or with one where the decoder has none."""
    return "average" if setting.bundle.manifest.features.reference == "none" else "none"


def _lost(setting: Setting) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    packets = setting.conditions.packets
    assert packets is not None
    return lost_rows(packets, setting.model.rate_hz, setting.n_rows, setting.conditions.seed)


def _accuracies(setting: Setting, truth: Truth, played: Mapping[str, Played]) -> tuple[FormAccuracy, ...]:
    reference, other = setting.bundle.manifest.features.reference, _other_reference(setting)
    names = {CLEAN: reference, UNDISTURBED: reference, DEGRADED: reference, OTHER: other}
    shown = {OTHER: DEGRADED, UNDISTURBED: "degraded, without events"}
    return tuple(
        FormAccuracy(
            name=shown.get(name, name),
            reference=used,
            r2=truth.r2(played[name]),
            valid_share=float(played[name].valid[truth.counted].mean()),
        )
        for name, used in names.items()
        if name in played
    )


def _compared(truth: Truth, played: Mapping[str, Played]) -> Comparison:
    kept = truth.counted
    candidate, reference = (played[name].held()[kept] for name in (DEGRADED, CLEAN))
    return compare(truth.values[kept], [candidate], reference, truth.rate_hz, MARGIN)


def _clipping(degraded: Degraded) -> Clipping:
    shares = degraded.clipped / max(degraded.n_samples, 1)
    return Clipping(
        clipped_share=float(shares.mean()),
        worst_channel_share=float(shares.max()),
        channels_over_1_percent=int((shares > 0.01).sum()),
    )


def _packet_loss(setting: Setting, truth: Truth, played: Mapping[str, Played]) -> PacketLoss | None:
    packets, features = setting.conditions.packets, setting.bundle.manifest.features
    if packets is None:
        return None
    lost, whole = _lost(setting), truth.r2(played[CLEAN])
    gaps = runs(lost)
    return PacketLoss(
        packets=packets,
        lost_share=float(lost.mean()),
        longest_gap_ms=1000 * float((gaps[:, 1] - gaps[:, 0]).max(initial=0)) / features.rate_hz,
        policies=tuple(
            PolicyLoss(
                policy=name,
                r2=truth.r2(played[name]),
                r2_lost=whole - truth.r2(played[name]),
                valid_share=float(played[name].valid[truth.counted].mean()),
            )
            for name in policies(features)
        ),
    )


def _notes(setting: Setting) -> tuple[str, ...]:
    notes = list(setting.front_end.notes)
    notes.append(
        "the recording stands for the potential at the electrode; what its own amplifier and converter added is in "
        "both the clean and the degraded run"
    )
    if setting.bundle.manifest.recalibration is not None:
        notes.append(
            "the bundle was recalibrated; what is played is its C with the parameters that it was exported with"
        )
    return tuple(notes)


def _check_fit(order: SimulationOrder, bundle: Bundle, implant: Implant, recording: Recording) -> None:
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
