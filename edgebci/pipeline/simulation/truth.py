"""What should have been decoded, which frames count, and how well a decoder did on them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgebci.bundle import Bundle
from edgebci.errors import InputError
from edgebci.files import sha256
from edgebci.metrics import F64, effective_lag_s, r2
from edgebci.pipeline.behavior_choice import behavior_for
from edgebci.pipeline.configuration import RecordingConfig
from edgebci.pipeline.simulation.playing import Played
from edgebci.pipeline.target import LOG_ODDS, inside, target_of
from edgebci.recordings import Recording

Bool = NDArray[np.bool_]
FEWEST_FRAMES = 50


@dataclass(frozen=True)
class Truth:
    """Frames (K,) of a simulation.

    Fields:
        times_s: (K,) the last sample of each. values: (K, D) what should be decoded, in `unit`.
        counted: (K,) known, in time that the recording's quality table trusts, and not what the decoder was trained on.
        held_out: whether frames of training were left out.
    """

    times_s: F64
    values: F64
    counted: Bool
    rate_hz: float
    axis_names: tuple[str, ...]
    unit: str
    held_out: bool

    def narrowed(self, valid: Bool) -> Truth:
        """The same, counting only frames that are valid, (K,); raises InputError where too few are left."""
        counted = self.counted & valid
        if counted.sum() < FEWEST_FRAMES:
            raise InputError(
                f"{counted.sum()} frames are valid and known, needed are {FEWEST_FRAMES}; simulate more seconds or "
                "give a recording with the behaviour that is decoded"
            )
        return replace(self, counted=counted)

    def r2(self, played: Played) -> float:
        """Mean R2 over axes on the frames that count; where the device calls a frame invalid, its last valid output."""
        return float(r2(self.values[self.counted], played.held()[self.counted]).mean())

    def effective_lag_ms(self, played: Played) -> float:
        """How late what is decoded is, of the decoder and its features alone; nan where nothing can be said."""
        return 1000 * effective_lag_s(self.values, played.held(), self.counted, self.rate_hz)


def truth_of(recording: Recording, bundle: Bundle, behavior: str | None, n_frames: int) -> Truth:
    """Find what the bundle decodes in a recording.

    Where the recording is the one that the decoder was made from, by its name and hash, only the bundle's test
    intervals count.

    Raises:
        InputError: the recording has no such behaviour, or the bundle detects events.
    """
    manifest = bundle.manifest
    if manifest.spec.output_unit == LOG_ODDS:
        raise InputError(f"{bundle.folder} detects events; `edgebci simulate` scores decoders of behaviour by R2 only")
    name = behavior or behavior_for(recording.path, manifest.spec.output_names, manifest.spec.output_unit)
    target = target_of(recording, RecordingConfig(path=recording.path, target=name))
    if len(target.axis_names) != manifest.spec.n_outputs:
        raise InputError(
            f"{name!r} has {len(target.axis_names)} axes, the bundle decodes {manifest.spec.n_outputs}; name the "
            "series that it was trained on with --behavior"
        )
    features = manifest.features
    times_s = recording.info.start_s + ((np.arange(n_frames) + 1) * features.samples_per_frame - 1) / features.rate_hz
    values, known = target.at(times_s)
    counted = known & ~inside(recording.intervals("quality"), times_s)
    same = _made_from(recording, bundle)
    if same:
        counted &= _tested(bundle, recording.info.start_s, times_s)
    truth = Truth(times_s, values, counted, features.frame_rate_hz, target.axis_names, target.unit, same)
    return truth.narrowed(np.ones(n_frames, bool))


def _tested(bundle: Bundle, start_s: float, times_s: F64) -> Bool:
    """Which frames lie in the bundle's test intervals; raises InputError where the first of them comes later."""
    tested = np.asarray(bundle.manifest.provenance.test_intervals_s, dtype=np.float64).reshape(-1, 2)
    if len(tested) and times_s[-1] - start_s < tested[0, 0]:
        raise InputError(
            f"the decoder was trained on what is before {tested[0, 0]:.0f} s of this recording, and simulated are "
            f"{times_s[-1] - start_s:.0f} s; give more --seconds, or another recording"
        )
    return inside(tested + start_s, times_s)


def _made_from(recording: Recording, bundle: Bundle) -> bool:
    made_from = bundle.manifest.provenance
    return made_from.recording == recording.path.name and made_from.recording_sha256 == sha256(recording.path)
