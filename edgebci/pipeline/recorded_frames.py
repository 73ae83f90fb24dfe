"""Frames of a recording by a front end that exists already: no statistic is fitted to it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgebci.errors import InputError
from edgebci.features.front_end import FrontEnd
from edgebci.pipeline.configuration import PreparationConfig, RecordingConfig, check_recording_path
from edgebci.pipeline.preparation import Prepared, PreparedHeader, data_of, stream_of
from edgebci.pipeline.source import frame_clock, obtain, recording_path
from edgebci.pipeline.split import cut
from edgebci.pipeline.target import target_of
from edgebci.progress import Progress, part
from edgebci.recordings import open_recording


def frames_of(source: RecordingConfig, front_end: FrontEnd, folder: Path, progress: Progress) -> Prepared:
    """Frames and targets of a recording, cut as `edgebci run` cuts by default: 60 % training, 15 %, 25 % test.

    Args:
        source: the recording, which must be a file, and what is decoded.
        front_end: made elsewhere, for the same array.
        folder: for a recording that has to be converted first.
        progress: of all of it.

    Raises:
        InputError: the recording is not of this front end's array and rate, is too short, or has no such target.
    """
    if source.path is not None:
        check_recording_path(source.path)
    config = PreparationConfig(recording=source, features=front_end.spec)
    obtain(source, folder, part(progress, 0.0, 0.3))
    path = recording_path(source, folder)
    with open_recording(path) as recording:
        if recording.info.n_channels != front_end.n_channels:
            raise InputError(
                f"{path} has {recording.info.n_channels} channels, the front end {front_end.n_channels}; give a "
                "recording of the same array"
            )
        clock, target = frame_clock(recording, config.features, source), target_of(recording, source)
        parts = cut(clock.n_frames, config)
        bounds = {"train": parts.train, "validation": parts.validation, "test": parts.test}
        streams = [
            stream_of(recording, clock, front_end, target, each, part(progress, 0.3 + 0.2 * i, 0.5 + 0.2 * i))
            for i, each in enumerate(bounds.values())
        ]
    header = PreparedHeader(
        first_sample=clock.first_sample,
        samples_per_frame=clock.samples_per_frame,
        parts=bounds,
        target_names=target.axis_names,
        target_unit=target.unit,
        task=source.task,
    )
    arrays = {name: np.concatenate([stream[name] for stream in streams]) for name in streams[0]}
    return Prepared(data_of(arrays, header, front_end), arrays["usable"].astype(bool), front_end, header)
