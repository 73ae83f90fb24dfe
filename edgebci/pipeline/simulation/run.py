"""`edgebci simulate`: the recording, the implant's front end, the decoder that ships, and what comes of them."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgebci.firmware_sim.electronics.conditions import SourceQuality
from edgebci.firmware_sim.electronics.source import source_quality
from edgebci.hardware import Implant, load_profile
from edgebci.pipeline.simulation import forms
from edgebci.pipeline.simulation.accuracy import (
    CLEAN,
    DEGRADED,
    HELD,
    HELD_UNDISTURBED,
    UNDISTURBED,
    accuracies,
    clipping_of,
    compared,
    output_loss,
    packet_loss,
)
from edgebci.pipeline.simulation.closed_loop import ClosedLoop, channel_of, close_loop
from edgebci.pipeline.simulation.device_side import Device, device_side
from edgebci.pipeline.simulation.front_end import described
from edgebci.pipeline.simulation.losses import Losses, losses_of
from edgebci.pipeline.simulation.order import SimulationOrder
from edgebci.pipeline.simulation.playing import Played, play
from edgebci.pipeline.simulation.recovery import Pair, Recovery, recoveries
from edgebci.pipeline.simulation.report import SimulationReport
from edgebci.pipeline.simulation.setting import Setting, check_fit
from edgebci.pipeline.simulation.sweeping import run_sweeps
from edgebci.pipeline.simulation.truth import Truth, truth_of
from edgebci.pipeline.simulation.wiring import variants_of, wiring
from edgebci.progress import Progress, part, silent
from edgebci.recordings import open_recording

COMPARED_FRAMES = 100
"""Of the recording: where the shipped C and its form with vector kernels, which is played, must give the same bits."""


@dataclass(frozen=True)
class Simulated:
    """What was asked, the report, and the traces that a picture is drawn of."""

    order: SimulationOrder
    report: SimulationReport
    truth: Truth
    played: Mapping[str, Played]
    device: Device | None = None


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
        check_fit(order, bundle, implant, recording)
        setting = Setting(order, conditions, bundle, implant, front_end, recording, Path(name))
        return _simulate(setting, progress)


def _simulate(setting: Setting, progress: Progress) -> Simulated:
    progress(0.0, "compiling")
    # First, so that what cannot be scored is said before anything is played.
    n_frames = setting.n_rows // setting.bundle.manifest.features.samples_per_frame
    known = truth_of(setting.recording, setting.bundle, setting.order.behavior, n_frames)
    with ThreadPoolExecutor() as pool:
        programs = forms.compiled(setting.bundle, setting.folder, setting.first_frames(COMPARED_FRAMES), pool)
        modelled = pool.submit(_modelled, setting, n_frames, programs.shipped)
        variants = variants_of(setting, programs.played, pool)
        device, losses, not_lost = modelled.result()
    order, degraded = setting.order, setting.degraded(setting.model)
    sources, routes = wiring(setting, losses, variants)
    until = 0.2 if order.sweeps else 0.9
    played = play(
        setting.recording,
        order.seconds,
        {**sources, DEGRADED: degraded},
        routes,
        order.threads,
        part(progress, 0, until),
    )
    truth = known.narrowed(played[CLEAN].valid)
    quality = source_quality(setting.recording, setting.conditions.source)
    adc = setting.bundle.manifest.features.adc
    sweeps = run_sweeps(
        order, setting.recording, setting.model, quality, variants.shipped, truth, adc, part(progress, until, 0.95)
    )
    progress(0.95, "scoring")
    lag_ms = truth.effective_lag_ms(played[DEGRADED])
    report = SimulationReport(
        **_identity(setting, truth, quality),
        notes=_notes(setting, (device.note if device else None, not_lost)),
        accuracy=accuracies(setting, truth, played),
        degraded_against_clean=compared(truth, played),
        effective_lag_ms=lag_ms,
        clipping=clipping_of(degraded),
        recoveries=_recoveries(setting, truth, played),
        packet_loss=packet_loss(setting, losses, truth, played),
        output_loss=output_loss(device, truth, played[DEGRADED]),
        sweeps=sweeps,
        device=device and device.side.with_lag(lag_ms),
        closed_loop=_closed_loop(setting, truth, played[DEGRADED]) if order.closed_loop else None,
    )
    return Simulated(order, report, truth, played, device)


def _identity(setting: Setting, truth: Truth, quality: SourceQuality) -> dict[str, Any]:
    """What was simulated."""
    features = setting.bundle.manifest.features
    return {
        "bundle": setting.order.bundle.name,
        "recording": setting.order.recording.name,
        "implant": setting.implant.name,
        "seconds": setting.n_rows / features.rate_hz,
        "n_channels": setting.bundle.manifest.n_channels,
        "rate_hz": features.rate_hz,
        "frames_scored": int(truth.counted.sum()),
        "only_test_intervals": truth.held_out,
        "source": quality,
        "front_end": setting.model,
    }


def _recoveries(setting: Setting, truth: Truth, played: Mapping[str, Played]) -> tuple[Recovery, ...]:
    if not setting.model.events:
        return ()
    start_s, tau_s = setting.recording.info.start_s, setting.bundle.manifest.features.normalization.tau_s
    held = Pair(played[HELD], played[HELD_UNDISTURBED]) if HELD in played else None
    shipped = Pair(played[DEGRADED], played[UNDISTURBED])
    return recoveries(setting.model.events, truth.times_s, shipped, held, tau_s, start_s)


def _closed_loop(setting: Setting, truth: Truth, degraded: Played) -> ClosedLoop:
    """The loop of a user over what counts of the recording, from its first such frame to its last."""
    counted = np.flatnonzero(truth.counted)
    stretch = slice(int(counted[0]), int(counted[-1]) + 1)
    lag_s = max(truth.effective_lag_ms(degraded), 0.0) / 1000
    channel = channel_of(truth.values[stretch], degraded.held()[stretch], lag_s, truth.rate_hz)
    return close_loop(channel, truth.unit, setting.conditions.seed)


def _modelled(
    setting: Setting, n_frames: int, library: Future[Path]
) -> tuple[Device | None, Losses | None, str | None]:
    """The device, and what gets lost on its way to a decoder outside."""
    device = device_side(setting, n_frames, library.result())
    return device, *losses_of(setting, device)


def _notes(setting: Setting, more: tuple[str | None, ...]) -> tuple[str, ...]:
    notes = [*setting.front_end.notes, *(note for note in more if note)]
    notes.append(
        "the recording stands for the potential at the electrode; what its own amplifier and converter added is in "
        "both the clean and the degraded run"
    )
    if setting.bundle.manifest.recalibration is not None:
        notes.append(
            "the bundle was recalibrated; what is played is its C with the parameters that it was exported with"
        )
    return tuple(notes)
