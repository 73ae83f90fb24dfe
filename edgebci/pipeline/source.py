"""The recording of a run: made, converted or opened, and read as the counts that a device's converter would give."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgebci.errors import InputError
from edgebci.features.specification import Counts, FeatureSpec
from edgebci.pipeline.configuration import RecordingConfig
from edgebci.progress import Progress
from edgebci.recordings import Recording, open_recording

Bool = NDArray[np.bool_]
Portion = tuple[Counts, Bool]
"""(T, C) counts and (T,) missing."""

CHUNK_FRAMES = 500


def obtain(source: RecordingConfig, folder: Path, progress: Progress) -> None:
    """Synthesize or convert the recording into `folder`; one that is in our layout already stays where it lies."""
    path = recording_path(source, folder)
    if source.synthetic is not None:
        from edgebci.synthetic import synthesize

        synthesize(source.synthetic, path, progress)
    elif source.path is not None and path != source.path:
        from edgebci.recordings.conversion import convert
        from edgebci.recordings.model import NwbOptions

        convert(source.path, path, NwbOptions(lfp=source.lfp, behavior=_behavior(source)), progress=progress)


def recording_path(source: RecordingConfig, folder: Path) -> Path:
    """Where the recording lies that `obtain` provides."""
    if source.path is not None and source.path.suffix == ".h5":
        return source.path
    return folder / "recording.h5"


@dataclass(frozen=True)
class FrameClock:
    """Which samples make which frame: frame k is samples [first + k * D, first + (k + 1) * D)."""

    first_sample: int
    n_frames: int
    samples_per_frame: int
    rate_hz: float
    start_s: float

    def times_s(self, start: int, stop: int) -> NDArray[np.float64]:
        """When frames [start, stop) are finished: the time of the last sample of each."""
        last = self.first_sample + (np.arange(start, stop) + 1) * self.samples_per_frame - 1
        return self.start_s + last / self.rate_hz


def _behavior(source: RecordingConfig) -> tuple[str, ...]:
    return (source.target,) if source.task == "regression" else ()


def frame_clock(recording: Recording, features: FeatureSpec, source: RecordingConfig) -> FrameClock:
    """Lay frames over the time in which there is both LFP and the target; events may be anywhere in the LFP.

    Raises:
        InputError: the recording's rate is not that of the features, or LFP and target do not overlap.
    """
    info = recording.info
    if abs(info.lfp_rate_hz - features.rate_hz) > 1e-6 * features.rate_hz:
        raise InputError(
            f"{recording.path} is sampled at {info.lfp_rate_hz:g} Hz, [features] rate_hz is {features.rate_hz:g}; "
            f"set rate_hz = {info.lfp_rate_hz:g} and bands that this rate can carry"
        )
    detects = source.task == "detection"
    start_s, end_s = (info.start_s, info.end_s) if detects else recording.overlap_s(source.target)
    first = int(np.ceil((start_s - info.start_s) * info.lfp_rate_hz - 1e-6))
    stop = min(int(np.floor((end_s - info.start_s) * info.lfp_rate_hz + 1e-6)) + 1, info.n_samples)
    n_frames = (stop - first) // features.samples_per_frame
    return FrameClock(first, n_frames, features.samples_per_frame, info.lfp_rate_hz, info.start_s)


def portions(
    recording: Recording, clock: FrameClock, features: FeatureSpec, start: int, stop: int
) -> Iterator[Portion]:
    """Yield the counts of frames [start, stop) in portions; a row whose every channel is NaN is missing."""
    for frame in range(start, stop, CHUNK_FRAMES):
        last = min(frame + CHUNK_FRAMES, stop)
        samples = (clock.first_sample + k * clock.samples_per_frame for k in (frame, last))
        yield _counts(features, recording.lfp_uv(*samples))


def read_part(path: Path, features: FeatureSpec, start_sample: int, stop_sample: int) -> Portion:
    """All counts of samples [start_sample, stop_sample) at once: what a device is fed."""
    with open_recording(path) as recording:
        return _counts(features, recording.lfp_uv(start_sample, stop_sample))


def _counts(features: FeatureSpec, lfp_uv: NDArray[np.float32]) -> Portion:
    missing: Bool = np.asarray(np.isnan(lfp_uv).all(axis=1))
    return features.adc.counts(lfp_uv), missing
