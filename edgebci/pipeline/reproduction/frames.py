"""Frames of public recordings, computed once for all splits: causal (ours), or zero-phase as the papers have them.

Causal frames are kept before normalisation, whose statistics belong to a split's training segments.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgebci.checkpoint import read_tensors, write_tensors
from edgebci.decoding_data import Booleans, Floats
from edgebci.documents import Document
from edgebci.errors import InputError
from edgebci.features.paper import BROADBAND_DECIMATION, FRAME_RATE_HZ, PaperFrames, paper_frames, within
from edgebci.features.specification import Adc, FeatureSpec, LowPass
from edgebci.features.stream import FeatureStream, join_frames
from edgebci.files import sha256
from edgebci.pipeline.cache import run_stage, source_digest
from edgebci.pipeline.configuration import RecordingConfig
from edgebci.pipeline.reproduction.published import TARGETS
from edgebci.pipeline.source import FrameClock, frame_clock, portions
from edgebci.progress import Progress
from edgebci.public_recordings.fetching import RAW as RAW_FOLDER
from edgebci.public_recordings.fetching import sessions_of
from edgebci.public_recordings.makin import open_broadband
from edgebci.recordings import Behavior, Recording, open_recording

Preprocessing = Literal["causal", "paper"]
F64 = NDArray[np.float64]

FRAMES_NAME = "frames.safetensors"
RAW = LowPass(corner_hz=40.0, order=4, high_pass_hz=0.1)
"""The papers' band, 0.05 to 50 Hz, but with four poles under half of the frame rate, and a start-up of seconds."""
ADC = Adc(bits=16, uv_per_count=0.30518)
"""Reaches the 10 mV of Makin's recorder: electrodes have offsets of millivolts."""
_SOURCES = ("recordings", "features", "pipeline/source.py", "pipeline/reproduction/frames.py")


class FramesHeader(Document):
    """Whose frames, and of which kind."""

    schema_version: Literal["edgebci.reproduction_frames/1"] = "edgebci.reproduction_frames/1"
    session: str
    subject: str
    corpus: str
    preprocessing: Preprocessing
    causal: bool
    """False: every frame depends on the future, and no decoder of such frames may be exported."""
    from_broadband: bool
    """Zero-phase frames of the 24.4 kHz signal itself, not of our LFP."""
    features: FeatureSpec | None
    """Of causal frames."""
    target_names: tuple[str, ...]
    target_unit: str


@dataclass(frozen=True, eq=False)
class SessionFrames:
    """Frames of a session's task; C channels, D axes."""

    header: FramesHeader
    features: Floats
    """(K, C): microvolt where causal, else standardised over the session."""
    velocity: Floats
    """(K, D)."""
    valid: Booleans
    """(K,)."""
    reset_before: Booleans
    """(K,)."""
    times_s: F64
    """(K,)."""
    good_channels: Booleans
    """(C,)."""


@dataclass(frozen=True)
class PublicRecording:
    """A converted session of one of the papers."""

    path: Path
    session: str
    corpus: str

    @property
    def broadband(self) -> Path | None:
        """What `edgebci data fetch --keep-raw` kept of it."""
        path = self.path.parent / RAW_FOLDER / f"{self.session}.nwb"
        return path if path.exists() else None


def find_recordings(folder: Path) -> tuple[PublicRecording, ...]:
    """The recordings of `folder` that are sessions of the papers, by name.

    Raises:
        InputError: there is none; says how to get them.
    """
    known = {session: corpus for corpus in TARGETS for session in sessions_of(corpus)}
    paths = sorted(folder.glob("*.h5")) if folder.is_dir() else []
    found = tuple(PublicRecording(path, path.stem, known[path.stem]) for path in paths if path.stem in known)
    if not found:
        raise InputError(
            f"{folder} holds no public recording; fetch at least one that is held out and one to learn from: edgebci "
            f"data fetch makin --session indy_20160915_01 --session indy_20160916_01 --to {folder}"
        )
    return found


def obtain_frames(
    recording: PublicRecording, preprocessing: Preprocessing, root: Path, progress: Progress
) -> SessionFrames:
    """Compute a session's frames, or read those of an earlier run with the same recording."""
    stage = run_stage(
        root / preprocessing,
        recording.session,
        [sha256(recording.path), preprocessing, str(_is_from_broadband(recording, preprocessing))],
        lambda folder: _compute(recording, preprocessing, folder / FRAMES_NAME, progress),
        source_digest(*_SOURCES),
    )
    arrays, header = read_tensors(stage.folder / FRAMES_NAME, FramesHeader)
    return SessionFrames(
        header=header,
        features=arrays["features"],
        velocity=arrays["velocity"],
        valid=arrays["valid"].astype(bool),
        reset_before=arrays["reset_before"].astype(bool),
        times_s=arrays["times_s"].astype(np.float64),
        good_channels=arrays["good_channels"].astype(bool),
    )


def _is_from_broadband(recording: PublicRecording, preprocessing: Preprocessing) -> bool:
    return preprocessing == "paper" and recording.broadband is not None


def _compute(public: PublicRecording, preprocessing: Preprocessing, out: Path, progress: Progress) -> None:
    progress(0.0, f"{preprocessing} frames: {public.session}")
    with open_recording(public.path) as recording:
        behavior = recording.behavior(TARGETS[public.corpus])
        task_s = _task(recording)
        make = _causal if preprocessing == "causal" else _zero_phase
        arrays, spec = make(recording, public, behavior, task_s)
        header = FramesHeader(
            session=public.session,
            subject=recording.info.subject_id,
            corpus=public.corpus,
            preprocessing=preprocessing,
            causal=preprocessing == "causal",
            from_broadband=_is_from_broadband(public, preprocessing),
            features=spec,
            target_names=behavior.axis_names,
            target_unit=behavior.unit,
        )
    write_tensors(out, arrays, header)
    progress(1.0, f"{preprocessing} frames: {public.session}")


def _task(recording: Recording) -> tuple[float, float]:
    """First and last moment that count: where the task is."""
    rows = recording.intervals("task")
    if not len(rows):
        raise InputError(f"{recording.path} says nowhere where the task is; convert it with edgebci data fetch")
    return float(rows[0, 0]), float(rows[-1, 1])


def _causal(
    recording: Recording, public: PublicRecording, behavior: Behavior, task_s: tuple[float, float]
) -> tuple[dict[str, NDArray[np.generic]], FeatureSpec | None]:
    """One stream from the recording's first moment, of which the task is kept."""
    spec = FeatureSpec(rate_hz=recording.info.lfp_rate_hz, frame_rate_hz=FRAME_RATE_HZ, adc=ADC, raw=RAW)
    source = RecordingConfig(path=public.path, target=TARGETS[public.corpus])
    clock = frame_clock(recording, spec, source)
    good = np.array(recording.info.good_channels)
    stream = FeatureStream(spec, good)
    frames = join_frames([stream.push(*portion) for portion in portions(recording, clock, spec, 0, clock.n_frames)])
    times_s = clock.times_s(0, len(frames.valid))
    kept = slice(*np.searchsorted(times_s, task_s))
    velocity, known = _velocity_at(behavior, times_s)
    arrays: dict[str, NDArray[np.generic]] = {
        "features": frames.features[kept].astype(np.float32),
        "velocity": velocity[kept].astype(np.float32),
        "valid": (frames.valid & known & ~_distrusted(recording, clock))[kept].astype(np.uint8),
        "reset_before": frames.reset_before[kept].astype(np.uint8),
        "times_s": times_s[kept],
        "good_channels": good.astype(np.uint8),
    }
    return arrays, spec


def _velocity_at(behavior: Behavior, times_s: F64) -> tuple[F64, Booleans]:
    """Velocity (K, D) between its samples, and where it is known (K,): not across a pause of the task's computer."""
    sampled_s = behavior.timestamps_s
    after = np.clip(np.searchsorted(sampled_s, times_s), 1, len(sampled_s) - 1)
    close = sampled_s[after] - sampled_s[after - 1] <= 2.5 * np.median(np.diff(sampled_s))
    velocity = np.stack([np.interp(times_s, sampled_s, axis) for axis in behavior.values.T], axis=1)
    known: Booleans = close & np.isfinite(velocity).all(axis=1)
    return np.nan_to_num(velocity), known


def _distrusted(recording: Recording, clock: FrameClock) -> Booleans:
    times_s = clock.times_s(0, clock.n_frames)
    inside = np.zeros(len(times_s), dtype=bool)
    for start_s, stop_s in recording.intervals("quality"):
        inside[np.searchsorted(times_s, start_s) : np.searchsorted(times_s, stop_s, side="right")] = True
    return inside


def _zero_phase(
    recording: Recording, public: PublicRecording, behavior: Behavior, task_s: tuple[float, float]
) -> tuple[dict[str, NDArray[np.generic]], FeatureSpec | None]:
    """The whole session at once, of which the task is kept and standardised."""
    broadband = public.broadband
    whole = _from_broadband(broadband, behavior) if broadband else _from_recording(recording, public.corpus, behavior)
    frames = within(whole, *task_s)
    count = len(frames.times_s)
    arrays: dict[str, NDArray[np.generic]] = {
        "features": frames.frames,
        "velocity": frames.velocity,
        "valid": np.ones(count, dtype=np.uint8),
        "reset_before": np.zeros(count, dtype=np.uint8),
        "times_s": frames.times_s,
        "good_channels": np.array(recording.info.good_channels, dtype=np.uint8),
    }
    return arrays, None


def _from_broadband(path: Path, behavior: Behavior) -> PaperFrames:
    """As published, from 24.4 kHz on."""
    with open_broadband(path) as broadband:
        ends_s = (float(np.ravel(broadband.timestamps[:1])[0]), float(np.ravel(broadband.timestamps[-1:])[0]))
        return paper_frames(
            broadband.data, ends_s, behavior.values, behavior.timestamps_s, decimation=BROADBAND_DECIMATION
        )


def _from_recording(recording: Recording, corpus: str, behavior: Behavior) -> PaperFrames:
    """The same chain from our LFP on."""
    info = recording.info
    lfp_uv = recording.lfp_uv(0, info.n_samples)
    ends_s = (info.start_s, info.start_s + (len(lfp_uv) - 1) / info.lfp_rate_hz)
    by: Literal["fourier", "lines"] = "fourier" if corpus == "makin" else "lines"
    return paper_frames(lfp_uv, ends_s, behavior.values, behavior.timestamps_s, velocity_by=by)
