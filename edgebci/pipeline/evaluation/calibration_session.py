"""A new session of an array that a decoder knows: its first minutes to calibrate with, the rest to score."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgebci.decoding_data import DecodingData
from edgebci.errors import InputError
from edgebci.features.fitting import CONSTANT_SD
from edgebci.features.front_end import FrontEnd
from edgebci.features.stream import FeatureStream
from edgebci.pipeline.configuration import PreparationConfig
from edgebci.pipeline.preparation import PreparedHeader, data_of, fit_on, stream_of
from edgebci.pipeline.source import FrameClock, frame_clock, portions
from edgebci.pipeline.split import SHORTEST_PART_S, gap_reasons_s
from edgebci.pipeline.target import target_of
from edgebci.progress import Progress
from edgebci.recordings import Recording


@dataclass(frozen=True)
class CalibrationSession:
    """A recording cut into calibration and test."""

    recording: Recording
    config: PreparationConfig
    clock: FrameClock
    calibration_frames: int
    test: tuple[int, int]

    @classmethod
    def of(
        cls, recording: Recording, config: PreparationConfig, front_end: FrontEnd, calibration_s: float
    ) -> CalibrationSession:
        """The first `calibration_s`, a gap, and the rest; raises InputError where a part is too short."""
        found = recording.info.n_channels
        if found != front_end.n_channels:
            raise InputError(
                f"{recording.path} has {found} channels, the front end {front_end.n_channels}; give a recording of "
                "the same array"
            )
        clock = frame_clock(recording, config.features, config.recording)
        rate_hz = config.features.frame_rate_hz
        calibration, gap = (math.ceil(s * rate_hz) for s in (calibration_s, max(gap_reasons_s(config).values())))
        left_s = (clock.n_frames - calibration - gap) / rate_hz
        if min(left_s, calibration_s) < SHORTEST_PART_S:
            raise InputError(
                f"{recording.path}: {calibration_s:g} s of calibration and a gap of {gap / rate_hz:.1f} s leave "
                f"{max(left_s, 0):.1f} s to score; both parts need {SHORTEST_PART_S:g} s: change --minutes"
            )
        return cls(recording, config, clock, calibration, (calibration + gap, clock.n_frames))

    def fit_front_end(self, progress: Progress) -> FrontEnd:
        """A front end of the same features, fitted to the calibration part."""
        return fit_on(self.recording, self.clock, (0, self.calibration_frames), self.config.features, progress)

    def refit_normalization(self, front_end: FrontEnd, progress: Progress) -> FrontEnd:
        """The front end with statistics of the calibration part; its good channels stay, as they are compiled in.

        A feature that is constant now, as that of a channel that died since, keeps its sd: it then stays near 0.
        """
        stream, features, valid = FeatureStream(front_end.spec, front_end.good_channels), [], []
        bounds = (0, self.calibration_frames)
        for counts, missing in portions(self.recording, self.clock, front_end.spec, *bounds):
            frames = stream.push(counts, missing)
            features.append(frames.features[frames.valid])
            valid.append(frames.valid)
            progress(sum(map(len, valid)) / self.calibration_frames, "statistics")
        if not any(map(len, features)):
            raise InputError(f"{self.recording.path}: no valid frame to calibrate with; give a cleaner recording")
        seen = np.concatenate(features)
        mean, sd = seen.mean(axis=0).astype(np.float32), seen.std(axis=0).astype(np.float32)
        good = np.tile(front_end.good_channels, len(front_end.spec.kinds))
        return replace(
            front_end, mean=np.where(good, mean, 0.0), sd=np.where(good & (sd >= CONSTANT_SD), sd, front_end.sd)
        )

    def data(self, front_end: FrontEnd, progress: Progress) -> DecodingData:
        """Frames as a front end makes them. In detection, the last third of the calibration part is validation."""
        source, calibration = self.config.recording, self.calibration_frames
        target = target_of(self.recording, source)
        train = 2 * calibration // 3 if source.task == "detection" else calibration
        parts = {"train": (0, train), "validation": (train, calibration), "test": self.test}
        streams = [
            stream_of(self.recording, self.clock, front_end, target, bounds, progress)
            for bounds in ((0, calibration), self.test)
        ]
        header = PreparedHeader(
            first_sample=self.clock.first_sample,
            samples_per_frame=self.clock.samples_per_frame,
            parts=parts,
            target_names=target.axis_names,
            target_unit=target.unit,
            task=source.task,
        )
        arrays: dict[str, NDArray[np.generic]] = {
            name: np.concatenate([stream[name] for stream in streams]) for name in streams[0]
        }
        return data_of(arrays, header, front_end)
