"""The frames that an export needs: training frames to calibrate with, the test part's to verify on.

They lie in the run folder of the checkpoint, in a prepared folder that the user names, or are made from a recording
with the features that the checkpoint was trained on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from edgebci.bundle import MANIFEST, Manifest, Provenance
from edgebci.checkpoint import Checkpoint
from edgebci.documents import Document, load_json
from edgebci.errors import InputError
from edgebci.features.front_end import DOCUMENT_NAME, FrontEnd
from edgebci.files import sha256
from edgebci.frame_stream import FrameStream, part_stream
from edgebci.pipeline.behavior_choice import behavior_for
from edgebci.pipeline.configuration import RecordingConfig, check_recording_path
from edgebci.pipeline.preparation import FRAMES_NAME, Prepared, load_prepared
from edgebci.pipeline.recorded_frames import frames_of
from edgebci.pipeline.sessions import SPIKES_NAME, load_source
from edgebci.pipeline.split import SHORTEST_PART_S
from edgebci.pipeline.target import LOG_ODDS
from edgebci.progress import Progress


class FrameSource(Document):
    """Where the user says that the frames come from; all None: from the checkpoint's run folder."""

    prepared: Path | None = None
    """A folder with frames.safetensors and front_end.json."""
    recording: Path | None = None
    front_end: Path | None = None
    """Folder of the front end for the recording; None: the checkpoint's own folder, or its run's."""
    behavior: str | None = None
    """Series of the recording, or intervals of the events, to score against; None: the one that the decoder decodes."""
    lfp: str | None = None


@dataclass(frozen=True)
class ExportFrames:
    """What calibration and verification see."""

    prepared: Prepared
    calibration: FrameStream
    stream: FrameStream
    provenance: Provenance
    same_as_training: bool
    """Whether the checkpoint says that it was trained on these very frames."""


def find_frames(
    path: Path, checkpoint: Checkpoint, source: FrameSource, folder: Path, progress: Progress
) -> ExportFrames:
    """Find or make the frames for a checkpoint.

    Args:
        path: the checkpoint's file.
        checkpoint: what is in it.
        source: what the user said.
        folder: for a recording that has to be converted first.
        progress: of making frames.

    Raises:
        InputError: there are none, or they are not of the checkpoint's features and target.
    """
    if source.recording is not None:
        prepared, recording = _made(path, checkpoint, source, source.recording, folder, progress)
    else:
        place = source.prepared or prepared_folder(path)
        prepared, recording = load_prepared(_require_prepared(path, place)), _source_of(path, place)
    _check_fit(path, checkpoint, prepared)
    data, said = prepared.data, checkpoint.training.data_sha256.values()
    _require_long_enough(prepared)
    calibration = part_stream(data, "train")
    return ExportFrames(
        prepared=prepared,
        calibration=calibration,
        stream=part_stream(data, "test"),
        provenance=Provenance(
            recording=recording.name,
            recording_sha256=recording.sha256,
            checkpoint_sha256=sha256(path),
            trials=recording.trials,
            test_intervals_s=(prepared.part_s("test"),),
        ),
        same_as_training=data.fingerprint("train") in said,
    )


def prepared_folder(checkpoint: Path) -> Path | None:
    """Where the frames lie that a checkpoint of `edgebci run` or `edgebci train` was trained on, if they are there.

    runs/NAME/student/student_1.safetensors           runs/NAME/features
    runs/NAME/bundles/SESSION/decoder.safetensors     runs/NAME/sessions/SESSION
    runs/NAME/decoders/WAY/SESSION_SEED/...           runs/NAME/sessions/SESSION
    """
    here = checkpoint.resolve().parent
    session = re.sub(r"_\d+$", "", here.name)
    above = [*here.parents, here, here, here]
    places = [here, above[0] / "features", above[1] / "sessions" / here.name, above[2] / "sessions" / session]
    return next((place for place in places if (place / FRAMES_NAME).is_file()), None)


@dataclass(frozen=True)
class _Source:
    name: str
    sha256: str | None
    trials: int | None = None


def _require_prepared(checkpoint: Path, place: Path | None) -> Path:
    if place is None:
        raise InputError(
            f"{checkpoint} lies in no run folder with its frames; give --prepared FOLDER (with {FRAMES_NAME}), or "
            "--recording FILE and the --front-end that it was trained with"
        )
    if not (place / FRAMES_NAME).is_file():
        raise InputError(
            f"{place} holds no {FRAMES_NAME}; give the features folder of edgebci run, a sessions folder of "
            "edgebci train, or --recording"
        )
    return place


def _source_of(checkpoint: Path, prepared: Path | None) -> _Source:
    """What the frames were made from, as far as the folders around them say."""
    if prepared is not None and (prepared / SPIKES_NAME).is_file():
        return _Source(*load_source(prepared))
    here = checkpoint.resolve().parent
    tried = len(list(here.glob("student_*.safetensors"))) or None
    for bundle in (here / "bundle", here.parent / "export" / "bundle"):
        if (bundle / MANIFEST).is_file():
            known = load_json(bundle / MANIFEST, Manifest).provenance
            return _Source(known.recording, known.recording_sha256, known.trials)
    return _Source("unknown: only its frames were at hand", None, tried)


def _made(
    path: Path, checkpoint: Checkpoint, source: FrameSource, file: Path, folder: Path, progress: Progress
) -> tuple[Prepared, _Source]:
    check_recording_path(file)
    detects = checkpoint.spec.output_unit == LOG_ODDS
    spec = checkpoint.spec
    config = RecordingConfig(
        path=file,
        lfp=source.lfp,
        target=source.behavior or behavior_for(file, spec.output_names, spec.output_unit),
        task="detection" if detects else "regression",
    )
    prepared = frames_of(config, _front_end(path, source), folder, progress)
    return prepared, _Source(file.name, sha256(file))


def _front_end(checkpoint: Path, source: FrameSource) -> FrontEnd:
    here = checkpoint.resolve().parent
    places = [source.front_end] if source.front_end else [here, prepared_folder(checkpoint) or here]
    for place in places:
        if (place / DOCUMENT_NAME).is_file():
            return FrontEnd.load(place)
    raise InputError(
        f"no {DOCUMENT_NAME} in {places[0]}; give the folder of the front end that the checkpoint was trained with as "
        "--front-end, for example runs/NAME/features"
    )


def _check_fit(path: Path, checkpoint: Checkpoint, prepared: Prepared) -> None:
    spec, data = checkpoint.spec, prepared.data
    if spec.n_inputs != prepared.front_end.n_features:
        raise InputError(
            f"{path} takes {spec.n_inputs} features, the frames have {prepared.front_end.n_features}; give the frames "
            "or the front end that it was trained with"
        )
    if spec.output_names != data.target_names:
        raise InputError(
            f"{path} decodes {', '.join(spec.output_names)}, the frames come with {', '.join(data.target_names)}; "
            "give those of the target that it was trained for"
        )


def _require_long_enough(prepared: Prepared) -> None:
    seconds = sum(stop - start for start, stop in prepared.data.train) / prepared.data.frame_rate_hz
    if seconds < SHORTEST_PART_S:
        raise InputError(
            f"{seconds:.1f} s of training frames are too few to calibrate with, needed are {SHORTEST_PART_S:g} s; "
            "give a longer recording"
        )
