"""From a recording to normalised frames with targets: what every decoder of a run learns from and is scored on.

Each part starts its own streams, as a device does at power-on, so no filter or statistic crosses a gap. The front end
is fitted on the training part alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgebci.checkpoint import read_tensors, write_tensors
from edgebci.decoding_data import DecodingData, Task
from edgebci.documents import Document
from edgebci.features.fitting import fit_front_end
from edgebci.features.front_end import FrontEnd
from edgebci.features.specification import FeatureSpec
from edgebci.features.stream import FeatureStream, Normalizer
from edgebci.pipeline.configuration import PreparationConfig
from edgebci.pipeline.source import FrameClock, Portion, frame_clock, portions
from edgebci.pipeline.split import cut
from edgebci.pipeline.target import Target, inside, target_of
from edgebci.progress import Progress, part
from edgebci.recordings import Recording, open_recording

F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]

FRAMES_NAME = "frames.safetensors"
NAMES = ("train", "validation", "test")


class PreparedHeader(Document):
    """What the arrays of a prepared recording are."""

    schema_version: Literal["edgebci.frames/1"] = "edgebci.frames/1"
    first_sample: int
    samples_per_frame: int
    parts: dict[str, tuple[int, int]]
    """Frames of each part, counted from first_sample."""
    target_names: tuple[str, ...]
    target_unit: str
    task: Task = "regression"


@dataclass(frozen=True)
class Prepared:
    """Frames and targets of the three parts one after the other, the fitted front end, and where they came from."""

    data: DecodingData
    usable: Bool
    """Frames (K,) that the device calls valid and whose target is known, distrusted time included."""
    front_end: FrontEnd
    header: PreparedHeader

    def part_s(self, name: str) -> tuple[float, float]:
        """Start and end of a part in seconds from the recording's first sample."""
        start, stop = self.header.parts[name]
        first, step = self.header.first_sample, self.header.samples_per_frame
        rate_hz = self.front_end.spec.rate_hz
        return (first + start * step) / rate_hz, (first + stop * step) / rate_hz

    def test_samples(self) -> tuple[int, int]:
        """Samples [start, stop) of the test part."""
        start, stop = self.header.parts["test"]
        first, step = self.header.first_sample, self.header.samples_per_frame
        return first + start * step, first + stop * step


def prepare(recording_path: Path, config: PreparationConfig, folder: Path, progress: Progress) -> None:
    """Compute features and targets of all parts and write them into `folder`."""
    with open_recording(recording_path) as recording:
        clock = frame_clock(recording, config.features, config.recording)
        parts, target = cut(clock.n_frames, config), target_of(recording, config.recording)
        front_end = fit_on(recording, clock, parts.train, config.features, part(progress, 0.0, 0.5))
        front_end.save(folder)
        streams = [
            stream_of(recording, clock, front_end, target, bounds, part(progress, 0.5 + i / 6, 0.5 + (i + 1) / 6))
            for i, bounds in enumerate((parts.train, parts.validation, parts.test))
        ]
    header = PreparedHeader(
        first_sample=clock.first_sample,
        samples_per_frame=clock.samples_per_frame,
        parts=asdict(parts),
        target_names=target.axis_names,
        target_unit=target.unit,
        task=config.recording.task,
    )
    arrays = {name: np.concatenate([stream[name] for stream in streams]) for name in streams[0]}
    write_tensors(folder / FRAMES_NAME, arrays, header)


def load_prepared(folder: Path) -> Prepared:
    """Read what `prepare` wrote."""
    arrays, header = read_tensors(folder / FRAMES_NAME, PreparedHeader, "delete it, and prepare it again")
    front_end = FrontEnd.load(folder)
    return Prepared(data_of(arrays, header, front_end), arrays["usable"].astype(bool), front_end, header)


def data_of(arrays: Mapping[str, NDArray[Any]], header: PreparedHeader, front_end: FrontEnd) -> DecodingData:
    """What decoders see of a recording whose parts lie one after the other in `arrays`; a part may be absent."""
    edges = np.cumsum(
        [0, *(stop - start for start, stop in (header.parts.get(name, (0, 0)) for name in NAMES))]
    ).tolist()
    train, validation, test = (((a, b),) if b > a else () for a, b in itertools.pairwise(edges))
    return DecodingData(
        frames=arrays["frames"],
        targets=arrays["targets"],
        valid=arrays["usable"].astype(bool) & ~arrays["flagged"].astype(bool),
        times_s=arrays["times_s"].astype(np.float64),
        train=train,
        validation=validation,
        test=test,
        target_names=header.target_names,
        target_unit=header.target_unit,
        feature_channels=np.tile(np.arange(front_end.n_channels), len(front_end.spec.kinds)),
        reset_before=arrays["reset_before"].astype(bool),
        task=header.task,
    )


def fit_on(
    recording: Recording, clock: FrameClock, bounds: tuple[int, int], features: FeatureSpec, progress: Progress
) -> FrontEnd:
    """Fit a front end on frames [start, stop)."""
    start, stop = bounds
    seen = 0

    def training_portions() -> Iterator[Portion]:
        nonlocal seen
        for counts, missing in portions(recording, clock, features, start, stop):
            seen += len(counts) // clock.samples_per_frame
            progress(seen / (2 * (stop - start)), "fitting the front end")
            yield counts, missing

    return fit_front_end(features, training_portions)


def stream_of(
    recording: Recording,
    clock: FrameClock,
    front_end: FrontEnd,
    target: Target,
    bounds: tuple[int, int],
    progress: Progress,
) -> dict[str, NDArray[np.generic]]:
    """Arrays of frames [start, stop): a stream of their own, from power-on."""
    stream, normalizer = FeatureStream(front_end.spec, front_end.good_channels), Normalizer(front_end)
    z, valid, reset_before = [], [], []
    for counts, missing in portions(recording, clock, front_end.spec, *bounds):
        frames = stream.push(counts, missing)
        z.append(normalizer.push(frames).astype(np.float32))
        valid.append(frames.valid)
        reset_before.append(frames.reset_before)
        progress(sum(map(len, z)) / (bounds[1] - bounds[0]), "features")
    times_s = clock.times_s(*bounds)
    targets, known = target.at(times_s)
    resets = np.concatenate(reset_before)
    resets[0] = True
    return {
        "frames": np.concatenate(z),
        "targets": targets.astype(np.float32),
        "usable": (np.concatenate(valid) & known).astype(np.uint8),
        "flagged": inside(recording.intervals("quality"), times_s).astype(np.uint8),
        "times_s": times_s,
        "reset_before": resets.astype(np.uint8),
    }
